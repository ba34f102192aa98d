"""What the emulator holds, as JSON that outlives its process: `make run` goes on with it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from local.twilio.faults import Fault, new_fault_id
from local.twilio.state import Account, Content, Message, Patient, Sender, Settings, SharedKey


@dataclass
class Kept:
    """All of an account but its sid, its API keys and the events so far."""

    created: datetime
    auth_token: str
    secondary_token: str | None
    shared_key: SharedKey | None
    settings: Settings
    senders: dict[str, Sender]
    contents: dict[str, Content]
    patients: dict[str, Patient]
    messages: dict[str, Message]
    faults: list[Fault]
    windows: list[tuple[str, str, datetime]]
    """Patient, sender, and when it closes."""
    clock_offset: timedelta
    media_requests: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


KEPT = TypeAdapter(Kept)
"""Reads and writes it; what does not fit is a `pydantic.ValidationError`, which is a ValueError."""


def keep(account: Account) -> Kept:
    """The account as it is now. A port that a fault closed opens again: such a fault lasts seconds."""
    return Kept(
        created=account.created,
        auth_token=account.auth_token,
        secondary_token=account.secondary_token,
        shared_key=account.shared_key,
        settings=account.settings,
        senders=account.senders,
        contents=account.contents,
        patients=account.patients,
        messages=account.messages,
        faults=[fault for fault in account.faults.active if not fault.closes_the_port],
        windows=[(patient, sender, closes) for (patient, sender), closes in account.window_closings.items()],
        clock_offset=account.clock_offset,
        media_requests=account.media_requests,
        warnings=account.warnings,
    )


def take_up(account: Account, kept: Kept) -> None:
    """Make the account what it was; watchers begin anew."""
    account.reset()
    account.created = kept.created
    account.auth_token, account.secondary_token, account.shared_key = (
        kept.auth_token,
        kept.secondary_token,
        kept.shared_key,
    )
    account.settings, account.senders, account.contents = kept.settings, kept.senders, kept.contents
    account.patients, account.messages = kept.patients, kept.messages
    account.faults.active = [replace(fault, id=new_fault_id()) for fault in kept.faults]
    account.window_closings = {(patient, sender): closes for patient, sender, closes in kept.windows}
    account.clock_offset = kept.clock_offset
    account.media_requests, account.warnings = kept.media_requests, kept.warnings
