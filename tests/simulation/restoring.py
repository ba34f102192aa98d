"""Schedules in which the tables are restored to an earlier moment, and settled by the recovery.

    python -m tests.simulation 200 --side restore

A schedule of the send side runs to a random moment, which is backed up, and on for minutes to hours. Sending is held,
messages, contacts or both are restored, and the recovery runs until it releases. The ledger alone judges.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from typing import Any

from whatsapp.bootstrap import App
from whatsapp.domain import periods
from whatsapp.domain.receiving.opt_out import opt_of
from whatsapp.use_cases.recover_after_restore import Recovery

from tests.simulation.case import DUPLICATE, RATE, STUCK, SURPRISE, WRONG, Violation
from tests.simulation.hub import HOUR, MINUTE, Crash, Worker
from tests.simulation.promises import HELD_AFTER, LIMIT
from tests.simulation.schedules import populate, random_world
from tests.simulation.script import Request
from tests.simulation.tables import Item
from tests.simulation.twilio import Entry
from tests.simulation.world import START, World

RESTORE_TAKES = (10 * MINUTE, 30 * MINUTE)
"""Longer than a caller goes on trying."""
MOST_RUNS = 60
HANGS_FOR = 20 * MINUTE
OTHERS = "others"
"""The tables that a copy names."""
Backup = dict[str, dict[tuple[str, ...], Item]]


class RestoringWorld:
    """One schedule, its restore and its recovery."""

    def __init__(self, seed: int) -> None:
        self.world: World = random_world(seed)
        self.since = self.held_at = self.released_at = 0
        self.restored: tuple[str, ...] = ()
        self.recoveries: list[Recovery] = []
        self.errors = 0

    def play(self) -> None:
        """The whole schedule."""
        rng = self.world.rng
        self._repeat_nothing()
        with self.world.installed() as world:
            populate(world)
            world.run(START + rng.randint(1_000, rng.choice((30_000, 6 * MINUTE, 3 * HOUR))))
            while self._do(lambda app: app.senders.mark()) is None:
                pass
            self.since, backup = world.hub.now, self._backup()
            world.run(world.hub.now + rng.randint(MINUTE, 5 * HOUR))
            both = ("messages", "contacts")
            self.restored = rng.choice((both, ("contacts",), ("messages",)))
            world.faults.met.add(f"restore of {' and '.join(self.restored)}")
            while self._do(lambda app: app.senders.hold(app.clock.now())) is None:
                pass
            self.held_at = world.hub.now
            world.pass_time(rng.randint(*RESTORE_TAKES))
            self._restore(backup)
            self._recover()
            world.run()

    # --- what happens ----------------------------------------------------------------------------------------------

    def _repeat_nothing(self) -> None:
        """What a restore cannot make good, docs/operations.md names: requests repeated by their callers, and erasures.

        So there are none. And no other operator releases the hold.
        """
        world, request, release = self.world, self.world.request, self.world._release

        def asked(key: str, body: dict[str, Any], *, queued: bool = False) -> Request:
            is_repeated = self.since and key in world.script.requests
            return world.script.requests[key] if is_repeated else request(key, body, queued=queued)

        vars(world).update(
            request=asked,
            erase=lambda _: None,
            cancel_group=lambda *_: None,
            _release=lambda hold: None if self.held_at else release(hold),
        )

    def _backup(self) -> Backup:
        return {table: dict(self.world.tables[table].items) for table in ("messages", "contacts")}

    def _restore(self, backup: Backup) -> None:
        for table in self.restored:
            copies = {key: _of_a_copy(item) for key, item in backup[table].items()}
            self.world.tables[table].items.clear()
            self.world.tables[table].items.update(copies)
        self.world._stale = True

    def _recover(self) -> None:
        for _ in range(MOST_RUNS):
            began = self.world.hub.now
            if done := self._do(lambda app: app.recover_after_restore(self.since)):
                self.recoveries.append(done)
            sender = self.world.tables["messages"].items[("sender", "sender")]
            if "held_at" not in sender and sender["tables"]["S"] != OTHERS:  # also if the run died thereafter
                self.released_at = began
                return
            self.world.pass_time(5 * MINUTE)

    def _do(self, work: Callable[[App], Any]) -> Any:
        """An operator's process, which is ended when it hangs. None: it failed."""
        world, results = self.world, list[Any]()
        sandbox = world._sandbox()
        worker = Worker("operator", 0, sandbox, world.hub.now + HANGS_FOR)

        def run() -> None:
            result = None
            try:
                result = work(sandbox.app) or True
            except Crash:
                world._sandboxes.remove(sandbox)
            except Exception as error:  # noqa: BLE001 - whatever the faults made of it, it is run again
                world._failed(error)
            self.errors += result is None
            sandbox.busy = False
            results.append(result)

        world.hub.start(worker, run)
        while not results and world.hub.next_at is not None:
            world._plan_sweeps()
            world.hub.step()
        return results[0] if results else None

    # --- what is judged --------------------------------------------------------------------------------------------

    def violations(self) -> Iterator[Violation]:
        """What broke, by the ledger and the script."""
        yield from (Violation(WRONG, f"{SURPRISE}\n{bug}") for bug in self.world.unexpected)
        ledger = sorted(self.world.twilio.ledger, key=lambda entry: entry.accepted_at)
        if not self.released_at:
            yield Violation(STUCK, f"not released after {len(self.recoveries)} runs and {self.errors} errors")
        yield from self._twice(ledger)
        yield from self._too_close(ledger)
        yield from self._sent_while_held()
        yield from self._after_stop()

    def _twice(self, ledger: list[Entry]) -> Iterator[Violation]:
        """What failed at Twilio may go again, also under the id of a record that was lost."""
        arrived = [entry for entry in ledger if not entry.failed]
        records = Counter(entry.message_id for entry in arrived)
        requests = Counter(self._request_of(entry).key for entry in arrived)
        for name, counts in (("record", records), ("request", requests)):
            twice = [(one, count) for one, count in counts.items() if count > 1]
            yield from (Violation(DUPLICATE, f"{name} {one} went {count} times") for one, count in twice)

    def _too_close(self, ledger: list[Entry]) -> Iterator[Violation]:
        by_number: dict[str, list[Entry]] = defaultdict(list)
        for entry in ledger:
            if "in_reply_to" not in self._request_of(entry).body:
                by_number[entry.to].append(entry)
        for entries in by_number.values():
            for earlier, later in pairwise(entries):
                gap = later.accepted_at - earlier.accepted_at
                if gap < LIMIT and later.accepted_at > self.held_at:
                    yield Violation(RATE, f"{later.message_id} went {gap / 1000:.1f} s after another")

    def _sent_while_held(self) -> Iterator[Violation]:
        for post in self.world.twilio.posts:
            if self.held_at + HELD_AFTER < post.at < (self.released_at or post.at + 1):
                yield Violation(WRONG, f"held: {post.message_id} was posted")

    def _after_stop(self) -> Iterator[Violation]:
        """Whose last word before the restore was STOP gets nothing after the release until they write START.

        What came shortly before the backup, or since, the recovery finds in Twilio's list. What no webhook took earlier
        the reconcile would have stored each quarter: it does not run here.
        """
        asked_for = self.since - periods.RECONCILE_OVERLAP
        said = [one for one in self.world.script.said.values() if one.confirmed_at or one.at >= asked_for]
        for number in {one.address for one in said}:
            words = [(one.at // 1000, opt_of(one.text, None)) for one in said if one.address == number]
            if any(a[0] == b[0] and {a[1], b[1]} == {"in", "out"} for a, b in combinations(words, 2)):
                continue  # as fine as Twilio dates them
            before = [opt for at, opt in sorted(words, key=lambda word: word[0]) if opt and at * 1000 < self.held_at]
            starts = [at * 1000 for at, opt in words if opt == "in" and at * 1000 >= self.held_at]
            for post in self.world.twilio.posts:
                is_lifted = starts and min(starts) <= post.at
                if before[-1:] == ["out"] and post.to == number and post.at > self.released_at > 0 and not is_lifted:
                    yield Violation(WRONG, f"stop: {post.message_id} was posted after a STOP")

    def _request_of(self, entry: Entry) -> Request:
        request = self.world.script.request_of(entry.message_id)
        assert request, entry.message_id
        return request


def _of_a_copy(item: Item) -> Item:
    """A row as it stands in a table with another name."""
    return {**item, "tables": {"S": OTHERS}} if "tables" in item else item
