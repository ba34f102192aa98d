"""What the reconcile reads of each inbound message while a day passes: nothing is missing, as on nearly every day."""

from dataclasses import replace
from typing import Any

from whatsapp.domain.address import Address
from whatsapp.domain.ports import Deadline, TwilioMessage
from whatsapp.domain.receiving.inbound import InboundForm

from tests import ministack_tables
from tests.app import SENDER, UnitApp
from tests.performance.outside import TABLES
from tests.simulation.dynamodb import Client
from tests.units import apply

MINUTE = 60_000
A_DAY = 24 * 60
EVERY = 2
"""Minutes from one inbound message to the next."""


def reads_of_an_inbound_message() -> float:
    """Read request units of a day's reconciles, those of an empty day taken off, for each message."""
    return (_units_of_a_day(EVERY) - _units_of_a_day(None)) / (A_DAY / EVERY)


def _units_of_a_day(every: int | None) -> float:
    ministack_tables.make_tables()
    read, counts = 0.0, False

    def call(operation: str, request: dict[str, Any]) -> Any:
        nonlocal read
        answer, consumed = apply(operation, request)
        read += consumed.read if counts else 0
        return answer

    app = UnitApp(replace(TABLES, public_url="https://api.example"), Client(call))
    for minute in range(A_DAY):
        if every and minute % every == 0:
            _write(app, minute)
        if minute % 5 == 0:
            counts = True
            app.reconcile(Deadline(app.clock.now() + 60_000))
            counts = False
        app.clock.sleep(60)
    return read


def _write(app: UnitApp, number: int) -> None:
    sid, patient = f"SM{number:032x}", f"+9196{number:08}"
    app.receive_message(InboundForm(twilio_sid=sid, from_=Address(patient), to=SENDER, text="hello"))
    listed = TwilioMessage(
        twilio_sid=sid,
        direction="inbound",
        status="received",
        from_=patient,
        to=SENDER,
        body="hello",
        date_created=app.clock.now(),
    )
    app.gateway.messages.insert(0, listed)
