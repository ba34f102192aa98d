"""Which language a patient reads: the one asked for, else the contact's own, else the template's default."""

import pytest
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.compose import compose
from whatsapp.domain.sending.request import SendRequest, parse
from whatsapp.domain.templates.catalog import load_catalog

CATALOG = load_catalog()
VARIABLES = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_time": "2026-11-24T17:30:00+05:30"}


def language_of(asked: str | None, contacts: str | None) -> tuple[str | None, str | None]:
    """The message's language and text."""
    body = {"to": "+919812345678", "template": "session_reminder", "variables": VARIABLES, "language": asked}
    request = parse(SendRequest, body)
    contact = Contact(contact_id="c" * 32, language=contacts)
    template = CATALOG.get("session_reminder")
    message = compose(request, "m" * 32, contact, template, 1_795_340_000_000, takes_ids=False)
    return message.language, message.text


@pytest.mark.parametrize(
    ("asked", "contacts", "gets"),
    [
        (None, None, "en"),
        (None, "hi", "hi"),
        (None, "hi-IN", "hi"),
        (None, "hi_IN", "hi"),
        (None, "HI", "hi"),
        (None, "ta-Taml-IN", "ta"),
        (None, "mr", "en"),
        ("bn", "hi", "bn"),
        ("en", "hi", "en"),
        ("hi-IN", "en", "hi"),
        ("en_GB", "hi", "en"),
    ],
)
def test_language_is_chosen_in_order(asked: str | None, contacts: str | None, gets: str) -> None:
    language, text = language_of(asked, contacts)
    assert language == gets
    assert text == CATALOG.get("session_reminder").render(gets, VARIABLES).text


@pytest.mark.parametrize("asked", ["fr", "mr-IN", "hindi", "हिन्दी", "-"])
def test_a_language_that_was_asked_for_and_is_not_there_is_refused(asked: str) -> None:
    with pytest.raises(MessagingError, match="bn, en, hi, ta") as refused:
        language_of(asked, "hi")
    assert refused.value.code == "unknown_language"


def test_a_hindi_patient_reads_hindi_throughout() -> None:
    _, text = language_of(None, "hi-IN")
    assert text
    assert "शाम 5:30" in text
    assert "Tuesday" not in text
