"""The minute's task of the send function."""

from types import SimpleNamespace
from typing import Any

import pytest
from whatsapp import bootstrap

from functions.send.handler import lambda_handler

CONTEXT: Any = SimpleNamespace(
    function_name="send",
    memory_limit_in_mb=1,
    invoked_function_arn="arn",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 60_000,
)


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_who_asked_to_be_erased_is_erased_even_if_the_sweep_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    erased: list[object] = []

    def broken(_: object) -> None:
        raise RuntimeError("a table is gone")

    app = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: 0),
        sweep_due=broken,
        erase_contact=SimpleNamespace(sweep=erased.append),
    )
    monkeypatch.setattr(bootstrap, "app", lambda: app)
    with pytest.raises(RuntimeError):
        lambda_handler({"task": "sweep"}, CONTEXT)
    assert len(erased) == 1
