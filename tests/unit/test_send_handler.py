"""The send function: its minute's task, and the HTTP status of each answer."""

from types import SimpleNamespace
from typing import Any

import pytest
from whatsapp import bootstrap
from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.request import SendAnswer

from functions.send.handler import lambda_handler
from functions.send.http import status_of
from functions.template_sync.handler import lambda_handler as template_sync_handler
from functions.webhook.handler import lambda_handler as webhook_handler

CONTEXT: Any = SimpleNamespace(
    function_name="send",
    memory_limit_in_mb=1,
    invoked_function_arn="arn",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 60_000,
)


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_people_are_erased_and_alerted_even_if_the_sweep_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[object] = []

    def broken(_: object) -> None:
        raise RuntimeError("a table is gone")

    app = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: 0),
        sweep_due=broken,
        erase_contact=SimpleNamespace(sweep=swept.append),
        raise_alerts=SimpleNamespace(sweep=swept.append),
        publish_unanswered=swept.append,
    )
    monkeypatch.setattr(bootstrap, "app", lambda: app)
    with pytest.raises(RuntimeError):
        lambda_handler({"task": "sweep"}, CONTEXT)
    assert len(swept) == 3


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize("handler", [lambda_handler, webhook_handler, template_sync_handler])
def test_error_of_an_unknown_task_does_not_repeat_it(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "app", lambda: SimpleNamespace(clock=SimpleNamespace(now=lambda: 0)))
    with pytest.raises(ValueError, match="this function") as raised:
        handler({"task": "remind Asha +919812345678"}, CONTEXT)
    assert "Asha" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code", "more", "http_status"),
    [
        ("sent", None, {}, 200),
        ("delivered", None, {}, 200),
        ("read", None, {}, 200),
        ("canceled", None, {}, 200),
        ("expired", None, {}, 200),
        ("pending", None, {}, 202),
        ("deferred", "rate_limited", {}, 202),
        ("retrying", "twilio_unavailable", {}, 202),
        ("sending", None, {}, 202),
        ("unknown", "twilio_unavailable", {}, 202),
        ("failed", "invalid_address", {}, 400),
        ("failed", "opted_out", {}, 403),
        ("refused", "no_consent", {}, 403),
        ("failed", "account_problem", {}, 503),
        ("failed", "window_closed", {"continued_as": "m2"}, 202),
        ("failed", "invalid_address", {"duplicate": True}, 200),
        ("undelivered", "not_on_whatsapp", {}, 400),
        ("refused", "invalid_request", {}, 400),
        ("refused", "opted_out", {}, 403),
        ("refused", "not_found", {}, 404),
        ("refused", "idempotency_conflict", {}, 409),
        ("refused", "too_late_to_cancel", {}, 409),
        ("refused", "rate_limited", {}, 429),
        ("refused", "internal_error", {}, 500),
        ("refused", "account_problem", {}, 503),
    ],
)
def test_http_status_of_an_answer(status: Any, code: str | None, more: dict[str, Any], http_status: int) -> None:
    error = Failure(code=code, detail="why") if code else None
    assert status_of(SendAnswer(message_id="m", status=status, error=error, **more)) == http_status
