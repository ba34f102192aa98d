"""The breach list: whose messages were touched between two times."""

import csv
import io

import pytest
from whatsapp.domain.ports import StatusUpdate

from commands.breach import as_csv, main, touched
from tests.unit.receive_kit import ASHA, HIDDEN, HOUR, IDS, Receiving


def span(side: Receiving, since: int, until: int) -> list[tuple[str, int, int]]:
    return [(one.contact_id, one.sent, one.received) for one in touched(side, since, until)]


def test_who_was_written_to_or_wrote_is_listed_once_under_all_addresses(side: Receiving) -> None:
    start = side.clock.at
    side.receive_message(side.form(1, external_user_id=HIDDEN))
    side.clock.at += HOUR
    side.receive_message(side.form(2, from_=HIDDEN, external_user_id=HIDDEN))
    side.outgoing("to another", contact_id="f" * 32, to="+919800000001")
    (asha, other) = touched(side, start, start + HOUR)
    assert (asha.contact_id, asha.sent, asha.received) == (IDS.of(ASHA), 0, 2)
    assert (asha.first, asha.last, asha.address) == (start, start + HOUR, ASHA.value)
    assert (other.contact_id, other.sent, other.received, other.address) == ("f" * 32, 1, 0, "+919800000001")


def test_both_ends_of_the_span_count_and_nothing_beyond(side: Receiving) -> None:
    at = side.clock.at
    side.receive_message(side.form(1))
    asha = [(IDS.of(ASHA), 0, 1)]
    assert span(side, at, at) == asha
    assert span(side, at + 1, at + HOUR) == span(side, at - HOUR, at - 1) == []


def test_a_status_that_came_in_the_span_touches_its_contact(side: Receiving) -> None:
    sent = side.outgoing("sent")
    for status in ("delivered", "read"):
        side.clock.at += HOUR
        update = StatusUpdate(
            message_id=sent.message_id, status=status, attempt=sent.attempt or "", twilio_sid=sent.twilio_sid or ""
        )
        side.record_status(update)
    delivered_at = side.clock.at - HOUR
    assert span(side, delivered_at, delivered_at + 1) == [(IDS.of(ASHA), 1, 0)]
    assert span(side, delivered_at, side.clock.at) == [(IDS.of(ASHA), 1, 0)]


def test_addresses_are_shown_only_when_asked_for(side: Receiving) -> None:
    side.manage_contacts.put(ASHA.value, {"user_id": 'user "42", b'})
    side.receive_message(side.form(1))
    people = touched(side, side.clock.at, side.clock.at)
    assert ASHA.value not in as_csv(people, addresses=False)
    (shown,) = csv.DictReader(io.StringIO(as_csv(people, addresses=True)))
    assert (shown["address"], shown["user_id"], shown["from_them"]) == (ASHA.value, 'user "42", b', "1")


def test_an_erased_person_is_listed_by_contact_id_alone(side: Receiving) -> None:
    side.receive_message(side.form(1))
    side.erase_contact(IDS.of(ASHA), side.deadline)
    (asha,) = touched(side, side.clock.at, side.clock.at)
    assert (asha.contact_id, asha.address, asha.user_id) == (IDS.of(ASHA), "", "")


@pytest.mark.parametrize("given", [["2026-11-24"], ["09:00"], ["2026-11-24T09:00:00"], ["yesterday"]])
def test_a_time_without_an_offset_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--from", *given, "--to", "2026-11-24T09:00:00+05:30"])
    assert "ISO 8601 time with an offset" in capsys.readouterr().err


def test_a_span_that_ends_before_it_begins_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--from", "2026-11-24T09:00:00Z", "--to", "2026-11-24T09:00:00+05:30"])
    assert "--to is before --from" in capsys.readouterr().err
