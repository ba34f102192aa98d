"""`answer_by`: one event if nobody answered by then, with what the caller needs to phone."""

from typing import Any

import pytest
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import MessageUnanswered
from whatsapp.domain.ports import InDoubt
from whatsapp.domain.schedule import iso

from tests.app import PATIENT, UnitApp, message_id_of
from tests.fakes import NOON

HOUR = 3_600_000
GROUP = "appointment-4711"


@pytest.fixture(autouse=True)
def approved(app: UnitApp) -> None:
    app.approve()


def send(app: UnitApp, key: str = "m", **request: Any) -> None:
    app.send(key, **{"answer_by": iso(NOON + 2 * HOUR), "user_id": "patient-asha", **request})


def unanswered(app: UnitApp, after: int = 2 * HOUR) -> list[MessageUnanswered]:
    """What is published when the sweep comes then."""
    app.clock.at = NOON + after
    app.publish_unanswered(app.deadline)
    return [event for event in app.bus.events if isinstance(event, MessageUnanswered)]


def test_the_event_says_whom_to_phone(app: UnitApp) -> None:
    send(app, group=GROUP)
    assert unanswered(app) == [
        MessageUnanswered(
            event_id=f"{message_id_of('m')}#unanswered",
            occurred_at=iso(NOON + 2 * HOUR),
            contact_id=app.contact().contact_id,
            address=PATIENT,
            user_id="patient-asha",
            agent="scheduling",
            group=GROUP,
            message_id=message_id_of("m"),
            template="appointment_confirmation",
            answer_by=iso(NOON + 2 * HOUR),
        )
    ]
    assert len(unanswered(app, 3 * HOUR)) == 1


def test_a_group_is_told_of_once(app: UnitApp) -> None:
    send(app, "confirmation", group=GROUP)
    app.clock.sleep(60)
    send(app, "reminder", group=GROUP)
    app.clock.sleep(60)
    send(app, "another time", group=GROUP, answer_by=iso(NOON + 9 * HOUR))
    send(app, "canceled", group=GROUP)
    app.cancel_message(message_id_of("canceled"))
    assert [event.message_id for event in unanswered(app)] == [message_id_of("reminder")]


def test_a_message_in_doubt_may_have_been_answered(app: UnitApp) -> None:
    app.gateway.outcomes = [InDoubt("no answer")]
    send(app)
    app.clock.sleep(60)
    app.patient_writes()
    assert unanswered(app) == []


def test_not_before_its_time(app: UnitApp) -> None:
    send(app)
    assert unanswered(app, 2 * HOUR - 1) == []
    assert len(unanswered(app)) == 1


def test_an_answer_settles_it(app: UnitApp) -> None:
    send(app)
    app.clock.sleep(60)
    app.patient_writes()
    assert unanswered(app) == []


def test_an_answer_to_another_message_of_the_group_settles_it(app: UnitApp) -> None:
    app.send("confirmation", group=GROUP)
    app.clock.sleep(60)
    app.patient_writes()
    app.clock.sleep(3_600)
    send(app, "reminder", group=GROUP)
    assert app.record("reminder").status == "sent"
    assert unanswered(app) == []


def test_without_a_group_an_earlier_answer_does_not_count(app: UnitApp) -> None:
    app.patient_writes()
    app.clock.sleep(60)
    send(app)
    assert len(unanswered(app)) == 1


def test_a_message_that_never_went_is_unanswered(app: UnitApp) -> None:
    send(app, send_at=iso(NOON + HOUR), expires_at=iso(NOON + HOUR + 1_000))
    assert len(unanswered(app)) == 1


def test_a_canceled_message_expects_nothing(app: UnitApp) -> None:
    send(app, send_at=iso(NOON + HOUR))
    app.cancel_message(message_id_of("m"))
    assert unanswered(app) == []


def test_an_erased_person_is_not_named(app: UnitApp) -> None:
    send(app)
    app.erasures.strip(message_id_of("m"), is_outgoing=True, is_gone_at_twilio=True)
    assert unanswered(app) == []


def test_a_bus_that_is_down_gets_it_later(app: UnitApp) -> None:
    send(app)
    app.bus.down = True
    assert unanswered(app) == []
    app.bus.down = False
    assert unanswered(app, 2 * HOUR + 60_000) == []  # postponed for two minutes
    assert len(unanswered(app, 2 * HOUR + 180_000)) == 1


@pytest.mark.parametrize(
    ("answer_by", "send_at"),
    [(NOON, None), (NOON - 1, None), (NOON + HOUR, NOON + HOUR), (NOON + 32 * 24 * HOUR, None)],
)
def test_a_time_that_makes_no_sense_is_refused(app: UnitApp, answer_by: int, send_at: int | None) -> None:
    with pytest.raises(MessagingError) as caught:
        app.send(answer_by=iso(answer_by), **({"send_at": iso(send_at)} if send_at else {}))
    assert caught.value.code == "invalid_request"
    assert "answer_by" in caught.value.detail
