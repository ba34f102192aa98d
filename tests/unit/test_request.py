"""The request: what is refused, and that a refusal never repeats what it refuses."""

from datetime import UTC, datetime
from typing import Any

import pytest
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.request import ContactUpdate, SendRequest, parse

GOOD = {"to": "+919812345678", "template": "mood_checkin", "variables": {"patient_name": "Asha"}}
CANARY = "zebulon-quartzfield"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"to": ""}, "to: "),
        ({"to": 919812345678}, "to: "),
        ({"template": None}, "either `template`"),
        ({"text": "and text"}, "either `template`"),
        ({"template": None, "text": "x"}, "`variables` belong to a `template`"),
        ({"template": None, "variables": {}, "text": "x" * 1601}, "text: "),
        ({"media_url": "https://example.org/a.png"}, "a `template` carries its own media"),
        ({"template": None, "media_url": "https://example.org/a.pdf"}, "`variables` belong to a `template`"),
        ({"variables": {"patient_name": 7}}, "variables.patient_name: "),
        ({"agent": "Front Desk"}, "agent: "),
        ({"in_reply_to": "SM1"}, "in_reply_to: "),
        ({"send_at": "2026-11-24T09:00:00"}, "send_at: "),
        ({"send_at": "20261201"}, "send_at: must be an ISO 8601 time with an offset"),
        ({"send_at": "1790000000"}, "send_at: must be an ISO 8601 time with an offset"),
        ({"send_at": 1790000000}, "send_at: must be an ISO 8601 time with an offset"),
        ({"send_at": "2026-12-01"}, "send_at: must be an ISO 8601 time with an offset"),
        ({"send_at": "2026-13-01T09:00:00Z"}, "send_at: "),
        ({"expires_at": "20261201"}, "expires_at: must be an ISO 8601 time with an offset"),
        ({"expires_at": 20261201.0}, "expires_at: must be an ISO 8601 time with an offset"),
        ({"send_at": "2026-11-24T09:00:00Z", "expires_at": "2026-11-24T09:00:00Z"}, "later than `send_at`"),
        ({"on_rate_limit": "wait"}, "on_rate_limit: "),
        ({"on_unknown": "guess"}, "on_unknown: "),
        ({"idempotency_key": ""}, "idempotency_key: "),
        ({"idempotency_key": "\u200b"}, "idempotency_key: has no visible character"),
        ({"template": None, "variables": {}, "text": "\u200b\u2060"}, "text: has no visible character"),
        ({"template": None, "variables": {}, "text": " \u3164\n"}, "text: has no visible character"),
        ({"sendat": "now"}, "sendat: unknown field"),
    ],
)
def test_refusal_names_the_field(more: dict[str, Any], says: str) -> None:
    with pytest.raises(MessagingError) as told:
        parse(SendRequest, {**GOOD, **more})
    assert told.value.code == "invalid_request"
    assert says in told.value.detail


@pytest.mark.parametrize("name", [CANARY, "+919812345678", "Asha Devi", "आशा", "", "x" * 41, "a\nb"])
@pytest.mark.parametrize("inside", [False, True])
def test_refusal_repeats_no_name_that_is_no_fields(name: str, inside: bool) -> None:
    more = {"variables": {name: 7}} if inside else {name: "x"}
    with pytest.raises(MessagingError) as told:
        parse(SendRequest, {**GOOD, **more})
    assert "(not a field's name): " in told.value.detail
    assert name == "" or name not in told.value.detail


def test_refusal_of_very_many_fields_is_short() -> None:
    with pytest.raises(MessagingError) as told:
        parse(SendRequest, {**GOOD, **{f"field_{number}": "x" for number in range(50_000)}})
    assert told.value.detail.endswith("; and 49990 more")
    assert len(told.value.detail) < 1_000


@pytest.mark.parametrize("text", ["20261201", "1790000000", "2026-12-01"])
def test_digits_are_no_time_of_an_opt_in(text: str) -> None:
    with pytest.raises(MessagingError, match="opted_in_at: must be an ISO 8601 time with an offset"):
        parse(ContactUpdate, {"address": "+919812345678", "opted_in_at": text})


