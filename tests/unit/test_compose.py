"""From a request to a record."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.request import parse_request
from whatsapp.domain.templates.catalog import load_catalog
from whatsapp.use_cases.compose_message import compose
from whatsapp.use_cases.send_message import _gone

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def made(**more: Any) -> Message:
    request = parse_request({"to": "+919812345678", "text": "hello", **more})
    return compose(request, "m" * 32, int(NOW.timestamp() * 1000), load_catalog(), ContactIds("key"))


@pytest.mark.parametrize("send_at", [NOW + timedelta(days=30, minutes=1), datetime.max.replace(tzinfo=UTC)])
def test_a_time_too_far_ahead_is_refused(send_at: datetime) -> None:
    with pytest.raises(MessagingError, match="at most 30 days"):
        made(send_at=send_at.isoformat())


def test_a_month_ahead_is_taken() -> None:
    assert made(send_at=(NOW + timedelta(days=30)).isoformat()).send_at


@pytest.mark.parametrize(("asked_at", "gone"), [(5, True), (15, False), (None, False)])
def test_a_continuation_is_as_old_as_what_was_asked_for(asked_at: int | None, gone: bool) -> None:
    """What somebody asked for before a person was erased must not reach that person by a later record."""
    message = Message(
        message_id="m", contact_id="c", to="", request_hash="", created_at=20, asked_at=asked_at, status=made().status
    )
    assert _gone(Contact(contact_id="c", erased_at=10), message) is gone
