"""The clock against DynamoDB's answers: right or wrong local clocks, quick and slow answers."""

from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from whatsapp.adapters.dynamodb import clock as module
from whatsapp.adapters.dynamodb.clock import DynamoClock

TRUE = 1_795_000_000_300


class Answers:
    """Answers of DynamoDB to a sandbox whose own clock is off by `skew` milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, skew: int) -> None:
        self.true, self._listeners = TRUE, {}  # type: ignore[var-annotated]  # by event
        time = SimpleNamespace(time_ns=lambda: (self.true + skew) * 1_000_000)
        monkeypatch.setattr(module, "time", time)
        events = SimpleNamespace(register=self._listeners.__setitem__)
        client: Any = SimpleNamespace(meta=SimpleNamespace(events=events))
        self.clock = DynamoClock(client)

    def one(self, there: int = 5, back: int = 5) -> int:
        """One call that takes so long there and back; what the clock is off by after it."""
        context: dict[str, Any] = {}
        self._listeners["before-call.dynamodb"](context=context)
        self.true += there
        headers = {"date": formatdate(self.true / 1000, usegmt=True)}
        self.true += back
        self._listeners["after-call.dynamodb"](context=context, parsed={"ResponseMetadata": {"HTTPHeaders": headers}})
        return self.clock.now() - self.true


@pytest.mark.parametrize("skew", [-600_000, -2_400, 2_400, 600_000])
def test_a_wrong_clock_is_put_right(monkeypatch: pytest.MonkeyPatch, skew: int) -> None:
    assert abs(Answers(monkeypatch, skew).one()) < 1_100


@pytest.mark.parametrize(("there", "back"), [(5, 5), (20_000, 5), (5, 20_000)])
def test_a_right_clock_is_believed_however_slow_the_answer(
    monkeypatch: pytest.MonkeyPatch, there: int, back: int
) -> None:
    answers = Answers(monkeypatch, 0)
    assert [answers.one(there, back), answers.one(), answers.one(back, there)] == [0, 0, 0]


def test_further_answers_narrow_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch, 30_000)
    errors = []
    for _ in range(40):
        answers.true += 1_237
        errors.append(abs(answers.one()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 100


def test_an_answer_without_a_date_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch, 30_000)
    answers._listeners["after-call.dynamodb"](context={}, parsed={"ResponseMetadata": {}})
    assert answers.clock.now() == TRUE + 30_000
