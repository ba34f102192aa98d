"""What never reached us, asked of Twilio: messages, statuses, media."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from unittest.mock import Mock, patch

import pytest
from whatsapp.domain import periods
from whatsapp.domain.ports import Deadline, TwilioMessage
from whatsapp.domain.receiving.inbound import InboundMedium
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message

from tests.app import SENDER
from tests.unit.receive_kit import ASHA, DAY, HIDDEN, HOUR, IDS, MINUTE, Receiving, listed, sid

DEEP = periods.RECONCILE_DEEP


def missed(side: Receiving, number: int, body: str = "hello", *, minutes_ago: float = 10, **more: Any) -> TwilioMessage:
    """A message whose webhook never came."""
    one = listed(sid(number), body, at=side.clock.now() - int(minutes_ago * MINUTE), **more)
    side.gateway.received.append(one)
    return one


def status_of(side: Receiving, message: Message) -> Status:
    stored = side.messages.get(message.message_id)
    assert stored is not None
    return stored.status


# --- messages -----------------------------------------------------


def test_what_never_came_is_brought_once(side: Receiving) -> None:
    one = missed(side, 1, "Namaste 👍")
    assert side.reconcile(side.deadline) == {"backfilled": 1, "statuses": 0, "unanswered": 0}
    assert side.reconcile(side.deadline)["backfilled"] == 0
    (event,) = side.published()
    assert (event.text, event.source, event.event_id) == ("Namaste 👍", "backfill", sid(1))
    assert side.contact().last_inbound_at == one.date_created
    assert side.metrics.counts["MessagesBackfilled"] == 1


def test_sender_that_was_written_to_is_kept(side: Receiving) -> None:
    missed(side, 1)
    side.reconcile(side.deadline)
    assert (side.item(sid(1))["to"], side.published()[0].to) == (SENDER, SENDER)


@pytest.mark.parametrize("to", ["+14155550199", ""])
def test_message_to_another_number_of_the_account_is_not_ours(side: Receiving, to: str) -> None:
    side.gateway.received.append(replace(missed(side, 1), to=to, twilio_sid=sid(2)))
    assert side.reconcile(side.deadline)["backfilled"] == 1
    assert side.item(sid(2)) == {}
    assert side.inbox.reconciled_until() == side.clock.now() - periods.RECONCILE_AFTER


def test_what_came_is_left_alone(side: Receiving) -> None:
    side.receive_message(side.form(1))
    missed(side, 1)
    assert side.reconcile(side.deadline)["backfilled"] == 0


def test_webhook_has_two_minutes_to_come(side: Receiving) -> None:
    missed(side, 1, minutes_ago=1.9)
    assert side.reconcile(side.deadline)["backfilled"] == 0
    side.clock.sleep(10)
    assert side.reconcile(side.deadline)["backfilled"] == 1


@pytest.mark.parametrize(
    ("ago", "found"),
    [(DEEP + periods.RECONCILE_AFTER, 1), (DEEP + periods.RECONCILE_OVERLAP + periods.RECONCILE_AFTER + 1, 0)],
)
def test_first_look_goes_back_six_hours(side: Receiving, ago: int, found: int) -> None:
    missed(side, 1, minutes_ago=ago / MINUTE)
    assert side.reconcile(side.deadline)["backfilled"] == found


@pytest.mark.parametrize(
    ("ago", "passed", "found"),
    [
        (periods.RECONCILE_OVERLAP + periods.RECONCILE_AFTER, 1, 1),
        (periods.RECONCILE_OVERLAP + periods.RECONCILE_AFTER + 2, 1, 0),
        (5 * HOUR, 1, 0),
        (5 * HOUR, DEEP - 1, 0),
        (5 * HOUR, DEEP, 1),
    ],
)
def test_later_looks_overlap_since_the_list_shows_some_late(side: Receiving, ago: int, passed: int, found: int) -> None:
    """A little each time, and by hours now and then."""
    side.reconcile(side.deadline)
    side.clock.at += passed - 1
    side.reconcile(side.deadline)
    side.clock.at += 1
    missed(side, 1, minutes_ago=ago / MINUTE)
    assert side.reconcile(side.deadline)["backfilled"] == found


def test_inbound_message_is_read_a_few_times_only(side: Receiving) -> None:
    """Of many reconciles, one every five minutes. Each read costs half a unit."""
    side.receive_message(side.form(1))
    missed(side, 1, minutes_ago=0)
    with side.calls() as calls:
        for minutes in [5] * 6 + [60] * 8:
            side.clock.at += minutes * MINUTE
            side.reconcile(side.deadline)
    assert 2 <= calls.count("BatchGetItem") <= 6


def test_look_that_is_cut_off_makes_progress(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """After days of outage each run does a day or more, and the next goes on from there."""
    side.reconcile(side.deadline)
    for number in range(10):
        side.clock.at += DAY
        missed(side, number)
    received = side.gateway.list_received

    def slow(since: int, until: int | None = None) -> Iterator[TwilioMessage]:
        side.clock.sleep(20)
        yield from received(since, until)

    monkeypatch.setattr(side.gateway, "list_received", slow)
    runs = [side.reconcile(side.deadline)["backfilled"] for _ in range(6)]
    assert runs == [2, 2, 2, 2, 2, 0]


@pytest.mark.parametrize(("days", "found"), [(3, 3), (29, 29), (40, 30)])
def test_after_an_outage_everything_since_the_last_complete_look_is_brought(
    side: Receiving, days: int, found: int
) -> None:
    """As far as the longest look goes."""
    side.reconcile(side.deadline)
    for number in range(days):
        side.clock.at += DAY
        missed(side, number, minutes_ago=10)
    side.gateway.refuses = {"everything"}
    side.reconcile(side.deadline)
    side.gateway.refuses = set()
    assert side.reconcile(side.deadline)["backfilled"] == found


def unreadable_sender(side: Receiving) -> None:
    missed(side, 7, from_="")


def no_media(side: Receiving) -> None:
    missed(side, 7, num_media=1)
    side.gateway.refuses = {sid(7)}


def no_list(side: Receiving) -> None:
    side.gateway.refuses = {"list"}


@pytest.mark.parametrize("trouble", [unreadable_sender, no_media, no_list])
def test_incomplete_look_is_no_look(side: Receiving, trouble: Callable[[Receiving], None]) -> None:
    side.reconcile(side.deadline)
    looked_until = side.inbox.reconciled_until()
    side.clock.at += 10 * HOUR
    trouble(side)
    with suppress(ExceptionGroup):
        side.reconcile(side.deadline)
    assert side.inbox.reconciled_until() == looked_until
    assert side.metrics.counts["ReconcileBehind"] == 1
    side.gateway.refuses, side.gateway.received = set(), []
    missed(side, 1, minutes_ago=9 * 60)
    assert side.reconcile(side.deadline)["backfilled"] == 1
    assert side.inbox.reconciled_until() == side.clock.now() - periods.RECONCILE_AFTER


def test_look_that_ran_out_of_time_is_no_look(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads no further page of Twilio's list, either."""
    for number in range(100):
        missed(side, number)
    asked: list[int] = []

    def list_received(*_: Any) -> Iterator[TwilioMessage]:
        for one in side.gateway.received:
            asked.append(1)
            side.clock.sleep(10)
            yield one

    monkeypatch.setattr(side.gateway, "list_received", list_received)
    side.reconcile(side.deadline)
    assert len(asked) < 10
    assert side.inbox.reconciled_until() is None


