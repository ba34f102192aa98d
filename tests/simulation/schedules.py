"""What people do in one schedule: a few patients, a few messages each, most of them in each other's way."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from whatsapp.domain.sending.message import handle_of

from tests.simulation.faults import CALM, Outage, Rates
from tests.simulation.hub import HOUR, MINUTE
from tests.simulation.script import MESSAGE_IDS
from tests.simulation.world import START, World

NAMES = {"patient_name": "Asha", "therapist_name": "Dr. Rao"}
TEMPLATES: dict[str, dict[str, str]] = {
    "session_reminder": {**NAMES, "session_time": "2026-11-24T17:30:00+05:30"},
    "appointment_confirmation": {**NAMES, "appointment_date": "2026-11-26", "appointment_time": "17:30"},
    "follow_up": {**NAMES, "session_date": "2026-11-21"},
}
QUIET = ("", "", "", "21:00-08:00", "16:40-17:30")


OUTAGES = {
    "twilio": (0.12, ("refused", "503", "hanging")),
    "list": (0.25, ("refused",)),
    "limit": (0.12, ("20429", "63018", "63038")),
    "region": (0.12, ("disabled",)),
    "dynamodb": (0.16, ("slow", "crawling", "errors")),
}
"""What does not work for a while: in how many schedules, and how."""
HOUSEHOLD = ("user-rohan", "user-meera")
"""Who share a phone."""
FIVE_RECEIVES = 15 * MINUTE
"""Until a queue message whose workers crash is a dead letter."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A person: a number, and the id that WhatsApp may show instead."""

    number: str
    scoped_id: str


THEMES: tuple[Rates, ...] = (
    CALM,
    Rates(call=0.01),
    Rates(call=0.03, post=0.6),
    Rates(call=0.08, post=0.2),
    Rates(call=0.03, callback_lost=1),
    Rates(call=0.02, post=0.6, callback_lost=1, list_lag=0.9),
    Rates(call=0.01, post=0.8, callback_lost=1),
    Rates(call=0.01, post=0.6, accepted_late=0.7, late_failure=0.6, callback_lost=0.05),
)
"""What schedules are about: nothing wrong, or much of one kind, since rare things must meet to do harm."""


def random_world(seed: int) -> World:
    """A world whose settings and faults are drawn from the seed."""
    rng = random.Random(seed)
    rates = rng.choice(THEMES)
    quiet_hours, replies, to_ids = rng.choice(QUIET), rng.choice((1, 3)), rng.random() < 0.25
    return World(seed, rates, quiet_hours=quiet_hours, replies_per_inbound=replies, send_to_ids=to_ids)


def populate(world: World) -> None:
    """Draw what happens in a world, and when."""
    rng = world.rng
    _outages(world)
    _operators(world)
    patients = [Patient(f"+9198000000{n:02}", f"IN.{seed_digits(world.seed)}{n:02}") for n in range(rng.randint(1, 2))]
    if rng.random() < 0.13:
        _crashes(world, patients)
    for patient in patients:
        span = rng.choice((20_000, 5 * MINUTE, 3 * HOUR))
        replies = _inbound_messages(world, patient, span)
        for number in range(rng.randint(1, 4)):
            _message(world, patient, f"{patient.number}-{number}", START + rng.randint(0, span), replies)
        if rng.random() < 0.15:
            _twins(world, patient, START + rng.randint(0, span))
        if rng.random() < 0.25:
            _tie(world, patient, START + rng.randint(0, span))
        if rng.random() < 0.2:
            _appointment(world, patient, START + rng.randint(0, span))
        if rng.random() < 0.2:
            _hidden(world, patient, START + rng.randint(0, span))
        _words(world, patient, span)
        if rng.random() < 0.12:
            _erase(world, patient, START + rng.randint(0, span + HOUR))
        if rng.random() < 0.12:
            _put_contact(world, patient, START + rng.randint(0, span + HOUR))


