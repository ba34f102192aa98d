"""`make mutants`: changes the decisions one expression at a time, and names each change that no fast test notices.

mutmut works in a throw-away copy of the project. It changes the bodies of plain functions: not tables at module level,
which the generated pages show row by row, and not properties or methods of enums. It forks a process that has imported
everything; so what a function does while its module is imported is tried once more, in a new process.
"""

import argparse
import ast
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPLAINED = Path(__file__).with_name("mutants_explained.toml")
LEAST_KILLED = 0.95
"""Of the decisions' mutants, the explained ones included."""

DECISIONS = (
    "domain/receiving/opt_out.py",
    "domain/sending/lifecycle.py",
    "domain/sending/twilio_codes.py",
    "domain/sending/transition.py",
    "domain/sending/before_claim.py",
    "domain/sending/turns.py",
    "domain/sending/after_post.py",
    "domain/sending/on_status.py",
    "domain/sending/on_doubt.py",
    "domain/sending/when_due.py",
    "domain/sending/continuation.py",
)
CONDITIONS = ("adapters/dynamodb/slots.py", "adapters/dynamodb/message_store.py")
TESTS = (
    "test_opt_out",
    "test_lifecycle",
    "test_message",
    "test_twilio_codes",
    "test_transition",
    "test_before_claim",
    "test_turns",
    "test_after_post",
    "test_on_status",
    "test_on_doubt",
    "test_when_due",
    "test_continuation",
    "test_slots",
    "test_message_store",
    "test_compose",
    "test_send_policies",
    "test_commit",
    "test_work_queue_message",
    "test_send_message",
    "test_record_status",
    "test_resolve_doubt",
    "test_sweep_due",
    "test_cancel_message",
    "test_redrive_dead_letters",
    "test_erase_contact",
    "test_receive_message",
)
"""Of `tests/unit`; mutmut runs for each mutant those that reach it."""
PAGES_ARE_CURRENT = (
    "from tools.docs import *; assert all((DOCS / n).read_text() == page() for n, page in PAGES.items())"
)
"""The quickest look at the tables that are made at import."""
AT_IMPORT = ("test_lifecycle", "test_twilio_codes")
"""Of `tests/unit`: the longer look."""
MUTMUT = str(Path(sys.executable).with_name("mutmut"))
COPIED = ("commands", "docs", "events", "functions", "local", "tests", "tools", "template.yaml", "pyproject.toml")

_TEXT = re.compile(r'"[^"]*"')
_KILLED_OTHERWISE = {None: "not tried", 0: "survived", 5: "no test", 33: "no test"}
"""By the exit code of its tests; any other is a kill: a failure, an error, a loop without end."""
TIMEOUT_CONSTANT_S = 4
"""A mutant is a loop without end after 15 times this and mutmut's estimate: a minute. mutmut's own second is too short
for a busy machine, whose slow tests would count as kills."""


AGAIN = "to be tried in a new process"
DIFFS = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps([get_diff_for_mutant(name, path=path) for name, path in json.load(sys.stdin)]))
"""
"""`mutmut show` of many at once; one by one takes a second each."""


@dataclass(frozen=True)
class Mutant:
    """One change, and what became of it."""

    name: str
    """`whatsapp.domain.address.x_parse__mutmut_3`, or `….xǁAddressǁparse__mutmut_3` of a method."""
    file: str
    fate: str
    line: int = 0
    before: str = ""
    after: str = ""

    @property
    def function(self) -> list[str]:
        """Its function's name, after its class's if it has one."""
        mangled = self.name.rpartition(".")[2].partition("__mutmut_")[0]
        return mangled.split("ǁ")[1:] if "ǁ" in mangled else [mangled.removeprefix("x_")]

    @property
    def is_wording(self) -> bool:
        """Whether it only respells a sentence for people: no test should hold on to such a one."""
        texts = zip(_TEXT.findall(self.before), _TEXT.findall(self.after), strict=False)
        return _TEXT.sub("", self.before) == _TEXT.sub("", self.after) and all(
            " " in before for before, after in texts if before != after
        )


def main() -> int:
    """Run, print every survivor and the sum."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15, help="the longest it may take")
    parser.add_argument("files", nargs="*", help="other modules than the constants', below layers/shared/whatsapp")
    arguments = parser.parse_args()
    package = ROOT / "layers/shared/whatsapp"
    files = arguments.files or [file for file in DECISIONS + CONDITIONS if (package / file).exists()]
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory)
        prepare(copy, files)
        deadline = time.monotonic() + arguments.minutes * 60
        run(copy, deadline)
        mutants = results(copy, files, deadline)
    return report(mutants, files, arguments.minutes)


