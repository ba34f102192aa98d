"""From a request to a record: times, recipient, language and text."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.compose import compose
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.request import SendRequest, parse
from whatsapp.domain.templates.catalog import load_catalog

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
HIDDEN, NUMBER = "IN.1344567890", "+919812345678"
ROW = Contact(contact_id="c" * 32)


def made(contact: Contact = ROW, *, send_to_ids: bool = False, **more: Any) -> Message:
    request = parse(SendRequest, {"to": NUMBER, "text": "hello", **more})
    template = load_catalog().get(request.template) if request.template else None
    return compose(request, "m" * 32, contact, template, int(NOW.timestamp() * 1000), send_to_ids=send_to_ids)


@pytest.mark.parametrize("send_at", [NOW + timedelta(days=30, minutes=1), datetime.max.replace(tzinfo=UTC)])
def test_a_time_too_far_ahead_is_refused(send_at: datetime) -> None:
    with pytest.raises(MessagingError, match="at most 30 days"):
        made(send_at=send_at.isoformat())


def test_a_month_ahead_is_taken() -> None:
    assert made(send_at=(NOW + timedelta(days=30)).isoformat()).send_at


@pytest.mark.parametrize("address", [None, HIDDEN])
def test_an_id_whose_number_is_not_known_is_refused(address: str | None) -> None:
    with pytest.raises(MessagingError, match="SendToBusinessScopedIds") as refused:
        made(replace(ROW, address=address), to=HIDDEN)
    assert refused.value.code == "invalid_address"


def test_it_is_written_to_where_the_deployment_says_so() -> None:
    assert made(to=HIDDEN, send_to_ids=True).to == HIDDEN


@pytest.mark.parametrize("send_to_ids", [False, True])
def test_an_id_that_is_tied_to_a_number_gets_its_message_there(send_to_ids: bool) -> None:
    reached = made(replace(ROW, address=NUMBER), to=HIDDEN, send_to_ids=send_to_ids)
    assert (reached.to, reached.contact_id) == (NUMBER, ROW.contact_id)


def test_a_number_stays_as_the_caller_wrote_it() -> None:
    assert made(replace(ROW, address=HIDDEN), to=NUMBER).to == NUMBER
