"""Twilio's door: what comes in, and what must not."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from whatsapp.adapters.twilio import webhook
from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.adapters.twilio.form import MAX_FORM_BYTES
from whatsapp.domain import periods

from tests.unit import webhook_kit as kit
from tests.unit.webhook_kit import (
    ACCOUNT,
    PUBLIC_URL,
    STATUS_PATH,
    TOKEN,
    Recording,
    Request,
    encode,
    request,
    signature,
)

VICTIM = "whatsapp:+919999999999"


def resigned(form: dict[str, str], original: dict[str, str]) -> Request:
    """A form with the signature of another one, as an attacker with a captured request would send it."""
    return request(encode(form), signature(original))


def cut(original: dict[str, str], *removed: str, **pieces: str) -> Request:
    """The captured form with fields split at other places; the signed text must stay the same, or nothing is proved."""
    form = {name: value for name, value in original.items() if name not in removed} | pieces
    assert signature(form) == signature(original), "not the same text: no attack at all"
    return resigned(form, original)


# --- twelve classes of ways round the signature ----------------------------------------------------------------------


def no_signature() -> Iterator[Request]:
    body = encode(kit.message())
    yield request(body, None)
    yield request(body, "")
    yield {
        **request(body, None),
        "headers": {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": None},
    }
    yield {**request(body, None), "headers": None}


def another_accounts_token() -> Iterator[Request]:
    form = kit.message()
    for token in ("", "0" * 32, TOKEN[:-1], TOKEN.upper(), ACCOUNT):
        yield request(encode(form), signature(form, token=token))


def another_url() -> Iterator[Request]:
    form = kit.message()
    for base in ("https://evil.example", "http://hooks.clinic.example", "https://hooks.clinic.example.evil.example"):
        event = request(encode(form), signature(form, base=base))
        host = base.partition("//")[2]
        event["headers"] |= {
            "host": host,
            "x-forwarded-host": host,
            "x-forwarded-proto": "https",
            "forwarded": f"host={host}",
        }
        event["requestContext"]["domainName"] = host
        yield event
    yield {**request(encode(form), signature(form, "/twilio/inbound?x=1")), "rawQueryString": "x=1"}
    yield request(encode(form), signature(form, "/twilio/inbound/"))


def another_route() -> Iterator[Request]:
    yield request(encode(kit.message()), signature(kit.message(), STATUS_PATH))
    form = kit.status()
    other = f"/twilio/status/{'0' * 32}/{kit.ATTEMPT}"
    yield request(encode(form), signature(form, other), STATUS_PATH)
    yield request(encode(form), signature(form), STATUS_PATH)


def changed_fields() -> Iterator[Request]:
    original = kit.message()
    for name in original:
        yield resigned({**original, name: original[name] + "x"}, original)
        yield resigned({n: v for n, v in original.items() if n != name}, original)
    yield resigned({**original, "Extra": "1"}, original)
    yield resigned({**original, "extra": "1"}, original)


def dropped_blanks() -> Iterator[Request]:
    original = kit.message(Body="", ProfileName="")
    yield resigned({n: v for n, v in original.items() if v} | {"Name": ""}, original)
    yield resigned({**original, "Body": " "}, original)


def doubled_keys() -> Iterator[Request]:
    """The SDK signs a repeated field's distinct values: which of them we read must never be a question."""
    original = kit.message()
    yield request(encode(original) + "&From=" + "whatsapp%3A%2B919812345678", signature(original))
    yield request("From=" + "whatsapp%3A%2B919999999999&" + encode(original), signature(original))
    yield request(encode(original) + "&Body=Namaste&Body=Namaste", signature(original))