def _outages(world: World) -> None:
    """Something around us does not work, for minutes or hours."""
    rng = world.rng
    for what, (share, hows) in OUTAGES.items():
        if rng.random() < share:
            begins = START + rng.choice((0, rng.randint(0, 20_000), rng.randint(0, 3 * HOUR)))
            lasts = rng.choice((rng.randint(MINUTE, 10 * MINUTE), HOUR, 3 * HOUR))
            world.faults.outages = (*world.faults.outages, Outage(what, begins, begins + lasts, rng.choice(hows)))
            world.hub.at(begins + lasts + rng.randint(MINUTE, 2 * HOUR), world.redrive)


def _crashes(world: World, patients: Sequence[Patient]) -> None:
    """The queue's workers crash while it has work; an operator redrives what died of it, often before all is mended."""
    rng = world.rng
    begins = START + rng.choice((0, 50 * MINUTE))
    ends = begins + FIVE_RECEIVES + rng.randint(MINUTE, HOUR)
    how = rng.choice(("crashing", "crashing at once", "crashing at once"))
    world.faults.outages = (*world.faults.outages, Outage("queue worker", begins, ends, how))
    for patient in patients:
        body = {"to": patient.number, "template": "follow_up", "variables": TEMPLATES["follow_up"]}
        for number in range(2):  # the second waits for an hour
            at, queued = START + rng.randint(0, 20_000), rng.random() < 0.5
            key = f"{patient.number}-crash-{number}"
            world.hub.at(at, lambda key=key, body=body, queued=queued: world.request(key, body, queued=queued))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
    if rng.random() < 0.3:  # they are forgotten instead: their requests are dead letters
        for patient in patients:
            _erase(world, patient, ends + rng.randint(-10 * MINUTE, 3 * HOUR))
        return
    for _ in range(2):
        redrive = world.redrive_by_sqs if rng.random() < 0.4 else world.redrive
        world.hub.at(ends + rng.choice((-10 * MINUTE, -MINUTE, 1_000, 30_000, 2 * MINUTE, HOUR)), redrive)


def _operators(world: World) -> None:
    """What operators do: hold and release, rotate the token, redrive; and what WhatsApp does to a template."""
    rng = world.rng
    if rng.random() < 0.08:
        at = START + rng.choice((0, rng.randint(0, 20_000), rng.randint(0, 2 * HOUR)))
        world.hub.at(at, lambda: world.hold(at + rng.choice((2 * MINUTE, 20 * MINUTE, 3 * HOUR))))
    if rng.random() < 0.18:
        _rotate(world, START + rng.choice((MINUTE, rng.randint(0, 5 * MINUTE), rng.randint(0, 2 * HOUR))))
    if rng.random() < 0.35:
        at = START + rng.choice((0, 0, rng.randint(0, 20_000), rng.randint(0, 2 * HOUR)))
        name, lasts = rng.choice(list(TEMPLATES)), rng.choice((5 * MINUTE, 40 * MINUTE, 3 * HOUR, 6 * HOUR))
        world.hub.at(at, lambda: world.pause_template(name, at + lasts))
    for _ in range(rng.choice((0, 0, 1, 2))):
        world.hub.at(START + rng.randint(0, 8 * HOUR), world.redrive)
    if rng.random() < 0.25:
        world.hub.at(START + rng.randint(10 * MINUTE, 5 * HOUR), world.redrive_by_sqs)


def _rotate(world: World, at: int) -> None:
    """The auth token is rotated: in the order of the runbook, or too hastily. Then it is refused for a while."""
    secondary = "token 1"

    def promote() -> None:
        world.twilio.tokens = {secondary}

    def begin() -> None:
        world.twilio.tokens.add(secondary)
        world.store_token(secondary)

    hasty = world.rng.random() < 0.7
    promoted_at = at - world.rng.choice((5_000, MINUTE, 20 * MINUTE, 2 * HOUR)) if hasty else at + 15 * MINUTE
    world.hub.at(promoted_at, promote)
    world.hub.at(at, begin)


