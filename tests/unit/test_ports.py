"""When a queue message was asked for."""

import pytest
from whatsapp.domain import periods
from whatsapp.domain.ports import ASKED_AT, CALLERS_ASKED_AT, asked_at

SENT = 1_795_000_000_000
CLOSE, LONG_AGO = SENT - periods.CALLERS_CLOCK_ERROR, SENT - periods.CALLERS_CLOCK_ERROR - 1


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, SENT),
        ({ASKED_AT: str(SENT - 5)}, SENT - 5),
        ({ASKED_AT: str(SENT - 5), CALLERS_ASKED_AT: str(LONG_AGO)}, SENT - 5),
        ({CALLERS_ASKED_AT: str(LONG_AGO)}, LONG_AGO),
        ({CALLERS_ASKED_AT: str(CLOSE)}, SENT),
        ({CALLERS_ASKED_AT: str(SENT + 5)}, SENT),
        ({CALLERS_ASKED_AT: "yesterday"}, SENT),
        ({CALLERS_ASKED_AT: "1.5"}, SENT),
        ({ASKED_AT: "-1"}, SENT),
    ],
)
def test_asked_at(attributes: dict[str, str], expected: int) -> None:
    assert asked_at(attributes, SENT) == expected