def re_split() -> Iterator[Request]:
    """The signature covers one string without separators: the same string, other fields."""
    spoken = kit.message(Body=f"hiFrom{VICTIM}", ProfileName="")
    del spoken["ChannelMetadata"]
    yield cut(spoken, "From", Body="hi", From=f"{VICTIM}From{spoken['From']}")
    yield cut(spoken, "From", Body="hi", From=VICTIM, Fromwhatsapp=spoken["From"].removeprefix("whatsapp"))
    absorbed = kit.message(Body=f"hiFrom{VICTIM}G")
    del absorbed["ChannelMetadata"]
    forged = {"Body": "hi", "From": VICTIM, "G": f"From{absorbed['From']}"}
    yield cut(absorbed, "From", **forged)
    yield cut(absorbed, "From", "WaId", **forged, Wa=f"Id{absorbed['WaId']}")
    bare = VICTIM.removeprefix("whatsapp:")
    absorbed |= {"Body": f"hiFrom{bare}G"}
    yield cut(absorbed, "From", **{**forged, "From": bare})
    named = kit.message(Body="hi", ProfileName=f"AshaFrom{VICTIM}")
    between = [name for name in sorted(named) if "Body" < name < "ProfileName"]
    swallowed = "".join(name + named[name] for name in between)
    yield cut(named, *between, "ProfileName", Body=f"hi{swallowed}ProfileNameAsha", From=VICTIM)
    real = kit.sid()
    named = kit.message(MessageSid=real, SmsMessageSid=real, SmsSid=real)
    named = {**named, "ProfileName": f"AshaSmsMessageSidSM{'9' * 32}"}
    del named["ReferralNumMedia"]
    replayed = {"ProfileName": "Asha", "SmsMessageSid": f"SM{'9' * 32}", f"SmsMessageSid{real}": ""}
    yield cut(named, "SmsMessageSid", **replayed)
    yield cut(named, "SmsMessageSid", "MessageSid", **replayed, **{f"MessageSid{real}": ""})
    renamed = {"MessageSid": f"MessageSid{real}", "WaId": "WaId9"}
    yield cut(named, "MessageSid", **{renamed["MessageSid"]: ""})
    yield cut(named, "WaId", **{renamed["WaId"]: named["WaId"][1:]})


def json_bodies() -> Iterator[Request]:
    form = kit.message()
    body = json.dumps(form)
    digest = hashlib.sha256(body.encode()).hexdigest()
    event = request(body, signature({}, f"/twilio/inbound?bodySHA256={digest}"))
    event |= {
        "rawQueryString": f"bodySHA256={digest}",
        "headers": event["headers"] | {"content-type": "application/json"},
    }
    yield event
    yield {**event, "headers": event["headers"] | {"content-type": "application/x-www-form-urlencoded"}}
    yield request(body, signature(form))


def another_account() -> Iterator[Request]:
    """Signed with our token all the same: a subaccount's, or a slip of ours."""
    for account in ("AC" + "1" * 32, "", ACCOUNT.lower(), ACCOUNT + " "):
        form = kit.message(AccountSid=account)
        yield request(encode(form), signature(form))
    form = {name: value for name, value in kit.message().items() if name != "AccountSid"}
    yield request(encode(form), signature(form))


def other_algorithms() -> Iterator[Request]:
    form = kit.message()
    text = PUBLIC_URL + "/twilio/inbound" + "".join(name + form[name] for name in sorted(form))
    strong = hmac.new(TOKEN.encode(), text.encode(), hashlib.sha256)
    event = request(encode(form), base64.b64encode(strong.digest()).decode())
    event["headers"]["x-twilio-webhooks-signature-settings"] = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    yield event
    right = signature(form)
    for wrong in (right[:-1], right + "=", right.lower(), right.encode().hex(), f"{right},{right}", "=" * 28, "☃"):
        yield request(encode(form), wrong)