def test_sender_that_cannot_be_read_is_an_error(side: Receiving) -> None:
    missed(side, 7, from_="")
    missed(side, 8)
    with pytest.raises(ExceptionGroup) as raised:
        side.reconcile(side.deadline)
    assert sid(7) in str(raised.value.exceptions)
    assert [event.event_id for event in side.published()] == [sid(8)]


def test_of_two_looks_at_once_the_later_counts(side: Receiving) -> None:
    for until in (5, 9, 7):
        side.inbox.record_reconciled(until)
    assert side.inbox.reconciled_until() == 9


def test_oldest_first_so_that_the_last_word_counts(side: Receiving) -> None:
    missed(side, 1, "STOP", minutes_ago=20)
    missed(side, 2, "START", minutes_ago=10)
    side.reconcile(side.deadline)
    assert side.contact().opted_out_at is None
    assert [event.detail_type for event in side.bus.events if "opted" in event.detail_type] == [
        "contact.opted_out",
        "contact.opted_in",
    ]


def test_contact_is_read_once(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    missed(side, 1)
    read = Mock(side_effect=side.contacts.get)
    monkeypatch.setattr(side.contacts, "get", read)
    assert side.reconcile(side.deadline)["backfilled"] == 1
    assert read.call_count == 1


def test_contact_that_changes_while_it_is_being_brought_is_read_again(
    side: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twilio takes seconds to name the media: meanwhile another address of the person is tied to their number."""
    missed(side, 1, from_=HIDDEN.value, num_media=1)

    def media_of(_: str) -> list[InboundMedium]:
        side.contacts.tie(IDS.of(HIDDEN), IDS.of(ASHA))
        return []

    monkeypatch.setattr(side.gateway, "media_of", media_of)
    assert side.reconcile(side.deadline)["backfilled"] == 1
    assert [event.contact_id for event in side.published()] == [IDS.of(ASHA)]


def test_erased_is_not_brought_back(side: Receiving) -> None:
    missed(side, 1, minutes_ago=10)
    side.receive_message(side.form(2))
    side.erase_contact(IDS.of(ASHA), side.deadline)
    assert side.reconcile(side.deadline)["backfilled"] == 0
    assert side.item(sid(1)) == {}


def test_erased_while_it_is_being_brought(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the contact and the writing: Twilio takes seconds to name the media."""
    one = missed(side, 1, "my arm hurts", num_media=1)
    side.contacts.update(IDS.of(ASHA), {"address": ASHA.value})

    def media_of(_: str) -> list[InboundMedium]:
        side.clock.sleep(1)
        side.erase_contact(IDS.of(ASHA), side.deadline)
        return [InboundMedium(url="https://m", content_type="image/jpeg")]

    monkeypatch.setattr(side.gateway, "media_of", media_of)
    assert side.reconcile(side.deadline)["backfilled"] == 0
    assert (side.item(one.twilio_sid), side.contact().address, side.contact().last_inbound_at) == ({}, None, None)
    assert side.published() == []


def test_button_is_found_by_its_text_among_the_last_templates_replies(side: Receiving) -> None:
    side.outgoing("confirmation", template="appointment_confirmation")
    side.clock.sleep(60)
    missed(side, 1, "Confirm", minutes_ago=0.1)
    missed(side, 2, "Confirmed, I think", minutes_ago=0.1)
    side.clock.sleep(300)
    side.reconcile(side.deadline)
    tapped, typed = side.published()
    assert (tapped.kind, tapped.button.payload, tapped.agent) == ("button", "agent:scheduling:confirm", "scheduling")
    assert (typed.kind, typed.button) == ("text", None)


def test_choice_is_found_by_its_title_among_those_last_offered(side: Receiving) -> None:
    side.outgoing("confirmation", template="appointment_confirmation")
    side.clock.sleep(1)
    side.outgoing("offer", text="Which?", choices=[{"id": "slot-1", "title": "1 pm"}])
    side.clock.sleep(60)
    missed(side, 1, "1 PM", minutes_ago=0.1)
    missed(side, 2, "Confirm", minutes_ago=0.1)
    side.clock.sleep(300)
    side.reconcile(side.deadline)
    tapped, typed = side.published()
    assert (tapped.kind, tapped.choice.id, tapped.choice.title, tapped.button) == ("choice", "slot-1", "1 pm", None)
    assert (typed.kind, typed.choice) == ("text", None)


def test_button_of_a_template_that_was_sent_under_an_alias(side: Receiving) -> None:
    side.receive_message(side.form(9, external_user_id=HIDDEN))
    side.outgoing("confirmation", contact_id=IDS.of(HIDDEN), template="appointment_confirmation")
    side.clock.sleep(600)
    missed(side, 1, "Confirm", minutes_ago=5)
    side.reconcile(side.deadline)
    assert side.published()[-1].kind == "button"


def test_template_that_is_no_longer_in_the_catalog_costs_the_button_only(side: Receiving) -> None:
    side.outgoing("old", template="of_last_year")
    side.clock.sleep(600)
    missed(side, 1, "Confirm", minutes_ago=5)
    side.reconcile(side.deadline)
    assert side.published()[0].kind == "text"


def test_media_come_with_it(side: Receiving) -> None:
    missed(side, 1, "", num_media=1)
    side.gateway.media[sid(1)] = [InboundMedium(url="https://m", content_type="audio/ogg")]
    side.reconcile(side.deadline)
    (event,) = side.published()
    assert (event.kind, [m.content_type for m in event.media]) == ("audio", ["audio/ogg"])


def test_what_a_list_does_not_show_is_of_no_known_kind(side: Receiving) -> None:
    missed(side, 1, "")
    side.reconcile(side.deadline)
    assert side.published()[0].kind == "unknown"


@pytest.mark.parametrize("from_", ["+99999", "IN.134", "asha.rao"])
def test_sender_of_any_form(side: Receiving, from_: str) -> None:
    missed(side, 1, from_=from_)
    assert side.reconcile(side.deadline)["backfilled"] == 1


def test_half_a_surrogate_pair_costs_nothing_but_itself(side: Receiving) -> None:
    missed(side, 1, "a\ud83db\x00")
    assert side.reconcile(side.deadline)["backfilled"] == 1
    assert side.published()[0].text == "ab"


def test_one_that_fails_does_not_stop_the_rest(side: Receiving) -> None:
    for number in range(3):
        missed(side, number, "", num_media=1)
        side.gateway.media[sid(number)] = [InboundMedium(url="https://m", content_type="image/jpeg")]
    side.gateway.refuses = {sid(1)}
    found = side.reconcile(side.deadline)
    assert (found["backfilled"], found["unanswered"]) == (2, 1)
    side.gateway.refuses = set()
    assert side.reconcile(side.deadline)["backfilled"] == 1


def test_bug_with_one_is_raised_after_the_rest(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        missed(side, number)
    real = side.inbox.put

    def put(inbound: Any, contact: Any) -> Any:
        if inbound.message_id == sid(1):
            raise RuntimeError("a bug")
        return real(inbound, contact)

    monkeypatch.setattr(side.inbox, "put", put)
    with pytest.raises(ExceptionGroup):
        side.reconcile(side.deadline)
    assert {event.event_id for event in side.published()} == {sid(0), sid(2)}


def test_twilio_down_is_no_error_of_ours(side: Receiving) -> None:
    missed(side, 1)
    asked = side.awaits_status("a")
    side.gateway.refuses = {"everything"}
    for _ in range(3):
        assert side.reconcile(side.deadline)["unanswered"] >= 1
    side.gateway.refuses = set()
    side.gateway.statuses[asked.twilio_sid or ""] = ("delivered", None)
    side.clock.sleep(HOUR / 1000)
    side.gateway.received = []
    missed(side, 1)
    assert side.reconcile(side.deadline) == {"backfilled": 1, "statuses": 1, "unanswered": 0}
    assert status_of(side, asked) is Status.DELIVERED


def test_stops_in_time(side: Receiving) -> None:
    for number in range(3):
        missed(side, number)
    assert side.reconcile(Deadline(side.clock.now() + 10_000))["backfilled"] == 0


# --- statuses -----------------------------------------------------


def test_asked_after_an_hour_twelve_and_twenty_four_and_then_no_more(side: Receiving) -> None:
    asked = side.awaits_status("a")
    accepted = side.clock.now() - HOUR
    side.gateway.statuses[asked.twilio_sid or ""] = ("sent", None)
    asked_at = []
    while "due_at" in side.item(asked.message_id):
        side.clock.at = max(side.clock.now(), side.item(asked.message_id)["due_at"])
        with patch.object(side.gateway, "fetch", side_effect=side.gateway.fetch) as fetch:
            side.reconcile(side.deadline)
        assert fetch.call_count == 1
        asked_at.append((side.clock.now() - accepted) / HOUR)
    assert asked_at == [1, 12, 24]
    assert status_of(side, asked) is Status.SENT


def test_last_question_is_asked_until_it_is_answered_or_two_days_have_passed(side: Receiving) -> None:
    asked = side.awaits_status("a")
    side.clock.at += 23 * HOUR
    side.gateway.refuses = {asked.twilio_sid or ""}
    rounds = 0
    while "due_at" in side.item(asked.message_id):
        side.clock.at = max(side.clock.now(), side.item(asked.message_id)["due_at"])
        side.reconcile(side.deadline)
        rounds += 1
    assert rounds == 25  # hour by hour from the 24th to the 48th


@pytest.mark.parametrize(
    ("said", "status"),
    [(("delivered", None), Status.DELIVERED), (("read", None), Status.READ), (("failed", 63024), Status.FAILED),
     (("undelivered", 63024), Status.UNDELIVERED), (("queued", None), Status.SENT), (("new", None), Status.SENT)],
)  # fmt: skip
def test_answer_moves_it_as_a_callback_would(side: Receiving, said: tuple[str, int | None], status: Status) -> None:
    asked = side.awaits_status("a")
    side.gateway.statuses[asked.twilio_sid or ""] = said
    side.reconcile(side.deadline)
    assert status_of(side, asked) is status
    assert ("due_at" in side.item(asked.message_id)) == (status is Status.SENT)


def test_what_twilio_no_longer_has_is_not_asked_again(side: Receiving) -> None:
    asked = side.awaits_status("a")
    side.reconcile(side.deadline)
    assert "due_at" not in side.item(asked.message_id)


def test_one_without_an_answer_does_not_stop_the_rest(side: Receiving) -> None:
    messages = [side.awaits_status(key) for key in ("a", "bb", "ccc")]
    for message in messages:
        side.gateway.statuses[message.twilio_sid or ""] = ("delivered", None)
    side.gateway.refuses = {messages[1].twilio_sid or ""}
    found = side.reconcile(side.deadline)
    assert (found["statuses"], found["unanswered"]) == (2, 1)
    assert [status_of(side, m) for m in messages] == [Status.DELIVERED, Status.SENT, Status.DELIVERED]


def test_two_at_once_ask_once(side: Receiving) -> None:
    asked = side.awaits_status("a")
    assert side.messages.postpone(asked, side.clock.now() + HOUR, "status") is not None
    assert side.messages.postpone(asked, side.clock.now() + HOUR, "status") is None