@pytest.mark.parametrize(
    "text",
    ["2026-12-01T09:00:00+05:30", "2026-12-01T03:30:00Z", "2026-12-01 09:00+05:30", "2026-12-01T09:00:00.000+0530"],
)
def test_iso_8601_with_an_offset_is_a_time(text: str) -> None:
    request = parse(SendRequest, {**GOOD, "send_at": text})
    assert request.send_at == datetime(2026, 12, 1, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize("field", sorted(SendRequest.model_fields))
@pytest.mark.parametrize("value", [CANARY, [CANARY], {"name": CANARY}, f"http://{CANARY}"])
def test_refusal_never_repeats_a_value(field: str, value: object) -> None:
    refused = refusal_of({**GOOD, field: value})
    if refused:  # some of these are good requests
        assert CANARY not in str(refused)
        assert refused.__cause__ is None
        assert refused.__suppress_context__


def refusal_of(body: dict[str, Any]) -> MessagingError | None:
    try:
        parse(SendRequest, body)
    except MessagingError as error:
        return error
    return None


@pytest.mark.parametrize("body", [None, [], "text", 7, [GOOD]])
def test_what_is_no_object(body: object) -> None:
    with pytest.raises(MessagingError, match="one JSON object"):
        parse(SendRequest, body)


def test_media_must_be_reachable_by_twilio() -> None:
    request = {"to": "+919812345678", "text": "see", "media_url": "http://example.org/a.png"}
    with pytest.raises(MessagingError, match="media_url: must be an https"):
        parse(SendRequest, request)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.jpg",
        "https://example.org/a.JPEG",
        "https://example.org/x/a.b.png?X-Amz-Signature=1&name=report.pdf#top",
        "https://example.org/a%2Epng",
    ],
)
def test_text_may_stand_beside_a_picture(url: str) -> None:
    assert parse(SendRequest, {"to": "+919812345678", "text": "see", "media_url": url}).media_url == url


@pytest.mark.parametrize(
    "url",
    [
        *(f"https://example.org/a.{ending}" for ending in ("pdf", "docx", "mp4", "3gp", "ogg", "mp3", "vcf")),
        "https://example.org/sticker.webp",  # WhatsApp shows it as a sticker
        "https://example.org/a.gif",
        "https://example.org/download?name=a.png",
        "https://example.org/download#a.png",
        "https://example.org/png",
        "https://example.org/a.png/download",
        "https://example.org.png",
        "https://example.org",
    ],
)
def test_text_beside_anything_else_is_refused_because_whatsapp_drops_it(url: str) -> None:
    with pytest.raises(MessagingError, match=r"drops the text.*`\.jpg`.*without `text`") as refused:
        parse(SendRequest, {"to": "+919812345678", "text": "see", "media_url": url})
    assert refused.value.code == "invalid_request"
    assert "example.org" not in refused.value.detail
    assert parse(SendRequest, {"to": "+919812345678", "media_url": url}).media_url == url


@pytest.mark.parametrize("alone", [{}, {"text": "see"}])
def test_a_url_that_is_none_is_refused(alone: dict[str, str]) -> None:
    with pytest.raises(MessagingError, match="media_url: must be an https"):
        parse(SendRequest, {"to": "+919812345678", "media_url": "https://[a.png", **alone})


@pytest.mark.parametrize("more", [{"idempotency_key": "k"}, {"on_rate_limit": "reject"}, {"language": None}])
def test_same_request_same_hash(more: dict[str, Any]) -> None:
    assert parse(SendRequest, {**GOOD, **more}).hash() == parse(SendRequest, GOOD).hash()


@pytest.mark.parametrize(
    "more",
    [{"to": "+919812345679"}, {"variables": {"patient_name": "Usha"}}, {"user_id": "u"}, {"on_unknown": "resend"}],
)
def test_another_request_another_hash(more: dict[str, Any]) -> None:
    assert parse(SendRequest, {**GOOD, **more}).hash() != parse(SendRequest, GOOD).hash()


def test_contact_update_tells_absent_from_null() -> None:
    kept = parse(ContactUpdate, {"address": "+919812345678", "user_id": "u"})
    assert kept.values() == {"user_id": "u"}
    removed = parse(ContactUpdate, {"address": "+919812345678", "user_id": None, "language": None})
    assert removed.values() == {"user_id": None, "language": None}
    opted = parse(ContactUpdate, {"address": "+919812345678", "opted_in_at": "2026-11-24T12:30:00+05:30"})
    assert opted.values() == {"opted_in_at": 1_795_503_600_000}


@pytest.mark.parametrize("tag", ["hi", "hi-IN", "HI_in", "mr", "kok", "ta-Taml-IN"])
def test_a_contacts_language_is_a_tag(tag: str) -> None:
    assert parse(ContactUpdate, {"address": "+919812345678", "language": tag}).values() == {"language": tag}


@pytest.mark.parametrize("name", ["hindi", "हिन्दी", "", "-", "h", "hi-", "hi IN"])
def test_a_contacts_language_is_no_name(name: str) -> None:
    """Taken, it would match no wording, and the patient would read the template's default language."""
    with pytest.raises(MessagingError, match="language: "):
        parse(ContactUpdate, {"address": "+919812345678", "language": name})