def _appointment(world: World, patient: Patient, at: int) -> None:
    """A confirmation, a reminder and a nudge of one group; the patient may answer, and the appointment may move."""
    rng, group = world.rng, f"appointment-{patient.number[1:]}"
    world.faults.met.add("group")
    hour = {"session_time": _iso(at + 12 * HOUR)}
    reminder = {"template": "session_reminder", "variables": {**NAMES, **hour}, "send_at": _iso(at + 2 * HOUR)}
    nudge = {"template": "mood_checkin", "variables": NAMES, "send_at": _iso(at + rng.randint(3, 5) * HOUR)}
    nudge["unless"] = rng.choice(("answered", "answered", "delivered", "read"))
    confirmation = {"template": "follow_up", "variables": TEMPLATES["follow_up"]}
    if rng.random() < 0.5:
        confirmation["answer_by"] = _iso(at + rng.choice((MINUTE, HOUR, 7 * HOUR)))
    plan = {"confirmation": confirmation, "reminder": reminder, "nudge": nudge}

    def ask(which: str, name: str) -> None:
        body = {"to": patient.number, "group": group, **plan[which]}
        world.request(f"{group}-{name}", body, queued=rng.random() < 0.5)

    for which in plan:
        world.hub.at(at + rng.choice((0, 0, 50, 20_000)), lambda which=which: ask(which, which))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
    if rng.random() < 0.5:
        _say(world, patient, at + rng.choice((MINUTE, 30 * MINUTE, 4 * HOUR)), "Confirm")
    if rng.random() < 0.6:

        def ask_anew() -> None:
            for which in plan:
                ask(which, f"moved-{which}")

        def move() -> None:
            world.cancel_group(group, ask_anew)

        if rng.random() < 0.5:
            status = rng.choice(("claimed", "sending", "unknown", "deferred", "retrying"))
            which = rng.choice(list(plan))
            world.when(MESSAGE_IDS.of(f"{group}-{which}"), status, move, rng.choice((0, 100, 2_500, 8_000)))
        else:
            world.hub.at(at + rng.choice((-3_000, 30, 1_000, 20_000, 10 * MINUTE, 2 * HOUR, 3 * HOUR)), move)


def _words(world: World, patient: Patient, span: int) -> None:
    """A STOP, and perhaps a START: hours apart, or seconds, and the one that was written first may come last."""
    rng = world.rng
    if rng.random() < 0.15:
        at = START + rng.randint(0, span + HOUR)
        _say(world, patient, at, "STOP", rng.choice((0, 0, rng.randint(1, 14_000))))
        if rng.random() < 0.6:
            apart = rng.choice((-14_000, -3_000, -900, 700, 2_000, 9_000, 8 * MINUTE, rng.randint(0, 2 * HOUR)))
            world.faults.met.add("STOP and START within seconds" if abs(apart) < MINUTE else "STOP and START")
            _say(world, patient, at + apart, "START", rng.choice((0, 0, rng.randint(1, 14_000))))
            again = {"to": patient.number, "template": "follow_up", "variables": TEMPLATES["follow_up"]}
            after = max(at, at + apart) + rng.choice((15_000, MINUTE, 20 * MINUTE))
            world.hub.at(after, lambda: world.request(f"{patient.number}-after-words", again))


def _erase(world: World, patient: Patient, at: int) -> None:
    """The person is forgotten, under either address; a message may be asked for just before, and again long after."""
    rng = world.rng
    world.hub.at(at, lambda: world.erase(rng.choice((patient.number, patient.number, patient.scoped_id))))
    request = {"to": patient.number, "template": "follow_up", "variables": TEMPLATES["follow_up"]}
    if rng.random() < 0.5:
        send_at = {"send_at": _iso(at + rng.randint(MINUTE, 3 * HOUR))} if rng.random() < 0.5 else {}
        before = at - rng.choice((4_000, 20_000, MINUTE, 5 * MINUTE, HOUR))
        queued = rng.random() < 0.7
        key = f"{patient.number}-before-erasure-{at - START}"  # some are erased twice
        world.hub.at(before, lambda: world.request(key, {**request, **send_at}, queued=queued))
    if rng.random() < 0.3:
        world.hub.at(at + rng.choice((MINUTE, 5 * HOUR)), lambda: world.request(f"{patient.number}-anew", request))


