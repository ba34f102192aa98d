"""Random schedules of faults against the product, judged by Twilio's ledger and by what patients wrote.

python -m tests.simulation 1000                 a thousand schedules: one in four receives, one in 25 restores
python -m tests.simulation 250 --side receive   of one side alone
python -m tests.simulation 1 --seed 4711 --side send -v    one of them again, call by call
python -m tests.simulation 500 --defect no-fence
python -m tests.simulation 1000 --defects       how soon each deliberate defect is caught
python -m tests.simulation --matrix             every port call crashed in every way, singly and in pairs
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

from tests.simulation.matrix import pairs, play_in_processes, singles
from tests.simulation.run import SHOWN, Tally, simulate_in_processes
from tests.simulation.sides import ALL_DEFECTS, SIDES, catch

PROCESSES = 2


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("schedules", type=positive, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule; the next have the next")
    parser.add_argument("--side", choices=SIDES, help="this side alone")
    parser.add_argument("--defect", choices=ALL_DEFECTS, help="put this mistake into the code first")
    parser.add_argument("--defects", action="store_true", help="the table of all mistakes and how soon they are caught")
    parser.add_argument("--matrix", action="store_true", help="the crash matrix, pairs included")
    parser.add_argument("--verbose", "-v", action="store_true", help="print every port call")
    asked = parser.parse_args(arguments)
    if asked.defects:
        return defects_table(asked.schedules, asked.seed)
    if asked.matrix:
        return report_matrix()
    began, total = time.monotonic(), Tally()
    for side, schedules in shares(asked.schedules, side_of(asked)).items():
        tally = run(side, schedules, asked)
        show_failures(side, tally)
        total.add(tally)
    return report(total, time.monotonic() - began)


def positive(text: str) -> int:
    """A number of schedules: none would prove nothing, and say that all is well."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"N={text} is no number of schedules: say 1 or more, such as N=1000")
    return int(text)


def side_of(asked: argparse.Namespace) -> str | None:
    """The side that was asked for, or whose defect was."""
    return asked.side or next((side for side, (_, defects) in SIDES.items() if asked.defect in defects), None)


def shares(schedules: int, side: str | None) -> dict[str, int]:
    """How many schedules each side gets."""
    if side:
        return {side: schedules}
    receive, restore = schedules // 4, schedules // 25
    return {"send": schedules - receive - restore, "receive": receive, "restore": restore}


def run(side: str, schedules: int, asked: argparse.Namespace) -> Tally:
    """Run one side's schedules: in processes, or one after the other where somebody looks on."""
    one, _ = SIDES[side]
    if not asked.defect and not asked.verbose:
        return simulate_in_processes(asked.seed, schedules, PROCESSES, one)
    tally = Tally()
    for seed in range(asked.seed, asked.seed + schedules):
        tally.add(one(seed, ALL_DEFECTS.get(asked.defect or ""), verbose=asked.verbose))
    return tally


def show_failures(side: str, tally: Tally) -> None:
    """Print what went wrong, each with the seed that replays it."""
    for seed, violations in tally.failures[:SHOWN]:
        for violation in violations[:SHOWN]:
            print(f"{side}, seed {seed}: {violation}")
        print(f"    again: python -m tests.simulation 1 --seed {seed} --side {side} -v")


def report(tally: Tally, seconds: float) -> int:
    """Print in how many schedules each kind of fault was met, and the sum."""
    print("met in schedules: " + ", ".join(f"{kind} {times}" for kind, times in sorted(tally.met.items())))
    print(
        f"simulate: {tally.schedules} schedules, {tally.calls} port calls, {tally.posts} POSTs, "
        f"{tally.accepted} accepted, {tally.written} received, {tally.schedules / max(seconds, 0.001):.1f}/s, "
        f"{tally.counts()}"
    )
    return 1 if tally.failures else 0


def report_matrix() -> int:
    """Print what the crash matrix found, and its size."""
    single, double = singles(), pairs()
    failures = play_in_processes([*single, *double], PROCESSES)
    for failure in failures[:SHOWN]:
        print(failure)
    print(f"matrix: {len(single)} single faults, {len(double)} pairs, {len(failures)} violations")
    return 1 if failures else 0


def defects_table(most: int, seed: int) -> int:
    """Print each deliberate defect and the first schedule that catches it."""
    survivors = 0
    print(f"{'defect':29} {'schedules':>9}  caught as")
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for name, caught in zip(ALL_DEFECTS, pool.map(catch, ALL_DEFECTS, repeat(seed), repeat(most)), strict=True):
            survivors += caught is None
            after, how = (str(caught[0]), caught[1]) if caught else ("-", f"SURVIVED {most} schedules")
            print(f"{name:29} {after:>9}  {how.splitlines()[0][:110]}", flush=True)
    print(f"defects: {len(ALL_DEFECTS)}, {survivors} survived {most} schedules each")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
