"""What patients do in one schedule of the receive side, and who judges it."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from whatsapp.domain import periods
from whatsapp.domain.sending.lifecycle import Status

from tests.simulation.case import LOST, STUCK, SURPRISE, WRONG, Violation
from tests.simulation.faults import CALM, Outage, Rates
from tests.simulation.hub import HOUR, MINUTE
from tests.simulation.receiving import LOOK_BACK, TIMEOUT, ReceivingWorld, Written, same
from tests.simulation.schedules import TEMPLATES
from tests.simulation.twilio import SENDER
from tests.simulation.world import START

SAID = ("hello", "thank you", "how are you?", "Confirm", "I am late")
LONGEST_OUTAGE = {"webhook": 35 * MINUTE, "bus": 30 * MINUTE, "twilio": 12 * MINUTE}
"""A webhook's and the API's outage together stay within what a reconcile looks back."""
APART = (1_000, 2_000, 9_000, 30_000, 2 * MINUTE, 7 * MINUTE, 14 * MINUTE)
"""Between a patient's messages: down to the second in which Twilio dates them, though webhooks come 25 s late."""
SECOND_PASS = 17 * MINUTE
"""An erasure's first pass may miss what the index does not show yet; until the second, that may still be published."""
PERSONAL = ("address", "user_id", "agent", "last_inbound_at", "last_outbound_agent")
DATED_LATE = 80_000
"""A webhook is dated when it is stored: after Twilio's last try, and what a slow worker takes."""


def random_receiving_world(seed: int) -> ReceivingWorld:
    """A world whose faults and outages are drawn from the seed; one in ten is without any."""
    rng = random.Random(seed)
    if rng.random() < 0.1:
        return ReceivingWorld(seed, CALM)
    rates = replace(
        Rates(), call=rng.choice((0.02, 0.05, 0.1)), budget=25, post=0.1, callback_lost=rng.choice((0.1, 0.6))
    )
    outages = []
    for what, longest in LONGEST_OUTAGE.items():
        if rng.random() < 0.5:
            begins = START + rng.randint(0, HOUR)
            outages.append(Outage(what, begins, begins + rng.randint(MINUTE, longest)))
    return ReceivingWorld(seed, rates, outages)


def populate_receiving(world: ReceivingWorld) -> None:
    """Draw what patients write, and when; and some messages of ours to answer."""
    rng = world.rng
    last = START
    for number in range(rng.randint(1, 3)):
        address = f"+9198000000{number:02}"
        if rng.random() < 0.5:
            world.hub.at(START + rng.randint(0, 5 * MINUTE), partial(_confirmation, world, address))
        at = START + rng.randint(0, 10 * MINUTE)
        for _ in range(rng.randint(2, 7)):
            hidden = rng.random() < 0.15
            written = _hidden(world, address, at) if hidden else _written(world, address, at)
            world.hub.at(at, partial(world.write, written))
            last = max(last, at)
            at += rng.choice(APART)
        if rng.random() < 0.3:
            erased_at = START + rng.randint(0, HOUR)
            world.hub.at(erased_at, partial(world.erase, address))
    world.reconcile_until(last + LOOK_BACK)


def _confirmation(world: ReceivingWorld, address: str) -> None:
    body = {"to": address, "template": "appointment_confirmation", "variables": TEMPLATES["appointment_confirmation"]}
    world.request(f"to {address}", body)


def _written(world: ReceivingWorld, address: str, at: int) -> Written:
    rng = world.rng
    kind = rng.random()
    text = rng.choice(("STOP", "START")) if kind < 0.5 else rng.choice(SAID)
    lag = rng.randint(0, 5 * MINUTE) if rng.random() < world.faults.rates.list_lag else 0
    return Written(
        sid=f"{'MM' if kind > 0.8 else 'SM'}{rng.getrandbits(128):032x}",
        address=address,
        at=at,
        text=text,
        media=rng.choice((1, 2)) if kind > 0.8 else 0,
        listed_at=at + lag,
        more={"ExternalUserId": _id_of(address)} if rng.random() < 0.5 else {},
    )