def _put_contact(world: World, patient: Patient, at: int) -> None:
    """Somebody notes who the number is, and that they consented."""
    values = {"user_id": "user-1", "agent": "scheduling", "opted_in_at": at, "opt_in_source": "paper"}
    world.hub.at(at, lambda: world.put_contact(patient.number, **values))


def seed_digits(seed: int) -> str:
    """A few digits for an id."""
    return f"134{seed % 10_000:04}"


def _hidden(world: World, patient: Patient, at: int) -> None:
    """The patient writes with their number hidden, and is written to at the id, which Twilio may not take."""
    rng = world.rng
    world.twilio.takes_ids = world.twilio.takes_ids and rng.random() < 0.4
    sid = _say(world, patient, at, "hello", address=patient.scoped_id)
    answer = {"to": patient.scoped_id, "text": "see you then", "in_reply_to": sid}
    reminder = {"to": patient.scoped_id, "template": "follow_up", "variables": TEMPLATES["follow_up"]}
    for name, body in (("answer", answer), ("reminder", reminder)):
        later = at + rng.choice((3_000, 20 * MINUTE, 2 * HOUR))
        send_at = {"send_at": _iso(later + HOUR)} if body is reminder and rng.random() < 0.5 else {}
        key, asked = f"{patient.scoped_id}-{name}", {**body, **send_at}
        world.hub.at(later, lambda key=key, asked=asked: world.request(key, asked))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
    if rng.random() < 0.5:  # both addresses in one message: the number is known from then on
        shown_at = at + rng.choice((MINUTE, 30 * MINUTE))
        world.hub.at(shown_at, lambda: world.tie(patient.scoped_id, patient.number))
        _say(world, patient, shown_at, "it is me")


def _inbound_messages(world: World, patient: Patient, span: int) -> list[tuple[int, str]]:
    """The patient writes up to twice; each may be answered."""
    said = []
    for _ in range(world.rng.choice((0, 0, 1, 2))):
        at = START + world.rng.randint(0, span)
        said.append((at, _say(world, patient, at, "hello")))
    return said


def _say(world: World, patient: Patient, at: int, text: str, late: int = 0, address: str = "") -> str:
    sid = f"SM{world.rng.getrandbits(128):032x}"
    world.hub.at(at, lambda: world.inbound(sid, address or patient.number, text, late))
    return sid


def _twins(world: World, patient: Patient, at: int) -> None:
    """Two replies with the same words: where both are in doubt, Twilio's list does not tell them apart."""
    sid = _say(world, patient, at, "hello")
    answer = {"to": patient.number, "text": "see you then", "in_reply_to": sid, "on_unknown": "resend"}
    for twin in ("one", "other"):
        at += world.rng.choice((3_000, 20_000, 4 * MINUTE))
        key = f"{patient.number}-twin-{twin}"
        world.hub.at(at, lambda key=key: world.request(key, answer))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults


def _tie(world: World, patient: Patient, at: int) -> None:
    for after in (0, 20 * MINUTE, 3 * HOUR):  # each later inbound message looks again
        world.hub.at(at + after, lambda: world.tie(patient.scoped_id, patient.number))


