"""Schedules in which the tables are restored to an earlier moment, and settled by the recovery.

    python -m tests.simulation.restoring 200 --seed 1      the last line counts what broke

A schedule of the send side runs to a random moment, which is backed up, and on for minutes to hours. Sending is held,
messages, contacts or both are restored, and the recovery runs until it releases. The ledger alone judges.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from whatsapp.domain.ports import TwilioMessage
from whatsapp.domain.receiving.opt_out import opt_of
from whatsapp.domain.sending.message import SendKind
from whatsapp.use_cases.recover_after_restore import Recovery

from tests.simulation import dynamodb
from tests.simulation.hub import HOUR, MINUTE, Worker
from tests.simulation.referee import AFTER_FENCE, LIMIT
from tests.simulation.schedules import populate, random_world
from tests.simulation.twilio import SENDER, Entry
from tests.simulation.world import START, Request, World

KEYS = {"messages": ("message_id", "entry"), "contacts": ("contact_id",)}
RESTORE_TAKES = 30 * MINUTE
MOST_RUNS = 60
HANGS_FOR = 20 * MINUTE
Backup = dict[str, list[dict[str, Any]]]


class RestoringWorld:
    """One schedule, its restore and its recovery."""

    def __init__(self, seed: int) -> None:
        self.world: World = random_world(seed)
        self.since = self.held_at = self.released_at = 0
        self.restored: tuple[str, ...] = ()
        self.recoveries: list[Recovery] = []
        self.errors = 0
        self._said: list[TwilioMessage] = []

    def play(self) -> None:
        """The whole schedule."""
        rng = self.world.rng
        self._listen()
        with self.world.installed() as world:
            populate(world)
            world.run(START + rng.randint(1_000, rng.choice((30_000, 6 * MINUTE, 3 * HOUR))))
            self._do(lambda app: app.senders.mark())
            self.since, backup = world.hub.now, self._backup()
            world.run(world.hub.now + rng.randint(MINUTE, 5 * HOUR))
            self.restored = rng.choice(
                (("messages", "contacts"), ("messages", "contacts"), ("contacts",), ("messages",))
            )
            self._do(lambda app: app.senders.hold(app.clock.now()))
            self.held_at = world.hub.now
            world.pass_time(RESTORE_TAKES)
            self._restore(backup)
            self._recover()
            world.run()

    # --- what happens ----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Twilio lists what patients wrote; callers repeat nothing that was asked for before the restore."""
        world, inbound, request = self.world, self.world.inbound, self.world.request

        def heard(sid: str, address: str, text: str) -> None:
            at = world.hub.now
            self._said.append(
                TwilioMessage(
                    twilio_sid=sid,
                    status="received",
                    direction="inbound",
                    from_=address,
                    to=SENDER,
                    body=text,
                    date_created=at // 1000 * 1000,
                )
            )
            inbound(sid, address, text)

        def asked(key: str, body: dict[str, Any], *, queued: bool = False) -> Request:
            if self.held_at and key in world.requests:
                return world.requests[key]
            return request(key, body, queued=queued)

        def received(since: int, until: int | None = None) -> Iterator[TwilioMessage]:
            shown = [one for one in reversed(self._said) if since <= one.date_created <= (until or one.date_created)]
            yield from world.call("list received", lambda: shown, slow=300, lost=lambda: shown, refused=lambda: shown)

        vars(world).update(inbound=heard, request=asked)
        vars(world.twilio).update(list_received=received)

    def _backup(self) -> Backup:
        return {table: json.loads(json.dumps(self.world.tables.items(table))) for table in KEYS}

    def _restore(self, backup: Backup) -> None:
        for table in self.restored:
            for item in self.world.tables.items(table):
                key = {name: item[name] for name in KEYS[table]}
                dynamodb.apply("DeleteItem", {"TableName": table, "Key": key})
            for item in backup[table]:
                copy = {**item, "tables": {"S": "others"}} if "tables" in item else item
                dynamodb.apply("PutItem", {"TableName": table, "Item": copy})
        self.world._stale = True

    def _recover(self) -> None:
        for _ in range(MOST_RUNS):
            done = self._do(lambda app: app.recover_after_restore(self.since))
            if done is not None:
                self.recoveries.append(done)
                if done.is_released:
                    self.released_at = self.world.hub.now
                    return
            self.world.pass_time(5 * MINUTE)

    def _do(self, work: Any) -> Any:
        """An operator's process, which is ended when it hangs. None: it failed."""
        world, results = self.world, []
        sandbox = world._sandbox()
        worker = Worker("operator", sandbox, world.hub.now + HANGS_FOR)

        def run() -> None:
            try:
                results.append(work(sandbox.app))
            except BaseException as error:  # noqa: BLE001 - whatever the faults made of it, it is run again
                self.errors += 1
                results.append(None)
                world._failed(error) if isinstance(error, Exception) else world._sandboxes.remove(sandbox)
            sandbox.busy = False

        world.hub.start(worker, run)
        while not results and world.hub.next_at is not None:
            world._plan_sweeps()
            world.hub.step()
        return results[0] if results else None

    # --- what is judged --------------------------------------------------------------------------------------------

    def violations(self) -> Iterator[str]:
        """What broke, by the ledger."""
        ledger = sorted(self.world.twilio.ledger, key=lambda entry: entry.accepted_at)
        if not self.released_at:
            yield f"stuck: not released after {len(self.recoveries)} runs and {self.errors} errors"
        for message_id, entries in self._by_message(ledger).items():
            if len(entries) > 1:
                yield f"duplicate: record {message_id} has {len(entries)} messages at Twilio"
        for message_id, count in self._arrivals(ledger).items():
            if count > 1:
                yield f"duplicate: request {message_id} reached the patient {count} times"
        yield from self._too_close(ledger)
        yield from self._sent_while_held()
        yield from self._after_stop()

    def _by_message(self, ledger: list[Entry]) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in ledger:
            found[entry.message_id].append(entry)
        return found

    def _arrivals(self, ledger: list[Entry]) -> Counter[str]:
        """How often each request reached its patient, under any record."""
        messages = self.world.messages()

        def first(message_id: str) -> str:
            message = messages.get(message_id)
            return first(message.continues) if message and message.continues else message_id

        return Counter(first(entry.message_id) for entry in ledger if not entry.failed)

    def _too_close(self, ledger: list[Entry]) -> Iterator[str]:
        proactive = [entry for entry in ledger if entry.kind == SendKind.PROACTIVE]
        for to in {entry.to for entry in proactive}:
            for earlier, later in pairwise(entry for entry in proactive if entry.to == to):
                if later.accepted_at - earlier.accepted_at < LIMIT and later.accepted_at > self.held_at:
                    gap = (later.accepted_at - earlier.accepted_at) / 1000
                    yield f"rate violation: {later.message_id} went {gap:.1f} s after another"

    def _sent_while_held(self) -> Iterator[str]:
        for post in self.world.twilio.posts:
            if self.held_at + AFTER_FENCE + 20_000 < post.at < (self.released_at or post.at + 1):
                yield f"held: {post.message_id} was posted"

    def _after_stop(self) -> Iterator[str]:
        """Whose last word before the restore was STOP gets nothing after the release until they write START."""
        for number in {said.from_ for said in self._said}:
            words = [(said.date_created, opt_of(said.body, None)) for said in self._said if said.from_ == number]
            before = [opt for at, opt in words if opt and at < self.held_at]
            later = [at for at, opt in words if opt == "in" and at >= self.held_at]
            for post in self.world.twilio.posts:
                is_lifted = later and min(later) <= post.at
                if before[-1:] == ["out"] and post.to == number and post.at > self.released_at > 0 and not is_lifted:
                    yield f"stop: {post.message_id} was posted after a STOP"


def main(arguments: list[str]) -> int:
    """Run schedules; the exit status is 0 only if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.restoring")
    parser.add_argument("schedules", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    broken, counts = 0, Counter[str]()
    for seed in range(given.seed, given.seed + given.schedules):
        one = RestoringWorld(seed)
        one.play()
        found = [*one.violations(), *one.world.unexpected]
        broken += bool(found)
        for violation in found:
            print(f"seed {seed}, {'+'.join(one.restored)}: {violation}", flush=True)
        for done in one.recoveries:
            counts.update(sent=len(done.sent), doubtful=len(done.doubtful), statuses=len(done.statuses))
            counts.update(stops=len(done.opt_words), inbound=len(done.inbound), slots=len(done.slots))
        counts["unrecorded"] += len({sid for done in one.recoveries for sid in done.unrecorded})
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"restoring: {given.schedules} schedules from seed {given.seed}, {broken} broken ({told})")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
