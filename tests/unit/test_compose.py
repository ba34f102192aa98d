"""From a request to a record, and from a record to what Twilio is handed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import OutgoingPost
from whatsapp.domain.sending.compose import compose, content_of, templated
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.request import SendRequest, parse
from whatsapp.domain.templates.catalog import load_catalog
from whatsapp.domain.templates.template import Template, Wording
from whatsapp.domain.templates.variables import Variable
from whatsapp.domain.templates.version import APPROVED, TemplateVersion

from local.artifacts import ROOT
from tests.unit.sending_kit import DAY, HOUR, SID, TEMPLATE

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
HIDDEN, NUMBER = "IN.1344567890", "+919812345678"
ROW = Contact(contact_id="c" * 32)


def made(contact: Contact = ROW, *, takes_ids: bool = False, **more: Any) -> Message:
    request = parse(SendRequest, {"to": NUMBER, "text": "hello", **more})
    template = load_catalog().get(request.template) if request.template else None
    return compose(request, "m" * 32, contact, template, int(NOW.timestamp() * 1000), takes_ids=takes_ids)


@pytest.mark.parametrize("send_at", [NOW + timedelta(days=30, minutes=1), datetime.max.replace(tzinfo=UTC)])
def test_a_time_too_far_ahead_is_refused(send_at: datetime) -> None:
    with pytest.raises(MessagingError, match="at most 30 days"):
        made(send_at=send_at.isoformat())


def test_a_month_ahead_is_taken() -> None:
    assert made(send_at=(NOW + timedelta(days=30)).isoformat()).send_at


@pytest.mark.parametrize("address", [None, HIDDEN])
def test_an_id_whose_number_is_not_known_is_refused(address: str | None) -> None:
    with pytest.raises(MessagingError, match="ask them for the number") as refused:
        made(replace(ROW, address=address), to=HIDDEN)
    assert refused.value.code == "number_hidden"


def test_it_is_written_to_where_ids_are_taken() -> None:
    assert made(to=HIDDEN, takes_ids=True).to == HIDDEN


@pytest.mark.parametrize("takes_ids", [False, True])
def test_an_id_that_is_tied_to_a_number_gets_its_message_there(takes_ids: bool) -> None:
    reached = made(replace(ROW, address=NUMBER), to=HIDDEN, takes_ids=takes_ids)
    assert (reached.to, reached.contact_id) == (NUMBER, ROW.contact_id)


def test_a_number_stays_as_the_caller_wrote_it() -> None:
    assert made(replace(ROW, address=HIDDEN), to=NUMBER).to == NUMBER


# --- the record ------------------------------------------------------------------------------------------------------

EPOCH = int(NOW.timestamp() * 1000)
TIMELESS = replace(TEMPLATE, on_unknown="resend", agent="reminders")
WITHIN_AN_HOUR = replace(TIMELESS, expires_after=timedelta(hours=1))
MONTH = 30 * DAY


def composed(template: Template | None = None, contact: Contact = ROW, **body: Any) -> Message:
    asked = {"template": template.name} if template else {"text": "hello"}
    request = parse(SendRequest, {"to": NUMBER, **asked, **body})
    return compose(request, "m" * 32, contact, template, EPOCH, takes_ids=False)


def test_the_record_of_free_text() -> None:
    body: dict[str, Any] = {
        "media_url": "https://example.org/a.png",
        "user_id": "user",
        "agent": "mood",
        "in_reply_to": SID,
        "on_unknown": "resend",
        "send_at": (NOW + timedelta(hours=1)).isoformat(),
        "expires_at": (NOW + timedelta(hours=2)).isoformat(),
    }
    assert composed(contact=replace(ROW, user_id="known", language="hi"), **body) == Message(
        message_id="m" * 32,
        contact_id=ROW.contact_id,
        to=NUMBER,
        request_hash=parse(SendRequest, {"to": NUMBER, "text": "hello", **body}).hash(),
        created_at=EPOCH,
        status=Status.PENDING,
        kind=SendKind.REPLY,
        text="hello",
        media_url="https://example.org/a.png",
        user_id="user",
        agent="mood",
        in_reply_to=SID,
        send_at=EPOCH + HOUR,
        expires_at=EPOCH + 2 * HOUR,
        on_unknown="resend",
    )


def test_media_go_alone() -> None:
    note = "https://example.org/voice.ogg"
    message = composed(text=None, media_url=note)
    assert (message.text, message.media_url) == (None, note)
    sent = content_of(message, replace(ROW, last_inbound_at=OPEN), None, EPOCH)
    assert sent == OutgoingPost(to=NUMBER, body=None, media_url=note)
    with pytest.raises(MessagingError, match="free-form text and media"):
        content_of(message, ROW, None, EPOCH)


def test_the_record_of_a_template() -> None:
    assert composed(TIMELESS, replace(ROW, user_id="known", language="hi-IN")) == Message(
        message_id="m" * 32,
        contact_id=ROW.contact_id,
        to=NUMBER,
        request_hash=parse(SendRequest, {"to": NUMBER, "template": "greeting"}).hash(),
        created_at=EPOCH,
        status=Status.PENDING,
        kind=SendKind.PROACTIVE,
        template="greeting",
        language="hi",
        text="नमस्ते",
        user_id="known",
        agent="reminders",
        on_unknown="resend",
    )


def test_the_variables_stay_as_given_and_fill_the_text() -> None:
    given = {
        "patient_name": "Asha",
        "therapist_name": "Dr. Rao",
        "appointment_date": "2026-11-26",
        "appointment_time": "17:30",
    }
    message = made(template="appointment_confirmation", text=None, variables=given)
    assert message.variables == given
    assert "Asha" in (message.text or "")
    assert message.expires_at == EPOCH + 12 * HOUR


def test_what_is_stated_nowhere_is_held_without_an_agent() -> None:
    message = composed()
    assert (message.agent, message.on_unknown, message.language, message.user_id) == (None, "hold", None, None)
    assert (message.send_at, message.expires_at) == (None, None)


@pytest.mark.parametrize(
    ("body", "agent", "on_unknown"),
    [({}, "reminders", "resend"), ({"agent": "mood"}, "mood", "resend"), ({"on_unknown": "hold"}, "reminders", "hold")],
)
def test_a_request_overrides_its_template(body: dict[str, Any], agent: str, on_unknown: str) -> None:
    message = composed(TIMELESS, **body)
    assert (message.agent, message.on_unknown) == (agent, on_unknown)


@pytest.mark.parametrize(
    ("asked", "of_contact", "language"),
    [
        (None, None, "en"),
        (None, "hi", "hi"),
        (None, "ta", "en"),
        ("hi", "en", "hi"),
        ("hi-IN", "en", "hi"),
        ("HI", None, "hi"),
    ],
)
def test_the_language_is_the_requests_else_the_contacts_else_the_templates(
    asked: str | None, of_contact: str | None, language: str
) -> None:
    message = composed(TIMELESS, replace(ROW, language=of_contact), language=asked)
    assert (message.language, message.text) == (language, TIMELESS.languages[language].body)


def test_a_language_that_was_asked_for_is_never_replaced() -> None:
    with pytest.raises(MessagingError) as refused:
        composed(TIMELESS, language="ta")
    assert refused.value.code == "unknown_language"


@pytest.mark.parametrize(
    ("template", "send_at", "expires_at", "expected"),
    [
        (None, None, None, None),
        (None, None, 1, 1),
        (None, HOUR, None, None),
        (TIMELESS, None, None, None),
        (WITHIN_AN_HOUR, None, None, HOUR),
        (WITHIN_AN_HOUR, 2 * HOUR, None, 3 * HOUR),
        (WITHIN_AN_HOUR, None, 5 * HOUR, 5 * HOUR),
        (WITHIN_AN_HOUR, 2 * HOUR, 5 * HOUR, 5 * HOUR),
        (None, MONTH, None, None),
    ],
)
def test_a_message_expires_when_asked_or_by_its_template(
    template: Template | None, send_at: int | None, expires_at: int | None, expected: int | None
) -> None:
    """The template's time counts from `send_at`. All times from now, in milliseconds."""
    message = composed(template, send_at=_iso(send_at), expires_at=_iso(expires_at))
    assert message.send_at == (None if send_at is None else EPOCH + send_at)
    assert message.expires_at == (None if expected is None else EPOCH + expected)