def _message(world: World, patient: Patient, key: str, at: int, replies: list[tuple[int, str]]) -> None:
    """One message: how it is asked for, how often, and whether it is called off."""
    rng = world.rng
    body, at = _body(world, patient, at, replies)
    times = 2 if rng.random() < 0.25 else 1
    doors = [rng.random() < 0.5 for _ in range(times)]
    if len(set(doors)) == 2:
        world.faults.met.add("two doors for one key")
    for queued in doors:
        world.hub.at(at, lambda queued=queued: world.request(key, body, queued=queued))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
        at += rng.choice((1, 50, 30_000, 90 * MINUTE))
    if rng.random() < 0.2:
        called_off = at + rng.choice((-5_000, 30, 300, 3_000, 20 * MINUTE, 70 * MINUTE))
        world.hub.at(called_off, lambda: world.cancel(handle_of(key)))

    if rng.random() < 0.35:
        _interfere(world, patient, MESSAGE_IDS.of(key))
    if "template" in body and rng.random() < 0.06:
        status, stall = rng.choice(("claimed", "sending", "retrying", "retrying")), rng.choice((0, 2_500, 8_000))
        world.switch_wording(body["template"], MESSAGE_IDS.of(key), status, stall)
    if rng.random() < 0.1:
        _tap(world, patient, MESSAGE_IDS.of(key))
    if rng.random() < 0.25:  # and another one, just when the slot opens
        again = {"to": patient.number, "template": "session_reminder", "variables": TEMPLATES["session_reminder"]}
        wait = HOUR + rng.randint(-15_000, 9_000)
        world.when(
            MESSAGE_IDS.of(key),
            "sent",
            lambda: world.hub.at(world.hub.now + wait, lambda: world.request(f"{key}-next", again)),
        )


def _tap(world: World, patient: Patient, message_id: str) -> None:
    """The patient taps the message to answer it, within seconds."""
    sid, after = f"SM{world.rng.getrandbits(128):032x}", world.rng.randint(1_000, 30_000)

    def tap() -> None:
        world.hub.at(world.hub.now + after, lambda: world.answer(message_id, sid, patient.number))

    world.when(message_id, "sent", tap)


def _interfere(world: World, patient: Patient, message_id: str) -> None:
    """Something comes between two steps of the message, at the worst moment: its worker stalls there."""
    status = world.rng.choice(("claimed", "claimed", "sending", "retrying", "unknown"))
    stall = world.rng.choice((0, 100, 2_500, 8_000, 15_000, 29_000))
    sid = f"SM{world.rng.getrandbits(128):032x}"
    actions = (lambda: world.cancel(message_id), lambda: world.inbound(sid, patient.number, "STOP"), lambda: None)
    world.when(message_id, status, world.rng.choice(actions), stall)


def _body(world: World, patient: Patient, at: int, replies: list[tuple[int, str]]) -> tuple[dict[str, Any], int]:
    rng = world.rng
    to = patient.scoped_id if rng.random() < 0.15 else patient.number
    body: dict[str, Any] = {"to": to}
    if rng.random() < 0.6:
        body["user_id"] = rng.choice(HOUSEHOLD)
    if replies and rng.random() < 0.6:
        said_at, sid = rng.choice(replies)
        at = said_at + rng.choice((500, 3_000, MINUTE, 5 * HOUR, 24 * HOUR - 1_000))
        body["in_reply_to"] = sid
        body["to"] = patient.number
    if "in_reply_to" in body and rng.random() < 0.5:
        body["text"] = rng.choice(("see you then", f"note {rng.randint(0, 9)}"))
        if rng.random() < 0.4:
            body["choices"] = [{"id": f"slot-{n}", "title": f"{n} pm"} for n in range(1, rng.choice((2, 3, 6)))]
            world.faults.met.add("choices")
    else:
        body["template"] = rng.choice(list(TEMPLATES))
        body["variables"] = TEMPLATES[body["template"]]
    if body.get("template") == "session_reminder" and rng.random() < 0.5:
        session = at + rng.choice((-MINUTE, 2 * MINUTE, 70 * MINUTE, 2 * HOUR))
        body["variables"] = {**NAMES, "session_time": _iso(session)}
    if rng.random() < 0.15:
        body["send_at"] = _iso(at + rng.randint(MINUTE, 2 * HOUR))
        world.faults.met.add("send_at")
    if rng.random() < 0.25:
        body["expires_at"] = _iso(at + rng.choice((2 * HOUR + 5_000, 5 * HOUR, 6 * HOUR)))
    elif rng.random() < 0.15 and "send_at" not in body:
        body["expires_at"] = _iso(at + rng.choice((MINUTE, 10 * MINUTE, 61 * MINUTE)))
    if rng.random() < 0.4:
        body["on_unknown"] = "resend"
    if rng.random() < 0.1:
        body["on_rate_limit"] = "reject"
    return body, at


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat()
