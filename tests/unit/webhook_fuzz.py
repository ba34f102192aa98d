"""Webhooks at random, by the seed: legitimate ones must come in, malformed ones must not, and none may break anything.

`python -m tests.unit.webhook_fuzz --legitimate 20000 --malformed 100000 --seed 1` runs as many as you like.
"""

import argparse
import base64
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from tests.unit import webhook_kit as kit
from tests.unit.webhook_kit import ACCOUNT, PUBLIC_URL, STATUS_PATH, TOKEN, Form, Recording, Request

BASES = (
    *("https://hooks.clinic.example", "https://hooks.clinic.example:8443", "https://hooks.clinic.example/v1"),
    *("https://a1b2c3.execute-api.ap-south-1.amazonaws.com", "http://127.0.0.1:5000", "https://хук.example"),
)


def legitimate(seed: int, count: int) -> list[str]:
    """Signed by the SDK, and accepted by it: ours must accept it too. What was not, by number."""
    rng = random.Random(seed)
    refused = []
    for number in range(count):
        base = rng.choice(BASES)
        form, path = (
            (kit.any_message(rng), "/twilio/inbound") if rng.random() < 0.8 else (_any_status(rng), STATUS_PATH)
        )
        signature = kit.signature(form, path, base=base)
        assert RequestValidator(TOKEN).validate(base + path, form, signature)
        body = kit.encode(form, plus=rng.random() < 0.5)
        event = kit.request(body, signature, path, is_base64=rng.random() < 0.5)
        app = Recording(public_url=base)
        answer = app.answer(event)
        if answer not in (200, 204) or app.calls["writes"] != 1:
            refused.append(f"seed {seed}, number {number}: {answer}")
    return refused


def _any_status(rng: random.Random) -> Form:
    form = kit.status(
        MessageStatus=rng.choice(("queued", "sent", "delivered", "read", "failed", "undelivered", "new_word"))
    )
    if rng.random() < 0.3:
        form |= {"ErrorCode": rng.choice(("63016", "", "nonsense")), "ChannelStatusMessage": "Größe – zu spät 👎"}
    if rng.random() < 0.2:
        del form["ChannelInstallSid"]
    return form


def malformed(seed: int, count: int) -> tuple[list[str], Counter[str]]:
    """Legitimate webhooks, mutated until the SDK would not take them. What was not answered by 403 alone, by number."""
    rng = random.Random(seed)
    wrong: list[str] = []
    kinds: Counter[str] = Counter()
    number = 0
    while number < count:
        form, path = (
            (kit.any_message(rng), "/twilio/inbound") if rng.random() < 0.8 else (_any_status(rng), STATUS_PATH)
        )
        event = kit.signed(form, path, is_base64=rng.random() < 0.3)
        names = rng.choices(list(MUTATIONS), k=rng.choice((1, 1, 1, 2, 3)))
        for name in names:
            MUTATIONS[name](event, rng)
        app = Recording()
        try:
            answer: object = app.answer(event)
        except Exception as error:  # noqa: BLE001 - any exception is a 5xx, which is what is looked for
            answer = f"{type(error).__name__}: {error}"
        if _is_still_twilios(event, path) and isinstance(answer, int):
            continue
        number += 1
        kinds.update(names)
        if answer != 403 or app.calls["writes"]:
            wrong.append(f"seed {seed}, number {number} ({', '.join(names)}): {answer}, {app.calls['writes']} writes")
    return wrong, kinds


def _is_still_twilios(event: Request, path: str) -> bool:
    """Whether the mutated request says what Twilio signed. Judged by the SDK and by plain rules, not by our code."""
    try:
        body = event["body"]
        text = base64.b64decode(body).decode() if event["isBase64Encoded"] else body
        pairs = parse_qsl(text, keep_blank_values=True)
        form = dict(pairs)
        signature = {name.lower(): value for name, value in event["headers"].items()}["x-twilio-signature"]
        signed = RequestValidator(TOKEN).validate(PUBLIC_URL + path, form, signature)
        same_path = event.get("pathParameters") == kit.request("", None, path).get("pathParameters")
        return bool(signed and same_path and len(form) == len(pairs) and _reads_well(event, form))
    except Exception:  # noqa: BLE001 - any exception here is a finding
        return False


