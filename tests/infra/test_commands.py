"""`make run` and `make invoke` asked for what cannot be: one clear line, and nothing started."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from subprocess import PIPE

import httpx
import pytest

import local.__main__ as commands
from local import stacks as named_stacks
from local.artifacts import ROOT
from local.claim import Claim
from local.processes import free_port
from local.stack import Stack


@pytest.fixture(autouse=True)
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for stacks that has none."""
    monkeypatch.setattr(named_stacks, "STACKS", tmp_path / "stacks")
    for variable in ("STACK", "PORT", "FORWARD"):
        monkeypatch.delenv(variable, raising=False)
    return named_stacks.STACKS


def line_of(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert not captured.out
    return line


@pytest.fixture
def event(tmp_path: Path) -> Path:
    file = tmp_path / "event.json"
    file.write_text('{"task": "sweep"}')
    return file


def test_invoke_without_a_stack(event: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["invoke", "send", str(event)]) == 1
    assert line_of(capsys) == "invoke: no stack is running: start one with `make run`"


def test_invoke_after_a_killed_stack(stacks: Path, event: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stacks.mkdir()
    (stacks / "stack.json").write_text("{}")
    (stacks / "owner").write_text("1")
    assert commands.main(["invoke", "send", str(event)]) == 1
    assert "no stack is running" in line_of(capsys)


def test_invoke_when_the_embedded_aws_is_dead(stacks: Path, event: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Claim(stacks):
        nowhere = {
            "aws_endpoint": f"http://127.0.0.1:{free_port()}",
            "outputs": {"SendFunctionName": "whatsapp-send:live"},
        }
        (stacks / "stack.json").write_text(json.dumps(nowhere))
        assert commands.main(["invoke", "send", str(event)]) == 1
    assert line_of(capsys).startswith(
        "invoke: the stack's embedded AWS did not run whatsapp-send:live: Could not connect"
    )


def test_run_ends_when_the_embedded_aws_does_and_an_open_page_says_so(stacks: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", RUN, str(stacks)]
    with subprocess.Popen(command, env=environment, stdout=PIPE, stderr=PIPE, text=True) as running:
        try:
            assert running.stdout
            page = next(line.split()[-1] for line in running.stdout if line.startswith("The phone page:"))
            state = httpx.get(f"{page}api/state", trust_env=False, timeout=20).json()
            with httpx.stream(
                "GET", f"{page}api/stream?last_id={state['last_id']}", trust_env=False, timeout=60
            ) as stream:
                kill_aws_of(stacks)
                said = "".join(stream.iter_text())
            assert '"key": "ended", "value": {"reason": "local.ministack ended."}' in said
            complaint = running.communicate(timeout=60)[1]
        finally:
            running.kill()
    assert running.returncode == 1
    assert complaint.startswith("run: local.ministack ended. The end of ")
    assert "Traceback" not in complaint
    assert not (stacks / "stack.json").exists()


RUN = """
import sys
import tomllib
from pathlib import Path
from local import __main__, stacks
stacks.STACKS = Path(sys.argv[1])
sys.exit(__main__.main(["run"]))
"""


def kill_aws_of(directory: Path) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = f"={directory}/".encode() in (process / "environ").read_bytes()
            if ours and b"\0local.ministack\0" in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


@pytest.mark.parametrize(
    ("function", "file", "expected"),
    [
        ("sned", None, "no function 'sned': say FN=send"),
        ("send", "no/such.json", "no/such.json: No such file or directory"),
        ("send", "", "say which sample: EVENT=events/send/"),
        ("", None, "no function ''"),
    ],
)
def test_invoke_of_what_is_not_there(
    function: str, file: str | None, expected: str, event: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["invoke", function, str(event) if file is None else file]) == 1
    assert expected in line_of(capsys)


def test_invoke_with_broken_json(event: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event.write_text('{"task": ')
    assert commands.main(["invoke", "send", str(event)]) == 1
    assert "is not JSON: Expecting value" in line_of(capsys)


def test_the_events_of_no_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["events"]) == 1
    assert line_of(capsys) == "events: no stack is running: start one with `make run`"


def test_run_that_forwards_to_what_is_no_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORWARD", "9000")
    assert commands.main(["run"]) == 1
    assert "FORWARD=9000 is no URL of a server" in line_of(capsys)


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_run_on_what_is_no_port(port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PORT", port)
    assert commands.main(["run"]) == 1
    assert f"PORT={port} is not a port" in line_of(capsys)


def test_run_on_a_taken_port(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        assert commands.main(["run"]) == 1
    assert f"PORT={port} is not to be had (Address already in use)" in line_of(capsys)


@pytest.mark.parametrize("name", ["../elsewhere", "work", "owner", "A", "a b"])
def test_run_under_a_name_that_is_no_folders(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACK", name)
    assert commands.main(["run"]) == 1
    assert f"STACK={name}: use small letters" in line_of(capsys)


def test_run_under_a_taken_name(
    stacks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACK", "busy")
    with Claim(stacks / "busy"):
        assert commands.main(["run"]) == 1
    assert "another stack is running in" in line_of(capsys)


@pytest.mark.parametrize(("taken", "expected"), [([], ""), ([""], "2"), (["", "2"], "3")])
def test_stack_without_a_name_gets_the_first_free_place(
    taken: list[str], expected: str, stacks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Stack, "_start", lambda _self: None)
    with contextlib.ExitStack() as exits:
        for name in taken:
            exits.enter_context(Claim(stacks / name))
        stack = named_stacks.start_stack(exits, "")
        assert stack.directory == stacks / expected
    assert capsys.readouterr().out.startswith(f"A stack is running already; this one is number {expected}") is bool(
        taken
    )


def test_running_stack_is_found_by_name(stacks: Path) -> None:
    with Claim(stacks / "mine"):
        (stacks / "mine" / "stack.json").write_text(json.dumps({"region": "here"}))
        assert named_stacks.running_stack("mine") == {"region": "here"}
        (stacks / "mine" / "stack.json").unlink()


def test_sam_without_a_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["sam"]) == 1
    assert line_of(capsys) == "sam: no stack is running: start one with `make run`"


def test_sam_local_knows_no_template_but_that_of_make_sam() -> None:
    """With template.yaml, as it would be by default, it calls the AWS account of the reader's shell."""
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    for command in ("local_invoke", "local_start_api", "local_start_lambda"):
        given = settings[command]["parameters"]
        assert (given["template_file"], given["env_vars"]) == (".local/sam/template.json", ".local/sam/env.json")
