"""An operator settles all that is in doubt by Twilio's list, and resends only what the list certainly lacks."""

import pytest
from whatsapp.domain import periods
from whatsapp.domain.ports import TwilioUnavailable
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message

from commands import doubts as command
from tests.app import UnitApp, message_id_of
from tests.fakes import NOON
from tests.unit.test_resolve_doubt import listed, sweep_after, unresolved


def at(app: UnitApp, period: int) -> None:
    app.clock.at = NOON + period


def test_one_candidate_settles_it_however_late(app: UnitApp) -> None:
    old = unresolved(app)
    app.gateway.messages = [listed(old, status="delivered")]
    at(app, periods.DAY)
    done = app.settle_doubts([old.message_id], resend=True)
    assert (done.settled, done.resent) == ({old.message_id: "delivered"}, {})
    assert app.record().status is Status.DELIVERED


def test_what_the_list_lacks_is_sent_again_only_if_told_to(app: UnitApp) -> None:
    old = unresolved(app)
    at(app, periods.RESEND)
    assert app.settle_doubts([old.message_id], resend=False).open == [old.message_id]
    assert app.record().continued_as is None
    (new,) = app.settle_doubts([old.message_id], resend=True).resent.values()
    assert app.settle_doubts([old.message_id], resend=True).resent == {}, "once"
    found = app.messages.get(new)
    assert found
    assert (found.status, found.continues) == (Status.PENDING, old.message_id)


@pytest.mark.parametrize("dates", [(0, 0), (5 * periods.MINUTE,), (periods.HOUR,)])
def test_never_where_something_listed_may_be_it(app: UnitApp, dates: tuple[int, ...]) -> None:
    """Two of its time; one of its time with other words; one with its words, later."""
    old = unresolved(app)
    body = "other words" if dates == (5 * periods.MINUTE,) else old.text
    app.gateway.messages = [listed(old, n, body=body, date_created=NOON + date) for n, date in enumerate(dates)]
    at(app, periods.DAY)
    assert app.settle_doubts([old.message_id], resend=True).open == [old.message_id]
    assert app.record().continued_as is None


@pytest.mark.parametrize(("age", "is_resent"), [(periods.RESEND - 1, False), (periods.RESEND, True)])
def test_not_before_the_list_shows_all(app: UnitApp, age: int, is_resent: bool) -> None:
    old = unresolved(app)
    at(app, age)
    assert bool(app.settle_doubts([old.message_id], resend=True).resent) is is_resent


def test_a_young_doubt_is_left_to_callbacks(app: UnitApp) -> None:
    message = app.left_at(Status.UNKNOWN)
    app.gateway.messages = [listed(message)]
    assert app.settle_doubts([message.message_id], resend=True).young == [message.message_id]
    assert app.record().status is Status.UNKNOWN


def test_a_doubt_that_the_list_could_not_end_is_ended_and_sent_again(app: UnitApp) -> None:
    """The list was down for two hours."""
    message = app.left_at(Status.UNKNOWN)
    at(app, 2 * periods.HOUR)
    assert list(app.settle_doubts([message.message_id], resend=True).resent) == [message.message_id]
    assert app.record().status is Status.UNRESOLVED


@pytest.mark.parametrize("stopped", [True, False])
def test_what_was_canceled_or_has_expired_is_not_sent_again(app: UnitApp, stopped: bool) -> None:
    old = unresolved(app)
    if stopped:
        app.messages.request_stop(old, "canceled")
    at(app, periods.RESEND if stopped else 40 * periods.DAY)
    if not stopped:
        assert (old.expires_at or 0) < app.clock.now()
    assert app.settle_doubts([old.message_id], resend=True).open == [old.message_id]


def test_a_list_that_does_not_answer_is_an_error(app: UnitApp) -> None:
    old = unresolved(app)
    app.gateway.down = True
    with pytest.raises(TwilioUnavailable):
        app.settle_doubts([old.message_id], resend=True)


def test_what_is_not_in_doubt_is_left_alone(app: UnitApp) -> None:
    answer = app.send()
    before: Message = app.record()
    app.settle_doubts([answer.message_id or "", "0" * 32], resend=True)
    assert app.record() == before


def test_its_successor_is_sent_like_any_other(app: UnitApp) -> None:
    old = unresolved(app)
    at(app, periods.RESEND)
    (new,) = app.settle_doubts([old.message_id], resend=True).resent.values()
    sweep_after(app, 2 * periods.HOUR)
    assert app.send_message.advance(new, app.deadline).status is Status.SENT
    assert len(app.gateway.posts) == 2


def test_the_command_finds_all_that_is_in_doubt(app: UnitApp) -> None:
    old = unresolved(app)
    app.store("young", status=Status.UNKNOWN, claimed_at=NOON + periods.RESEND, text="x")
    app.store("sent", status=Status.SENT)
    at(app, periods.RESEND)
    said = command.work(app, resend=True)
    assert f"    1  sent again: Twilio's list lacks them\n         {old.message_id}  continued as " in said
    assert f"    1  too young: Twilio's list may not show them yet\n         {message_id_of('young')}" in said
    assert old.to not in said