def odd_bodies() -> Iterator[Request]:
    form = kit.message()
    right = signature(form)
    for content_type in ("", "text/plain", "multipart/form-data; boundary=x", "application/json"):
        event = request(encode(form), right)
        yield {**event, "headers": event["headers"] | {"content-type": content_type}}
    yield {**request(encode(form), right), "isBase64Encoded": True}
    yield {**request(encode(form), right, is_base64=True), "isBase64Encoded": False}
    yield request(encode(form) + "&Pad=" + "x" * MAX_FORM_BYTES, right)
    yield request(encode(form) + "".join(f"&a{n}=" for n in range(300)), right)
    yield request("Body=%ff%fe&" + encode({n: v for n, v in form.items() if n != "Body"}), right)
    yield request("Body=\ud800&" + encode({n: v for n, v in form.items() if n != "Body"}), right)
    nothing: tuple[object, ...] = (None, "", "&", "=", 7, [], {})
    for body in nothing:
        yield {**request("", right), "body": body}


CLASSES: dict[str, Callable[[], Iterator[Request]]] = {
    make.__name__: make
    for make in (
        *(no_signature, another_accounts_token, another_url, another_route, changed_fields, dropped_blanks),
        *(doubled_keys, re_split, json_bodies, another_account, other_algorithms, odd_bodies),
    )
}


def test_there_are_twelve_classes_of_bypass() -> None:
    assert len(CLASSES) == 12


@pytest.mark.parametrize("name", CLASSES)
def test_no_way_round_the_signature(name: str) -> None:
    app = Recording()
    for number, event in enumerate(CLASSES[name]()):
        assert app.answer(event) == 403, f"{name}, case {number}"
    assert app.calls["writes"] == 0


# --- what Twilio sends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [kit.message(), kit.message(Body=""), kit.message(Body="नमस्ते 👍 a+b & c%20")])
@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("is_base64", [True, False])
def test_takes_what_twilio_signed(form: dict[str, str], plus: bool, is_base64: bool) -> None:
    app = Recording()
    assert app.answer(kit.signed(form, plus=plus, is_base64=is_base64)) == 200
    assert app.received[0].text == form["Body"]


def room(form: dict[str, str]) -> int:
    """How many bytes a form may still grow by."""
    return MAX_FORM_BYTES - sum(len(part.encode()) for pair in form.items() for part in pair)


@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("is_base64", [True, False])
@pytest.mark.parametrize("text", ["क" * 7_500, "क" * 65_536, "👍" * 32_768, "x" * room(kit.message(Body=""))])
def test_length_of_a_text_does_not_depend_on_its_script(text: str, plus: bool, is_base64: bool) -> None:
    """Percent-encoding triples a byte: three bytes of Hindi are nine characters of the body."""
    app = Recording()
    assert app.answer(kit.signed(kit.message(Body=text), plus=plus, is_base64=is_base64)) == 200
    assert app.received[0].text == text