def _iso(after: int | None) -> str | None:
    return None if after is None else (NOW + timedelta(milliseconds=after)).isoformat()


@pytest.mark.parametrize(
    ("template", "send_at", "expires_at", "code", "says"),
    [
        (None, MONTH + 1, None, "invalid_request", "at most 30 days ahead"),
        (None, None, 0, "expired", "`expires_at` has passed"),
        (None, None, -1, "expired", "`expires_at` has passed"),
        (WITHIN_AN_HOUR, -HOUR, None, "expired", "^expired: `send_at` has passed, .* in which greeting may go"),
        (WITHIN_AN_HOUR, -2 * HOUR, -HOUR, "expired", "^expired: `expires_at` has passed"),
        (None, MONTH + 1, MONTH + 2, "invalid_request", "at most 30 days ahead"),
    ],
)
def test_a_time_that_cannot_be_is_refused(
    template: Template | None, send_at: int | None, expires_at: int | None, code: str, says: str
) -> None:
    with pytest.raises(MessagingError, match=says) as refused:
        composed(template, send_at=_iso(send_at), expires_at=_iso(expires_at))
    assert (refused.value.code, refused.value.failure.retryable) == (code, False)


def test_a_send_at_that_has_passed_means_now() -> None:
    assert composed(WITHIN_AN_HOUR, send_at=_iso(-HOUR + 1)).expires_at == EPOCH + 1
    assert composed(TIMELESS, send_at=_iso(-DAY)).expires_at is None