def prepare(copy: Path, files: Sequence[str]) -> None:
    """Copy the project as mutmut wants it: what is mutated lies under `src`."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(ROOT / "layers/shared", copy / "src", ignore=ignored)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy / name)
    tests = [f"tests/unit/{name}.py" for name in TESTS if (ROOT / "tests/unit" / f"{name}.py").exists()]
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/whatsapp/{file}" for file in files],
        "also_copy": list(COPIED),
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "timeout_constant": TIMEOUT_CONSTANT_S,
    }
    with (copy / "pyproject.toml").open("a") as configuration:
        configuration.write("\n[tool.mutmut]\nuse_git_change_detection = false\n")
        configuration.writelines(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


def run(copy: Path, deadline: float) -> None:
    """Let mutmut work until it is done or it is time."""
    log = copy / "log"
    with log.open("w") as output:
        mutmut = subprocess.Popen(
            [MUTMUT, "run"],
            cwd=copy,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = mutmut.wait(deadline - time.monotonic())
        except subprocess.TimeoutExpired:
            return
        finally:  # its children too, which may still be at a mutant
            with contextlib.suppress(ProcessLookupError):
                os.killpg(mutmut.pid, signal.SIGKILL)
            mutmut.wait()
    if code:
        raise SystemExit(f"mutants: mutmut ended with {code}:\n{log.read_text()[-4000:]}")


def results(copy: Path, files: Sequence[str], deadline: float) -> list[Mutant]:
    """What became of every mutant; of those that were not killed, the change."""
    mutants = []
    for file in files:
        made = copy / "mutants/src/whatsapp" / f"{file}.meta"
        if not made.exists():
            raise SystemExit(f"mutants: no mutant of {file} was made in time: give it more --minutes")
        at_import = called_at_import(ast.parse((copy / "src/whatsapp" / file).read_text()))
        for name, code in json.loads(made.read_text())["exit_code_by_key"].items():
            mutant = Mutant(name, file, _KILLED_OTHERWISE.get(code, "killed"))
            again = mutant.fate in ("survived", "no test") and mutant.function[-1] in at_import
            mutants.append(replace(mutant, fate=AGAIN) if again else mutant)
    with ThreadPoolExecutor(2) as two:
        fates = two.map(lambda m: fate_at_import(copy, m, deadline) if m.fate == AGAIN else m.fate, mutants)
        mutants = [replace(mutant, fate=fate) for mutant, fate in zip(mutants, fates, strict=True)]
    return with_changes(copy, mutants)


def called_at_import(source: ast.Module) -> set[str]:
    """The functions that are called at module level."""
    statements = [node for node in source.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    calls = [node for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def fate_at_import(copy: Path, mutant: Mutant, deadline: float) -> str:
    """What becomes of it in a process that imports everything anew."""
    if time.monotonic() > deadline:
        return "not tried"
    mutants = copy / "mutants"
    path = os.pathsep.join([str(mutants / "src"), str(mutants)])
    environment = {**os.environ, "MUTANT_UNDER_TEST": mutant.name, "PYTHONPATH": path}
    pytest = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *(f"tests/unit/{name}.py" for name in AT_IMPORT)]
    killed = any(
        subprocess.run(
            [sys.executable, *look], cwd=mutants, env=environment, capture_output=True, check=False
        ).returncode
        for look in (["-c", PAGES_ARE_CURRENT], pytest)
    )
    return "killed" if killed else "survived"


def with_changes(copy: Path, mutants: Sequence[Mutant]) -> list[Mutant]:
    """With what was changed, and where, unless a test noticed."""
    shown = [mutant for mutant in mutants if mutant.fate in ("survived", "no test")]
    names = json.dumps([(mutant.name, f"src/whatsapp/{mutant.file}") for mutant in shown])
    diffs = subprocess.run(
        [sys.executable, "-c", DIFFS], cwd=copy, input=names, capture_output=True, text=True, check=True
    ).stdout
    changed = {m: with_change(copy, m, diff.splitlines()) for m, diff in zip(shown, json.loads(diffs), strict=True)}
    return [changed.get(mutant, mutant) for mutant in mutants]


def with_change(copy: Path, mutant: Mutant, diff: list[str]) -> Mutant:
    """With its line and what was changed there."""
    start = next(n for n, line in enumerate(diff) if line.startswith("@@"))
    offset = int(diff[start].split()[1].partition(",")[0].lstrip("-")) - 1
    changed = next(n for n, line in enumerate(diff) if n > start and line[0] in "+-")
    before = " ".join(line[1:].strip() for line in diff[start:] if line.startswith("-"))
    after = " ".join(line[1:].strip() for line in diff[start:] if line.startswith("+"))
    line = first_line((copy / "src/whatsapp" / mutant.file).read_text(), mutant.function) + offset + changed - start - 1
    return replace(mutant, line=line, before=before, after=after)


def first_line(source: str, function: Sequence[str]) -> int:
    """Where a function begins, with the comments above it."""
    body: list[ast.stmt] = ast.parse(source).body
    for name in function:
        node = next(n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name)
        body = node.body
    line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = source.splitlines()
    while lines[line - 2].strip().startswith("#"):
        line -= 1
    return line


def report(mutants: Sequence[Mutant], files: Sequence[str], minutes: float) -> int:
    """Print every survivor and the sum; the exit code."""
    reasons = {(one["file"], one["after"]): one["reason"] for one in tomllib.loads(EXPLAINED.read_text())["explained"]}
    wording = [mutant for mutant in mutants if mutant.after and mutant.is_wording]
    tried = [mutant for mutant in mutants if mutant not in wording and mutant.fate != "not tried"]
    left = len(mutants) - len(tried) - len(wording)
    survivors = sorted((m for m in tried if m.fate != "killed"), key=lambda m: (m.file, m.line))
    explained = [mutant for mutant in survivors if (mutant.file, mutant.after) in reasons]
    for mutant in survivors:
        reason = reasons.get((mutant.file, mutant.after))
        fate = f"explained: {reason}" if reason else mutant.fate
        print(f"{mutant.file}:{mutant.line} {fate}\n  - {mutant.before}\n  + {mutant.after}")
    for file, after in reasons.keys() - {(mutant.file, mutant.after) for mutant in explained}:
        if file in files and not left:
            print(f"{EXPLAINED.name}: explains what does not survive any more: {file}: {after}")
    killed, total = Counter(m.file for m in tried if m.fate == "killed"), Counter(m.file for m in tried)
    print()
    for file in files:
        print(f"{file:40} {total[file]:5} mutants, {killed[file]:5} killed")
    decisions = [file for file in files if file not in CONDITIONS]
    share = sum(killed[file] for file in decisions) / (sum(total[file] for file in decisions) or 1)
    print(f"{len(wording)} more only respell a sentence for people")
    if left:
        print(f"cut short after {minutes:g} minutes: {left} mutants not tried")
    print(f"decisions: {share:.1%} killed, at least {LEAST_KILLED:.0%} wanted; {len(explained)} survivors explained")
    print(f"mutants: {len(tried)}, killed {killed.total()}, survived {len(survivors)}")
    return 0 if share >= LEAST_KILLED else 1


if __name__ == "__main__":
    sys.exit(main())