def _reads_well(event: Request, form: Form) -> bool:
    headers = {name.lower(): value for name, value in event["headers"].items()}
    is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    is_message = "pathParameters" in event or {"From", "To"} <= set(form)  # what says whose it is, is whole
    return is_form and form.get("AccountSid") == ACCOUNT and is_message and len(event["body"]) < 60_000


# --- mutations: of the event in place --------------------------------------------------------------------------------

Mutation = Callable[[Request, random.Random], None]


def _text(event: Request) -> str:
    body = event["body"]
    if not isinstance(body, str):
        return ""
    try:
        return base64.b64decode(body).decode("utf-8", "surrogateescape") if event["isBase64Encoded"] is True else body
    except ValueError:
        return body


def _set(event: Request, text: str) -> None:
    event["body"] = text
    event["isBase64Encoded"] = False


def _pairs(event: Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl(_text(event), keep_blank_values=True) or [("a", "b")]
    except ValueError:
        return [("a", "b")]


def _put(event: Request, pairs: list[tuple[str, str]]) -> None:
    try:
        _set(event, "&".join(kit.encode({name: value}) for name, value in pairs))
    except UnicodeEncodeError:
        _set(event, "\ud800=1")


def _flip(event: Request, rng: random.Random) -> None:
    text = _text(event) or "x"
    at = rng.randrange(len(text))
    _set(event, text[:at] + chr(ord(text[at]) ^ (1 << rng.randrange(7))) + text[at + 1 :])


def _cut_off(event: Request, rng: random.Random) -> None:
    text = _text(event)
    _set(event, text[: rng.randrange(len(text) + 1)])


def _drop(event: Request, rng: random.Random) -> None:
    pairs = _pairs(event)
    pairs.pop(rng.randrange(len(pairs)))
    _put(event, pairs)


def _double(event: Request, rng: random.Random) -> None:
    pairs = _pairs(event)
    name, value = rng.choice(pairs)
    pairs.insert(rng.randrange(len(pairs) + 1), (name, value if rng.random() < 0.5 else "other"))
    _put(event, pairs)


def _add(event: Request, rng: random.Random) -> None:
    names = (
        "From",
        "Body",
        "MessageSid",
        "x",
        "",
        "__proto__",
        "Body[]",
        "MediaUrl0",
        "ButtonPayload",
        "OptOutType",
        "\x00",
    )
    _put(event, [*_pairs(event), (rng.choice(names), rng.choice(_NASTY))])


def _replace(event: Request, rng: random.Random) -> None:
    pairs = _pairs(event)
    at = rng.randrange(len(pairs))
    pairs[at] = (pairs[at][0], rng.choice(_NASTY))
    _put(event, pairs)


def _rename(event: Request, rng: random.Random) -> None:
    pairs = _pairs(event)
    at = rng.randrange(len(pairs))
    name, value = pairs[at]
    renamed = rng.choice((name.lower(), name + value[:1], f"{name}[0]", name[:-1], f" {name}", f"{name}\x00"))
    pairs[at] = (renamed, value)
    _put(event, pairs)


def _move_the_cut(event: Request, rng: random.Random) -> None:
    """Same characters, another border between a name and its value: the signature may still fit."""
    pairs = _pairs(event)
    at = rng.randrange(len(pairs))
    name, value = pairs[at]
    cut = rng.randrange(len(name + value) + 1)
    pairs[at] = ((name + value)[:cut], (name + value)[cut:])
    _put(event, pairs)


def _headers(event: Request, rng: random.Random) -> None:
    headers = dict(event["headers"] or {})
    name = rng.choice(list(headers) or ["x"])
    odd: Any = rng.choice((None, "", 7, ["a"], "\ud800", "x" * 10_000, f"{headers.get(name)}, {headers.get(name)}"))
    headers[name] = odd
    event["headers"] = rng.choice((headers, headers, headers, {}, None))


def _signature(event: Request, rng: random.Random) -> None:
    headers = dict(event["headers"] or {})
    right = str(headers.get("x-twilio-signature", ""))
    odd = (
        right[:-2],
        right.lower(),
        right + "A",
        right[::-1],
        "☃",
        "=" * 28,
        base64.b64encode(rng.randbytes(20)).decode(),
    )
    event["headers"] = headers | {"x-twilio-signature": rng.choice(odd)}


def _body(event: Request, rng: random.Random) -> None:
    event["body"] = rng.choice(
        (None, "", 7, [], {}, True, "=", "&&&", "%", "%zz", "\x00" * 50, "a" * 200_000, "a=b&" * 500)
    )


def _as_json(event: Request, rng: random.Random) -> None:
    _set(event, json.dumps(dict(_pairs(event))))
    if rng.random() < 0.7:
        event["headers"] = {**(event["headers"] or {}), "content-type": "application/json"}


def _bytes(event: Request, rng: random.Random) -> None:
    """Bytes that are no UTF-8, in base64 or percent-encoded."""
    raw = rng.randbytes(rng.randrange(1, 60))
    if rng.random() < 0.5:
        event["body"], event["isBase64Encoded"] = (
            base64.b64encode(_text(event).encode("utf-8", "replace") + raw).decode(),
            True,
        )
    else:
        _set(event, _text(event) + "&Z=" + "".join(f"%{byte:02x}" for byte in raw))


def _flag(event: Request, rng: random.Random) -> None:
    event["isBase64Encoded"] = rng.choice((not event["isBase64Encoded"], "false", None, 1))


def _path(event: Request, rng: random.Random) -> None:
    odd = rng.choice(("", "x", "../" * 5, "0" * 32, kit.MESSAGE_ID.upper(), "٣" * 32, kit.MESSAGE_ID + "\n"))
    event["pathParameters"] = {
        "message_id": odd,
        **({"attempt": rng.choice(("", "f" * 12))} if rng.random() < 0.7 else {}),
    }


_NASTY = (
    *(
        "",
        " ",
        "\x00",
        "\r\nX: y",
        "' OR 1=1 --",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "../../etc/passwd",
        "<script>",
        "%00",
        "NaN",
    ),
    *(
        "whatsapp:+1",
        "whatsapp:+919999999999",
        "SM" + "f" * 32,
        "-1",
        "1e309",
        "9" * 5_000,
        "﷽" * 500,
        "\u202e",
        "null",
        "٣",
    ),
)
MUTATIONS: dict[str, Mutation] = {
    mutate.__name__.removeprefix("_"): mutate
    for mutate in (
        *(
            _flip,
            _cut_off,
            _drop,
            _double,
            _add,
            _replace,
            _rename,
            _move_the_cut,
            _headers,
            _signature,
            _body,
            _as_json,
        ),
        *(_bytes, _flag, _path),
    )
}


def main() -> int:
    """Run as many as asked for; exit status 0 if every answer was right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--legitimate", type=int, default=20_000)
    parser.add_argument("--malformed", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = time.monotonic()
    refused = legitimate(asked.seed, asked.legitimate)
    wrong, kinds = malformed(asked.seed, asked.malformed)
    for line in [*refused, *wrong][:20]:
        print(line)
    print("mutations:", ", ".join(f"{name} {times}" for name, times in kinds.most_common()))
    print(
        f"webhooks: seed {asked.seed}; {asked.legitimate} legitimate, {len(refused)} refused; "
        f"{asked.malformed} malformed, {len(wrong)} not answered by 403 without a write; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if refused or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
