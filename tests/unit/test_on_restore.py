"""Which restored messages had gone out: by their words, their times, and whether more than one may be meant."""

from typing import Any

import pytest
from whatsapp.domain.errors import Failure
from whatsapp.domain.ports import TwilioMessage
from whatsapp.domain.sending.lifecycle import RECOGNISE, SUSPECT, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.on_restore import Matches, Restored, is_open, match, recognise, suspect

from tests.unit.sending_kit import ALERT, EVENT, HOUR, ID, MINUTE, NOW, OTHER_SID, PATIENT, SECOND, SID, message, taken

SINCE = NOW - HOUR
OTHER_ID = "b" * 32


def waits(message_id: str = ID, **values: Any) -> Message:
    never_claimed = {"attempt": None, "attempts": 0, "claimed_at": None, "created_at": SINCE - HOUR}
    return message(Status.DEFERRED, **{"message_id": message_id, **never_claimed, **values})


def entry(at: int = NOW, sid: str = SID, **values: Any) -> TwilioMessage:
    shown = {"status": "delivered", "direction": "outbound-api", "from_": "+1", "to": PATIENT, "body": "Hello"}
    return TwilioMessage(**{**shown, "twilio_sid": sid, "date_created": at, **values})


def found(messages: list[Message], *entries: TwilioMessage) -> Matches:
    return match([Restored(one, frozenset({one.text or ""})) for one in messages], entries, SINCE)


@pytest.mark.parametrize(
    ("status", "continued_as", "open_"),
    [
        (Status.PENDING, None, True),
        (Status.DEFERRED, None, True),
        (Status.RETRYING, None, True),
        (Status.CLAIMED, None, True),
        (Status.SENDING, None, True),
        (Status.UNKNOWN, None, True),
        (Status.UNRESOLVED, None, True),
        (Status.UNRESOLVED, OTHER_ID, False),
        (Status.SENT, None, False),
        (Status.FAILED, None, False),
        (Status.EXPIRED, None, False),
        (Status.CANCELED, None, False),
    ],
)
def test_what_may_have_gone_out(status: Status, continued_as: str | None, open_: bool) -> None:
    assert is_open(message(status, continued_as=continued_as)) is open_


def test_one_message_and_one_entry_with_its_words_are_a_pair() -> None:
    one = waits()
    assert found([one], entry()) == Matches([(one, entry())])
    assert found([one], entry(body=" Hello\r\n")) == Matches([(one, entry(body=" Hello\r\n"))])


def test_an_entry_of_nobodys_words_has_no_record() -> None:
    assert found([waits()], entry(body="Something else")) == Matches(unrecorded=[entry(body="Something else")])


@pytest.mark.parametrize(
    ("messages", "entries"),
    [
        ([waits()], [entry(NOW), entry(NOW - MINUTE, OTHER_SID)]),
        ([waits(), waits(OTHER_ID)], [entry()]),
        ([waits(), waits(OTHER_ID)], [entry(NOW), entry(NOW - MINUTE, OTHER_SID)]),
    ],
)
def test_where_more_than_one_may_be_meant_each_is_doubtful(
    messages: list[Message], entries: list[TwilioMessage]
) -> None:
    matches = found(messages, *entries)
    first = min(entries, key=lambda one: one.date_created)
    assert matches == Matches(doubtful=[(one, first) for one in messages])


def test_pairs_of_other_words_beside_a_doubt_are_certain() -> None:
    other = waits(OTHER_ID, text="Bye")
    bye = entry(sid=OTHER_SID, body="Bye")
    assert found([waits(), other], entry(), entry(NOW - MINUTE, "SM3"), bye).certain == [(other, bye)]


@pytest.mark.parametrize(
    ("values", "at", "may_be"),
    [
        ({}, SINCE - MINUTE, True),
        ({}, SINCE - MINUTE - 1, False),
        ({"asked_at": None, "created_at": NOW}, NOW - MINUTE, True),
        ({"asked_at": None, "created_at": NOW}, NOW - MINUTE - 1, False),
        ({"asked_at": NOW - 10 * MINUTE, "created_at": NOW}, NOW - 11 * MINUTE, True),
        ({"send_at": NOW}, NOW - MINUTE - 1, False),
        ({"expires_at": NOW - 20 * MINUTE}, NOW - 8 * MINUTE, True),
        ({"expires_at": NOW - 20 * MINUTE}, NOW - 8 * MINUTE + 1, False),
    ],
)
def test_a_waiting_message_went_after_it_was_asked_for_and_before_it_expired(
    values: dict[str, Any], at: int, may_be: bool
) -> None:
    assert bool(found([waits(**values)], entry(at)).certain) is may_be


@pytest.mark.parametrize("status", [Status.SENDING, Status.UNKNOWN, Status.UNRESOLVED])
@pytest.mark.parametrize(
    ("at", "may_be"), [(NOW - 3 * HOUR - MINUTE, True), (NOW - 3 * HOUR - MINUTE - 1, False), (NOW, True)]
)
def test_a_doubt_may_be_its_post_or_a_later_copy(status: Status, at: int, may_be: bool) -> None:
    doubt = message(status, claimed_at=NOW - 3 * HOUR, created_at=NOW - 5 * HOUR)
    assert bool(found([doubt], entry(at)).certain) is may_be


@pytest.mark.parametrize(("template", "may_be"), [("greeting", True), (None, False)])
def test_the_list_may_show_a_template_without_its_body(template: str | None, may_be: bool) -> None:
    assert bool(found([waits(template=template)], entry(body="")).certain) is may_be


@pytest.mark.parametrize("status", [Status.DEFERRED, Status.CLAIMED])
def test_what_went_out_is_as_the_list_shows_it(status: Status) -> None:
    at = NOW - MINUTE
    assert recognise(message(status), entry(at, body="Hello!"), NOW) == taken(
        message(status),
        RECOGNISE,
        outbox=EVENT,
        twilio_sid=SID,
        accepted_at=at,
        claimed_at=at,
        text="Hello!",
        error=None,
    )


@pytest.mark.parametrize(
    ("before", "claimed_at"),
    [(waits(on_unknown="resend"), NOW - MINUTE), (message(Status.UNKNOWN, on_unknown="resend"), NOW - SECOND)],
)
def test_what_may_have_gone_out_is_never_sent_again_by_itself(before: Message, claimed_at: int) -> None:
    error = Failure(
        code="twilio_unavailable",
        detail="the tables were restored, and it may have gone out before: look it up before you send it anew",
    )
    assert suspect(before, entry(NOW - MINUTE), NOW) == taken(
        before, SUSPECT, outbox=ALERT, error=error, claimed_at=claimed_at, on_unknown="hold"
    )


def test_a_doubt_that_has_ended_alerts_nobody_again() -> None:
    assert suspect(message(Status.UNRESOLVED, on_unknown="hold"), entry(), NOW) is None
    assert suspect(message(Status.UNRESOLVED, on_unknown="resend"), entry(), NOW) is not None
