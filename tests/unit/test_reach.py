"""Where a message for one of WhatsApp's business-scoped ids goes."""

from dataclasses import replace

import pytest
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.request import parse_request
from whatsapp.domain.templates.catalog import load_catalog
from whatsapp.use_cases.compose_message import compose, reach

HIDDEN, NUMBER = "IN.1344567890", "+919812345678"
ROW = Contact(contact_id="c" * 32)


def message(to: str) -> Message:
    return compose(parse_request({"to": to, "text": "hello"}), "m" * 32, 0, load_catalog(), ContactIds("key"))


@pytest.mark.parametrize("address", [None, HIDDEN])
def test_an_id_whose_number_nobody_knows_is_refused(address: str | None) -> None:
    with pytest.raises(MessagingError, match="SendToBusinessScopedIds") as refused:
        reach(message(HIDDEN), replace(ROW, address=address), send_to_ids=False)
    assert refused.value.code == "invalid_address"


def test_it_is_written_to_where_the_deployment_says_so() -> None:
    assert reach(message(HIDDEN), ROW, send_to_ids=True).to == HIDDEN


@pytest.mark.parametrize("send_to_ids", [False, True])
def test_an_id_that_is_tied_to_a_number_gets_its_message_there(send_to_ids: bool) -> None:
    reached = reach(message(HIDDEN), replace(ROW, address=NUMBER), send_to_ids=send_to_ids)
    assert (reached.to, reached.contact_id) == (NUMBER, ROW.contact_id)


def test_a_number_stays_as_the_caller_wrote_it() -> None:
    assert reach(message(NUMBER), replace(ROW, address=HIDDEN), send_to_ids=False).to == NUMBER
