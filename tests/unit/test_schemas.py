"""events/schemas/ says what the code says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from whatsapp.domain.events import MessageStatusChanged
from whatsapp.domain.sending.request import SendRequest

from tools import schemas


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(schemas.schemas()[name])


def test_files_are_current() -> None:
    assert schemas.stale() == [], "run `python -m tools.schemas write`"


def test_check_names_what_is_out_of_date(tmp_path: Path) -> None:
    for name, one in schemas.documents().items():
        (tmp_path / name).write_text(schemas.text_of(one))
    (tmp_path / "SendRequest.json").write_text("{}")
    (tmp_path / "message.received.json").unlink()
    assert sorted(schemas.stale(tmp_path)) == ["SendRequest.json", "message.received.json"]


@pytest.mark.parametrize("name", sorted(schemas.schemas()))
def test_each_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(schemas.schemas()[name])


@pytest.mark.parametrize(
    ("request_", "fits"),
    [
        ({"to": "+919812345678", "template": "mood_checkin", "variables": {"patient_name": "Asha"}}, True),
        ({"to": "+919812345678", "text": "Hello", "in_reply_to": "SM" + "0" * 32}, True),
        ({"template": "mood_checkin"}, False),
        ({"to": "+919812345678", "template": "mood_checkin", "when": "tomorrow"}, False),
        ({"to": "+919812345678", "template": "mood_checkin", "on_rate_limit": "never"}, False),
        ({"to": "+919812345678", "template": "mood_checkin", "agent": "No Spaces"}, False),
    ],
)
def test_request_fits_its_schema_as_it_fits_the_model(request_: dict[str, Any], fits: bool) -> None:
    assert schema("SendRequest.json").is_valid(request_) is fits
    if fits:
        assert SendRequest.model_validate(request_).to == request_["to"]


def test_every_field_of_an_event_is_there_even_when_empty() -> None:
    event = MessageStatusChanged(event_id="e", occurred_at="2026-11-24T12:00:00+05:30", message_id="m", status="sent")
    detail = json.loads(json.dumps(event.detail()))
    assert schema("message.status_changed.json").is_valid(detail)
    del detail["error"]
    assert not schema("message.status_changed.json").is_valid(detail)
