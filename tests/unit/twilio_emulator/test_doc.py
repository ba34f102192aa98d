"""`docs/emulator.md` names everything there is: codes, faults, controls, settings, switches."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.routing import Route

from local.twilio.controls import SWITCHES
from local.twilio.errors import as_markdown
from local.twilio.faults import KINDS
from local.twilio.server import build_app
from local.twilio.state import Account, Settings
from tests.unit.twilio_emulator.kit import ACCOUNT_SID, AUTH_TOKEN, SENDER

DOC = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text()


def test_table_of_codes_is_current() -> None:
    assert DOC.endswith(f"\n{as_markdown()}\n"), "run the command above the table and paste what it prints"


@pytest.mark.parametrize("name", [*KINDS, *SWITCHES, *(field.name for field in fields(Settings))])
def test_fault_switch_and_setting_are_named(name: str) -> None:
    assert f"`{name}`" in DOC


class NoServer:
    """Connections of an app that is built but not served."""

    def reset_connection(self, request: Request) -> None:
        raise NotImplementedError

    def stop_listening(self) -> None:
        raise NotImplementedError

    async def listen_again(self) -> None:
        raise NotImplementedError


def test_every_control_is_named() -> None:
    app = build_app(Account(ACCOUNT_SID, AUTH_TOKEN, [SENDER]), NoServer(), "http://127.0.0.1:9")
    controls = [
        f"{method} {route.path.removeprefix('/_emulator/')}"
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith("/_emulator/")
        for method in (route.methods or set()) - {"HEAD"}
    ]
    assert len(controls) > 10
    assert [control for control in controls if f"`{control}`" not in DOC] == []


def test_every_event_is_named() -> None:
    source = "".join(path.read_text() for path in Path(inspect.getfile(build_app)).parent.glob("*.py"))
    published = set(re.findall(r"\bpublish\(\s*\"(\w+)\"", source))
    assert len(published) > 10
    assert [event for event in published if f"`{event}`" not in DOC] == []