def _hidden(world: ReceivingWorld, address: str, at: int) -> Written:
    """The same patient, of whom WhatsApp shows nothing but its id."""
    sid = f"SM{world.rng.getrandbits(128):032x}"
    hidden = _id_of(address).removeprefix("whatsapp:")
    return Written(sid=sid, address=hidden, number=address, at=at, text=world.rng.choice(SAID), listed_at=at)


def _id_of(address: str) -> str:
    return f"whatsapp:IN.{address[1:]}"


# --- judging ----------------------------------------------------------------------------------------------------------


def judge_receiving(world: ReceivingWorld) -> list[Violation]:
    """Everything that is wrong in a world that came to rest."""
    found = [Violation(WRONG, f"{SURPRISE}\n{bug}") for bug in world.unexpected]
    found += [Violation(WRONG, f"moved back: {what}") for what in world.steps_back]
    for rule in (
        _nothing_lost,
        _nothing_unpublished,
        _nothing_twice,
        _last_word_counts,
        _window,
        _statuses,
        _media,
        _erased,
        _erased_rows,
    ):
        found += rule(world)
    return found


def _is_erased(world: ReceivingWorld, written: Written) -> bool:
    return written.contact_id in world.erased


def _nothing_lost(world: ReceivingWorld) -> Iterator[Violation]:
    stored = world.stored()
    for written in world.received.written:
        item = stored.get(written.sid)
        if item is None and not _is_erased(world, written):
            yield Violation(LOST, f"{written.sid}, written at {written.at}, is not stored")
        elif (
            item and "text" in item and (item["text"] != written.text or item["contact_id"] not in written.stored_under)
        ):
            yield Violation(WRONG, f"{written.sid} is not what was written, or not whose")
        elif item and item.get("to") != SENDER:
            yield Violation(WRONG, f"{written.sid} does not say which of our senders was written to")
    for sid in set(stored) - {written.sid for written in world.received.written}:
        yield Violation(WRONG, f"{sid} was never written")


def _nothing_unpublished(world: ReceivingWorld) -> Iterator[Violation]:
    published = world.published("message.received")
    for sid, item in world.stored().items():
        if "due_at" in item:
            yield Violation(STUCK, f"{sid} still waits for {item['due_shard']}")
        if sid not in published and "erased" not in item:
            yield Violation(LOST, f"{sid} was never published")
        opted = {"out": "contact.opted_out", "in": "contact.opted_in"}.get(item.get("opt", ""))
        if opted and "erased" not in item and not any(key.startswith(sid) for key in world.published(opted)):
            yield Violation(LOST, f"{sid}: {opted} was never published")


def _nothing_twice(world: ReceivingWorld) -> Iterator[Violation]:
    """As a consumer that dedupes on `event_id` sees it: one event a message, always the same."""
    about = [
        event_id
        for event_id, events in world.published("message.received").items()
        for _ in {e["message_id"] for e in events}
    ]
    messages = [events[0]["message_id"] for events in world.published("message.received").values()]
    if len(about) != len(messages) or len(set(messages)) != len(messages):
        yield Violation(WRONG, "one message was published as two")
    for event_id, events in world.published("message.received").items():
        if not same(events):
            yield Violation(WRONG, f"{event_id} was not the same each time")


def _last_word_counts(world: ReceivingWorld) -> Iterator[Violation]:
    contacts = world.contacts()
    for contact_id in {written.contact_id for written in world.received.written}:
        said = [w for w in world.received.written if w.contact_id == contact_id and w.text in ("STOP", "START")]
        words = [w for w in said if w.sid in world.stored()]
        if not words:
            continue
        last = max(words, key=lambda w: w.at)
        stops = [w for w in said if w.text == "STOP" and abs(last.at - w.at) <= periods.WORDS_UNORDERED]
        if last.text == "START" and stops and contact_id in world.erased:
            continue  # erased at Twilio too: nothing dates the two any more, so STOP stands
        out = contacts[contact_id].opted_out_at is not None
        if out != (last.text == "STOP"):
            yield Violation(WRONG, f"{contact_id} said {last.text} last, and opted_out_at says otherwise")