# --- the moment that it is about -------------------------------------------------------------------------------------

SESSION = Variable("session", "datetime", "When it begins.", {"en": "17:30"}, 80)
ABOUT_A_SESSION = replace(
    TIMELESS,
    languages={"en": Wording("Hello, at {{ session }} then", ())},
    variables={"session": SESSION},
    expires_with="session",
)
WITHIN_FOUR_HOURS = replace(ABOUT_A_SESSION, expires_after=timedelta(hours=4))


def reminder(session: str, times: dict[str, int], template: Template = ABOUT_A_SESSION) -> Message:
    """`NOW` is 12:30 on Tuesday, 24 November 2026, in India. `times` are from now, in milliseconds."""
    body: dict[str, Any] = {name: _iso(after) for name, after in times.items()}
    return composed(template, variables={"session": session}, **body)


@pytest.mark.parametrize(
    ("session", "after"),
    [
        ("2026-11-24T13:30:00+05:30", HOUR),
        ("2026-11-24T08:00:00Z", HOUR),
        ("2026-11-24T13:30", HOUR),
        ("24 November 2026, 1:30 pm", HOUR),
        ("24 Nov, 1:30 pm", HOUR),
        ("Tuesday, 1:30 pm", HOUR),
        ("1:30 pm", HOUR),
        ("13:30 hrs", HOUR),
        ("11:00 am", 22 * HOUR + HOUR // 2),
        ("Tuesday, 11:00 am", 6 * DAY + 22 * HOUR + HOUR // 2),
        ("24 November 2026", 11 * HOUR + HOUR // 2),
        ("Tuesday", 11 * HOUR + HOUR // 2),
        ("3 January, 12:30 pm", 40 * DAY),
        ("2028-11-24T12:30:00+05:30", 731 * DAY),
        # What cannot be told from the words does not bound it.
        ("tomorrow", None),
        ("between 5 and 6 pm", None),
        ("29 February, 1 pm", None),
        ("9999-12-31", None),
    ],
)
def test_a_message_expires_with_the_moment_that_it_is_about(session: str, after: int | None) -> None:
    assert reminder(session, {}).expires_at == (None if after is None else EPOCH + after)


@pytest.mark.parametrize(
    ("session", "times", "after"),
    [
        ("13:30", {}, HOUR),
        ("17:30", {}, 4 * HOUR),
        ("tomorrow", {}, 4 * HOUR),
        ("13:30", {"expires_at": 5 * HOUR}, HOUR),
        ("17:30", {"expires_at": HOUR}, HOUR),
        ("17:30", {"expires_at": 5 * HOUR - 1}, 5 * HOUR - 1),
        ("17:30", {"send_at": 3 * HOUR}, 5 * HOUR),
        ("11:00", {"send_at": 20 * HOUR}, 22 * HOUR + HOUR // 2),
        ("13:30", {"send_at": -HOUR}, HOUR),
    ],
)
def test_it_expires_at_the_earliest_of_its_ends(session: str, times: dict[str, int], after: int) -> None:
    assert reminder(session, times, WITHIN_FOUR_HOURS).expires_at == EPOCH + after


@pytest.mark.parametrize(
    ("session", "times", "says"),
    [
        ("2020-11-24T17:30:00+05:30", {}, "session has passed"),
        ("2000-11-24T17:30:00+05:30", {}, "session has passed"),
        ("2026-11-24T12:30:00+05:30", {}, "session has passed"),
        ("2026-11-23", {}, "session has passed"),
        ("23 November, 5:30 pm", {}, "session has passed"),
        ("12:30 pm", {}, "session has passed"),
        ("11:30 am", {}, "session has passed"),
        ("2020-11-24", {"expires_at": HOUR}, "session has passed"),
        ("2020-11-24", {"expires_at": -HOUR}, "session has passed"),
        ("2020-11-24", {"send_at": HOUR}, "session has passed"),
        ("11:00", {"send_at": -2 * HOUR}, "session has passed"),
        ("2026-11-24T13:30", {"send_at": HOUR}, "session is not later than `send_at`"),
        ("2026-11-24T13:30", {"send_at": DAY, "expires_at": 2 * DAY}, "session is not later than `send_at`"),
    ],
)
def test_a_message_that_comes_after_its_moment_is_refused(session: str, times: dict[str, int], says: str) -> None:
    with pytest.raises(MessagingError, match=says) as refused:
        reminder(session, times)
    assert (refused.value.code, refused.value.failure.retryable) == ("too_late", False)
    assert session not in refused.value.detail


@pytest.mark.parametrize("given", [{}, {"session": "{{session}}"}, {"session": ""}])
def test_a_bad_value_is_refused_as_one(given: dict[str, str]) -> None:
    with pytest.raises(MessagingError) as refused:
        composed(ABOUT_A_SESSION, variables=given)
    assert refused.value.code == "invalid_variables"


def test_a_session_reminder_never_comes_after_its_session() -> None:
    given = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_time": "2026-11-24T13:00:00+05:30"}
    assert made(template="session_reminder", text=None, variables=given).expires_at == EPOCH + HOUR // 2
    with pytest.raises(MessagingError, match="session_time has passed"):
        made(template="session_reminder", text=None, variables={**given, "session_time": "2020-11-24T13:00"})


def test_the_samples_moments_are_far_ahead() -> None:
    """So that they are sent whenever they are run."""
    samples = [json.loads(file.read_text()) for file in (ROOT / "events" / "send").glob("*.json")]
    about = [(load_catalog().get("session_reminder"), s) for s in samples if s.get("template") == "session_reminder"]
    moments = [template.moment(sample["variables"], NOW) for template, sample in about]
    assert [moment for moment in moments if moment] == [datetime(2099, 11, 24, 12, tzinfo=UTC)]


# --- what is handed to Twilio ----------------------------------------------------------------------------------------

FREE_FORM = replace(TEMPLATE, free_form=True)
OPEN, CLOSED = EPOCH - DAY + 1, EPOCH - DAY
AS_TEXT = OutgoingPost(to=NUMBER, body="hello", media_url="https://example.org/a.png")
WORDED = OutgoingPost(to=NUMBER, body="hello")


@pytest.mark.parametrize(
    ("template", "last_inbound_at", "template_only", "content"),
    [
        (None, OPEN, False, AS_TEXT),
        (FREE_FORM, OPEN, False, WORDED),
        (FREE_FORM, OPEN, True, FREE_FORM),
        (FREE_FORM, CLOSED, False, FREE_FORM),
        (FREE_FORM, None, False, FREE_FORM),
        (TEMPLATE, OPEN, False, TEMPLATE),
        (TEMPLATE, CLOSED, False, TEMPLATE),
    ],
)
def test_free_form_goes_inside_the_window_only(
    template: Template | None, last_inbound_at: int | None, template_only: bool, content: OutgoingPost | Template
) -> None:
    message = replace(composed(), media_url="https://example.org/a.png", template_only=template_only)
    assert content_of(message, replace(ROW, last_inbound_at=last_inbound_at), template, EPOCH) == content


@pytest.mark.parametrize("last_inbound_at", [None, CLOSED])
def test_text_without_a_template_is_refused_outside_the_window(last_inbound_at: int | None) -> None:
    with pytest.raises(MessagingError, match="use a template") as refused:
        content_of(composed(), replace(ROW, last_inbound_at=last_inbound_at), None, EPOCH)
    assert (refused.value.code, refused.value.failure.retryable) == ("window_closed", False)


def approved(language: str = "en", **values: Any) -> TemplateVersion:
    stored = {
        "version": TEMPLATE.version(language),
        "status": APPROVED,
        "content_sid": "HX1",
        "body": TEMPLATE.languages[language].body,
    }
    return TemplateVersion(template="greeting", language=language, created_at=0, **{**stored, **values})


@pytest.mark.parametrize(
    ("language", "versions", "content_sid", "rendered"),
    [
        ("en", [approved("en"), approved("hi", content_sid="HX2")], "HX1", "Hello"),
        ("hi", [approved("en"), approved("hi", content_sid="HX2")], "HX2", "नमस्ते"),
        (None, [approved("en"), approved("hi", content_sid="HX2")], "HX1", "Hello"),
        ("en", [approved("en", version="en#old", served_at=1, body="Good day", content_sid="HX3")], "HX3", "Good day"),
    ],
    ids=["en", "hi", "no language", "an older wording"],
)
def test_a_template_goes_by_the_approved_version_in_its_wording(
    language: str | None, versions: list[TemplateVersion], content_sid: str, rendered: str
) -> None:
    post = templated(replace(composed(TEMPLATE), language=language), TEMPLATE, versions)
    assert post == OutgoingPost(to=NUMBER, content_sid=content_sid, content_variables={}, rendered=rendered)


def test_the_values_of_a_template_go_by_number() -> None:
    name = Variable("name", "name", "Who it is.", {"en": "Asha"}, 60)
    template = replace(TEMPLATE, languages={"en": Wording("Hello {{ name }}", ())}, variables={"name": name})
    message = composed(template, variables={"name": "Usha"})
    version = approved(version=template.version("en"), body="Hello {{ name }}")
    assert templated(message, template, [version]) == OutgoingPost(
        to=NUMBER, content_sid="HX1", content_variables={"1": "Usha"}, rendered="Hello Usha"
    )


def test_the_values_of_a_template_are_written_in_the_messages_language() -> None:
    day = Variable("day", "date", "Which day.", {"en": "2026-11-26", "hi": "2026-11-26"}, 60)
    languages = {language: Wording("{{ day }}", ()) for language in ("en", "hi")}
    template = replace(TEMPLATE, languages=languages, variables={"day": day})
    message = replace(composed(template, variables={"day": "2026-11-26"}), language="hi")
    post = templated(message, template, [approved("hi", version=template.version("hi"), body="{{ day }}")])
    assert post.rendered == "गुरुवार, 26 नवंबर"
    assert post.content_variables == {"1": "गुरुवार, 26 नवंबर"}


@pytest.mark.parametrize(
    "versions",
    [[], [approved("hi")], [approved(status="pending")], [approved(content_sid=None)]],
    ids=["none", "another language", "not approved", "no copy at Twilio"],
)
def test_a_template_without_an_approved_version_is_refused(versions: list[TemplateVersion]) -> None:
    with pytest.raises(MessagingError, match="greeting has no approved version in en") as refused:
        templated(composed(TEMPLATE), TEMPLATE, versions)
    assert (refused.value.code, refused.value.failure.retryable) == ("template_not_approved", True)