@pytest.mark.parametrize("script", ["x", "क", "👍", "%", " "])
def test_form_over_the_limit_is_refused(script: str) -> None:
    form = kit.message(Body="")
    form["Body"] = script * (room(form) // len(script.encode()) + 1)
    app = Recording()
    assert app.answer(kit.signed(form)) == 403
    assert app.calls == {"BadSignatures": 1}
    assert app.answer({**kit.signed(form), "body": "x" * (MAX_FORM_BYTES * 4 + 1)}) == 403


@pytest.mark.parametrize(
    ("sender", "to", "answer"),
    [
        ("+14155550100", "whatsapp:+14155550100", 200),
        ("+14155550100", "+14155550100", 200),
        ("+5215512345678", "whatsapp:+525512345678", 200),
        ("+14155550100", "whatsapp:+14155550101", 403),
        ("+14155550100", "whatsapp:clinic", 403),
        ("+14155550100", "", 403),
    ],
)
def test_message_must_be_to_our_sender_in_either_spelling(sender: str, to: str, answer: int) -> None:
    app = Recording(sender=sender)
    assert app.answer(kit.signed(kit.message(To=to))) == answer
    assert [form.to for form in app.received] == [to.removeprefix("whatsapp:")] * (answer == 200)
    assert app.calls["BadSignatures"] == (answer == 403)


@pytest.mark.parametrize(
    ("base", "signs"),
    [
        ("https://hooks.clinic.example", "https://hooks.clinic.example"),
        ("https://hooks.clinic.example/", "https://hooks.clinic.example"),
        ("https://hooks.clinic.example", "https://hooks.clinic.example:443"),
        ("https://hooks.clinic.example:443", "https://hooks.clinic.example"),
        ("https://hooks.clinic.example:8443", "https://hooks.clinic.example:8443"),
        ("https://hooks.clinic.example:8443", "https://hooks.clinic.example"),
        (
            "https://a1b2.execute-api.ap-south-1.amazonaws.com/prod",
            "https://a1b2.execute-api.ap-south-1.amazonaws.com/prod",
        ),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_signed_url_is_the_configured_one_in_every_spelling_of_its_port(base: str, signs: str) -> None:
    form = kit.message()
    app = Recording(public_url=base)
    assert app.answer(request(encode(form), signature(form, base=signs))) == 200


NEW_FIELDS = (
    "Topic",
    "Token",
    "TotalSegments",
    "FromName",
    "ToName",
    "WaIdType",
    "ExternalUserIdType",
    "AccountSidType",
)


@pytest.mark.parametrize("name", NEW_FIELDS)
def test_field_that_twilio_adds_refuses_nothing(name: str) -> None:
    app = Recording()
    assert app.answer(kit.signed(kit.message(**{name: "x"}))) == 200
    assert app.answer(kit.signed(kit.status(**{name: "x"}), STATUS_PATH)) == 204


def test_api_s_own_url_is_taken_beside_the_public_one() -> None:
    own = "https://a1b2.execute-api.ap-south-1.amazonaws.com"
    for base in (PUBLIC_URL, own):
        form = kit.message()
        assert Recording(own_urls=(own,)).answer(request(encode(form), signature(form, base=base))) == 200


def test_known_answer_of_twilios_documentation() -> None:
    form = {"Digits": "1234", "To": "+18005551212", "From": "+14158675310", "Caller": "+14158675310"}
    form["CallSid"] = "CA1234567890ABCDE"
    path, base = "/myapp.php?foo=1&bar=2", "https://example.com"
    assert signature(form, path, token="12345", base=base) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


def test_header_names_in_any_case() -> None:
    event = kit.signed(kit.message())
    event["headers"] = {name.upper(): value for name, value in event["headers"].items()}
    assert Recording().answer(event) == 200


def test_previous_token_is_taken_while_the_token_is_rotated() -> None:
    app = Recording(tokens=[("new" * 10, TOKEN)])
    assert app.answer(kit.signed(kit.message())) == 200
    assert app.calls["refreshes"] == 0


def test_rotated_token_is_fetched_on_the_first_failure() -> None:
    app = Recording(tokens=[("old" * 10,), (TOKEN,)])
    assert app.answer(kit.signed(kit.message())) == 200
    assert app.calls == {"refreshes": 1, "writes": 1}


# --- shared keys -----------------------------------------------------------------------------------------------------

SHARED_KEY = "s" * 32


def test_shared_key_and_token_are_accepted_side_by_side() -> None:
    app = Recording(shared_keys=("n" * 32, SHARED_KEY))
    assert app.answer(kit.shared_signed(kit.message(), key=SHARED_KEY)) == 200
    assert app.answer(kit.shared_signed(kit.status(), STATUS_PATH, key=SHARED_KEY)) == 204
    assert app.answer(kit.signed(kit.message())) == 200
    assert app.calls["writes"] == 3
    assert not app.calls["refreshes"] + app.calls["BadSignatures"]


def test_shared_key_that_the_secret_got_since_is_fetched_on_the_first_failure() -> None:
    kept, _, time = secret(HELD, json.dumps({**json.loads(HELD), "webhook_shared_keys": [SHARED_KEY]}))
    kept.get()
    time[0] += periods.SECRET_REFRESH_S + 1
    app = Recording()
    app._credentials = lambda refresh: kept.get(refresh=refresh)  # type: ignore[method-assign]  # a real secret
    assert app.answer(kit.shared_signed(kit.message(), key=SHARED_KEY)) == 200


@pytest.mark.parametrize("key", [TOKEN, "x" * 32, ""])
def test_only_a_shared_key_signs_by_its_algorithm(key: str) -> None:
    app = Recording(shared_keys=(SHARED_KEY,))
    assert app.answer(kit.shared_signed(kit.message(), key=key)) == 403
    assert app.calls == {"refreshes": 1, "BadSignatures": 1}


def test_shared_key_never_signs_by_the_tokens_algorithm() -> None:
    form = kit.message()
    app = Recording(shared_keys=(SHARED_KEY,))
    assert app.answer(request(encode(form), signature(form, token=SHARED_KEY))) == 403
    unnamed = kit.shared_signed(form, key=SHARED_KEY)
    del unnamed["headers"]["x-twilio-webhooks-signature-settings"]
    assert app.answer(unnamed) == 403


@pytest.mark.parametrize("algorithm", ["HMAC_MD5", "none", "", "HMAC_SHA1", "HMAC_SHA256 HMAC_SHA1", "\ud800"])
def test_other_algorithms_are_refused(algorithm: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Recording(shared_keys=(SHARED_KEY,))
    assert app.answer(kit.shared_signed(kit.message(), key=SHARED_KEY, algorithm=algorithm)) == 403
    assert not caplog.records, "what a stranger wrote is in the log"


def test_refused_shared_key_says_where_it_belongs() -> None:
    with pytest.raises(webhook.Forbidden, match="webhook_shared_keys in the secret"):
        Recording().door().inbound(kit.shared_signed(kit.message(), key=SHARED_KEY))


# --- what a forged request costs -------------------------------------------------------------------------------------


class Vault:
    """Secrets Manager: counts how often it is read."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - boto3's own spelling
        self.reads += 1
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        if text == "down":
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetSecretValue")
        return {"SecretString": text}


def secret(*texts: str) -> tuple[TwilioSecret, Vault, list[float]]:
    vault, time = Vault(*texts), [1_000.0]
    return TwilioSecret(vault, "twilio", lambda: time[0]), vault, time  # type: ignore[arg-type]  # all it asks of a client


HELD = json.dumps({"account_sid": ACCOUNT, "auth_token": TOKEN})


def test_forged_requests_read_the_secret_at_a_bounded_rate() -> None:
    kept, vault, time = secret(HELD)
    kept.get()
    for _ in range(1_000):
        time[0] += 0.1
        kept.get(refresh=True)
    assert vault.reads == 1 + int(100 / periods.SECRET_REFRESH_S)


def test_stranger_without_our_account_causes_no_reading_and_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Recording()
    monkeypatch.setattr(webhook, "read_form", lambda _: pytest.fail("parsed, which takes 0.1 s for the largest form"))
    for form in (kit.message(AccountSid="AC" + "7" * 32), {"Body": "hi"}):
        assert app.answer(request(encode(form), "Zm9yZ2Vk")) == 403
    assert not app.calls


@pytest.mark.parametrize("event", [request(encode(kit.message()), "Zm9yZ2Vk"), request(encode(kit.message()), None)])
def test_bad_signature_that_names_our_account_is_counted(event: Request) -> None:
    app = Recording()
    assert app.answer(event) == 403
    assert app.calls["BadSignatures"] == 1


@pytest.mark.parametrize("is_base64", [True, False])
@pytest.mark.parametrize(
    "odd", ["&Body=a&Body=b", "&Pad=" + "x" * MAX_FORM_BYTES, "&Z=%ff", "".join(f"&a{n}=" for n in range(300))]
)
def test_unreadable_form_that_names_our_account_is_counted(odd: str, is_base64: bool) -> None:
    """It may be Twilio's, and our reading at fault."""
    app = Recording()
    assert app.answer(request(encode(kit.message()) + odd, "Zm9yZ2Vk", is_base64=is_base64)) == 403
    assert app.calls == {"BadSignatures": 1}
    stranger = request(encode(kit.message(AccountSid="AC" + "7" * 32)) + odd, "Zm9yZ2Vk", is_base64=is_base64)
    assert app.answer(stranger) == 403
    assert app.calls == {"BadSignatures": 1}


def test_secret_that_cannot_be_read_for_now_serves_on_as_it_was() -> None:
    kept, vault, time = secret(HELD, "down", "{}", HELD)
    assert kept.get().auth_token == TOKEN
    for _ in range(2):
        time[0] += 1_000
        assert kept.get().auth_token == TOKEN
    assert vault.reads == 3


def test_secret_that_was_never_read_is_an_error() -> None:
    kept, _, _ = secret("down")
    with pytest.raises(ClientError):
        kept.get()


# --- statuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({}, "delivered", None),
        ({"MessageStatus": "read", "EventType": "READ"}, "read", None),
        ({"MessageStatus": "failed", "ErrorCode": "63016"}, "failed", 63016),
        ({"MessageStatus": "undelivered", "ErrorCode": "30008"}, "undelivered", 30008),
        ({"MessageStatus": "failed", "ErrorCode": "many"}, "failed", None),
        ({"MessageStatus": "failed", "ErrorCode": "६३०१६"}, "failed", None),
        ({"MessageStatus": "failed", "ErrorCode": "-1"}, "failed", None),
        ({"MessageStatus": "failed", "ErrorCode": "9" * 400}, "failed", None),
        ({"MessageStatus": "failed", "ErrorCode": ""}, "failed", None),
        ({"MessageStatus": "delivered", "ErrorCode": "63016"}, "delivered", None),
        ({"MessageStatus": "teleported"}, "teleported", None),
        ({"MessageStatus": "", "SmsStatus": "SENT"}, "sent", None),
        ({"MessageSid": ""}, "delivered", None),
    ],
)
def test_reads_statuses(more: dict[str, str], status: str, code: int | None) -> None:
    app = Recording()
    assert app.answer(kit.signed(kit.status(**more), STATUS_PATH)) == 204
    update = app.received[0]
    assert (update.message_id, update.attempt) == (kit.MESSAGE_ID, kit.ATTEMPT)
    assert (update.status, update.error_code, update.twilio_sid) == (status, code, "SM" + "1" * 32)


@pytest.mark.parametrize(
    "more",
    [
        {"MessageStatus": "", "SmsStatus": ""},
        {"MessageStatus": "a b"},
        {"MessageStatus": "x" * 33},
        {"MessageSid": "", "SmsSid": ""},
        {"MessageSid": "SM" + "3" * 32},
        {"MessageSid": "nonsense", "SmsSid": "nonsense"},
    ],
)
def test_refuses_statuses_of_nothing(more: dict[str, str]) -> None:
    app = Recording()
    assert app.answer(kit.signed(kit.status(**more), STATUS_PATH)) == 403
    assert app.calls["writes"] == 0


@pytest.mark.parametrize(
    "path", ["/twilio/status/../x", "/twilio/status/ab/cd", f"/twilio/status/{kit.MESSAGE_ID}/{'C' * 12}"]
)
def test_refuses_paths_that_are_no_attempt_of_ours(path: str) -> None:
    form = kit.status()
    event: dict[str, Any] = request(encode(form), signature(form, path))
    event["pathParameters"] = dict(zip(("message_id", "attempt"), path.split("/")[3:5], strict=False))
    assert Recording().answer(event) == 403