def _window(world: ReceivingWorld) -> Iterator[Violation]:
    contacts = world.contacts()
    for contact_id in {written.contact_id for written in world.received.written} - set(world.erased):
        theirs = [written for written in world.received.written if written.contact_id == contact_id]
        contact = contacts.get(contact_id)
        tied = contact.ids if contact else ()
        last = max((w.at for w in theirs if w.stored_under <= set(tied)), default=0)
        if contact and last and not last - 2_000 <= (contact.last_inbound_at or 0) <= last + DATED_LATE:
            yield Violation(WRONG, f"{contact_id}: the window is not that of the last message")


def _statuses(world: ReceivingWorld) -> Iterator[Violation]:
    """Whatever callbacks were lost, the questions after 1, 12 and 24 hours find out."""
    by_sid = {message.twilio_sid: message for message in world.messages().values()}
    for entry in world.twilio.ledger:
        message = by_sid.get(entry.sid) if entry.sid not in world.twilio.deleted else None
        if message and message.status is Status.SENT and entry.status not in ("queued", "sent"):
            yield Violation(STUCK, f"{message.message_id} is sent, and Twilio says {entry.status}")


def _media(world: ReceivingWorld) -> Iterator[Violation]:
    published = world.published("message.media_stored")
    for written in world.received.written:
        item = world.stored().get(written.sid, {})
        if "erased" in item or not item or _is_erased(world, written):
            continue
        for index in range(written.media):
            key = f"media/{written.contact_id}/{written.sid}/{index}"
            if world.files.bucket.get(key) != written.medium(index).encode():
                yield Violation(LOST, f"{key} is not in the bucket")
            if f"{written.sid}#media#{index}" not in published:
                yield Violation(LOST, f"{key} was never published")


def _erased(world: ReceivingWorld) -> Iterator[Violation]:
    stored = world.stored()
    for contact_id, erased_at in world.erased.items():
        for written in world.received.written:
            if written.number:
                continue  # under an id that nobody had tied to them yet, it is not found
            item = stored.get(written.sid)
            if written.contact_id == contact_id and written.at < erased_at - DATED_LATE and item and "text" in item:
                yield Violation(WRONG, f"{written.sid} was erased, and its text is back")
            confirmed = world.erasure_confirmed[contact_id]
            is_theirs = written.contact_id == contact_id and written.at < erased_at
            if is_theirs and world.stored_at.get(written.sid, 0) > confirmed + TIMEOUT:
                yield Violation(WRONG, f"{written.sid} was brought back after its writer was erased")
            published = [at for event, at in world.published_at() if event["event_id"] == written.sid]
            if is_theirs and any(at > confirmed + SECOND_PASS for at in published):
                yield Violation(WRONG, f"{written.sid} was published after its writer was erased")


def _erased_rows(world: ReceivingWorld) -> Iterator[Violation]:
    """Who neither wrote nor was written to since, has nothing personal on their row."""
    contacts = world.contacts()
    for contact_id, erased_at in world.erased.items():
        wrote = any(w.contact_id == contact_id and w.at > erased_at - DATED_LATE for w in world.received.written)
        asked = any(m.contact_id == contact_id and m.created_at > erased_at for m in world.messages().values())
        contact = contacts.get(contact_id)
        if wrote or asked or contact is None:
            continue
        back = [name for name in PERSONAL if getattr(contact, name) is not None]
        if back:
            yield Violation(WRONG, f"{contact_id} was erased, and {', '.join(back)} came back")
