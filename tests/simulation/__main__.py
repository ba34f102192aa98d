"""Random schedules of faults against the product, judged by Twilio's ledger.

python -m tests.simulation 1000                 a thousand schedules
python -m tests.simulation 1 --seed 4711 -v     one of them again, call by call
python -m tests.simulation 500 --defect no-fence
python -m tests.simulation 1000 --defects       how soon each deliberate defect is caught
python -m tests.simulation --matrix             every port call crashed in every way, singly and in pairs
"""

import argparse
import sys
import time
from collections.abc import Sequence

from tests.simulation.defects import DEFECTS
from tests.simulation.matrix import run_matrix
from tests.simulation.run import SHOWN, Tally, first_caught, simulate, simulate_in_processes

PROCESSES = 2


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("schedules", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule; the next have the next")
    parser.add_argument("--defect", choices=DEFECTS, help="put this mistake into the code first")
    parser.add_argument("--defects", action="store_true", help="the table of all mistakes and how soon they are caught")
    parser.add_argument("--matrix", action="store_true", help="the crash matrix, pairs included")
    parser.add_argument("--verbose", "-v", action="store_true", help="print every port call")
    asked = parser.parse_args(arguments)
    if asked.defects:
        return defects_table(asked.schedules, asked.seed)
    if asked.matrix:
        return report_matrix()
    began = time.monotonic()
    if asked.defect or asked.verbose:
        tally = Tally()
        for seed in range(asked.seed, asked.seed + asked.schedules):
            tally.add(simulate(seed, DEFECTS.get(asked.defect or ""), verbose=asked.verbose))
    else:
        tally = simulate_in_processes(asked.seed, asked.schedules, PROCESSES)
    return report(tally, time.monotonic() - began)


def report(tally: Tally, seconds: float) -> int:
    """Print what went wrong, each with the seed that replays it, and the sum."""
    for seed, violations in tally.failures[:SHOWN]:
        for violation in violations[:SHOWN]:
            print(f"seed {seed}: {violation}")
        print(f"    again: python -m tests.simulation 1 --seed {seed} -v")
    print(
        f"simulate: {tally.schedules} schedules, {tally.calls} port calls, {tally.posts} POSTs, "
        f"{tally.accepted} accepted, {tally.schedules / max(seconds, 0.001):.1f}/s, {tally.counts()}"
    )
    return 1 if tally.failures else 0


def report_matrix() -> int:
    """Print what the crash matrix found, and its size."""
    matrix = run_matrix(pairs=1.0)
    for violation in matrix.failures[:SHOWN]:
        print(violation)
    print(f"matrix: {matrix.singles} single faults, {matrix.pairs} pairs, {len(matrix.failures)} violations")
    return 1 if matrix.failures else 0


def defects_table(most: int, seed: int) -> int:
    """Print each deliberate defect and the first schedule that catches it."""
    survivors = 0
    print(f"{'defect':26} {'schedules':>9}  caught as")
    for defect in DEFECTS.values():
        caught = first_caught(defect, seed, most)
        survivors += caught is None
        after, how = (str(caught[0]), caught[1]) if caught else ("-", f"SURVIVED {most} schedules")
        print(f"{defect.name:26} {after:>9}  {how.splitlines()[0][:110]}", flush=True)
    print(f"defects: {len(DEFECTS)}, {survivors} survived {most} schedules each")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
