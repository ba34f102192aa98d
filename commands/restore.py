"""After tables were restored to an earlier moment: settles them by Twilio's lists, and releases sending.

    python -m commands.restore --since 2026-11-29T09:00:00+05:30 --stage prod          a dry run
    python -m commands.restore --since 2026-11-29T09:00:00+05:30 --stage prod --yes    do it

Without --stage or --stack NAME: the running local stack.
`--since` is the moment that the tables were restored to. Sending is held from the first `--yes` on; one that is run 25
minutes later or more releases it, because Twilio's list may be so late. It can be run as often as you like. On AWS it
needs cloudformation:DescribeStacks, lambda:GetFunctionConfiguration, and what the send function's role may do.
docs/operations.md has the whole procedure.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from whatsapp.bootstrap import App
from whatsapp.domain import periods
from whatsapp.domain.schedule import iso
from whatsapp.use_cases.recover_after_restore import Recovery

from commands.target import add_options, moment, one_line_errors, target_of


@one_line_errors("restore")
def main(arguments: Sequence[str]) -> int:
    """Run it once; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.restore", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--since", type=moment, required=True, help="what the tables were restored to, with its zone")
    parser.add_argument("--yes", action="store_true", help="do it; without it, nothing is changed")
    add_options(parser)
    given = parser.parse_args(arguments)
    if given.since < time.time() * 1000 - periods.RECONCILE_LOOK_BACK:
        parser.error("--since: at most 30 days ago, because older inbound messages are not stored again")
    target = target_of(given)
    print(target)
    print(work(target.app(), given.since, dry_run=not given.yes))
    return 0


def work(app: App, since: int, *, dry_run: bool) -> str:
    """Settle the tables, or say what that would do."""
    done = app.recover_after_restore(since, dry_run=dry_run)
    return "\n".join([f"restored to {iso(since)}", *_found(done), _end(done, dry_run=dry_run)])


def _found(done: Recovery) -> Iterator[str]:
    for ids, what, is_for_people in (
        (done.sent, "waited, and had gone out: settled", False),
        (done.doubtful, "may have gone out: never sent again by themselves; look them up", True),
        (done.unrecorded, "at Twilio whose record is lost: the orchestrator knows them from its events", True),
        (done.statuses, "of which Twilio knows a later status", False),
        (done.inbound, "inbound messages stored again", False),
        (done.opt_words, "STOPs and STARTs that count again", False),
        (done.slots, "contacts whose slot was set by what went out", False),
        (done.missing, "inbound messages that cannot be stored: see the webhook function's log", True),
    ):
        yield f"  {len(ids):5}  {what}"
        if is_for_people:
            yield from (f"           {one}" for one in ids)


def _end(done: Recovery, *, dry_run: bool) -> str:
    if dry_run:
        return "dry run: nothing was changed; it is done with --yes"
    if done.is_released:
        return "sending is released"
    if done.missing:
        return "sending stays held until these are stored"
    return f"sending is held: run it again at {iso(done.release_at or 0)} or later, when Twilio's list shows all"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
