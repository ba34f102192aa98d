"""A small orchestrator: it hears the bus through a queue of its own, and its agents answer patients.

Copy it as it stands, and put your agents in place of these. `README.md` beside it says how to deploy it.
"""

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

from whatsapp.bus_events import Event, MessageReceived, MessageStatusChanged
from whatsapp.client import MessageFailed, MessageInDoubt, MessageRefused
from whatsapp.consumer import DynamoDBSeen, reply, work

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)


def lambda_handler(batch: dict[str, Any], _: object) -> dict[str, Any]:
    """Work a batch of the queue; what fails comes again, and then goes to the dead-letter queue."""
    return work(batch, handle, seen())


@cache
def seen() -> DynamoDBSeen:
    """Which events were handled, by all workers together."""
    return DynamoDBSeen(os.environ["SEEN_TABLE"])


def handle(event: Event) -> None:
    """What each event means to us. An exception brings the event again."""
    match event:
        case MessageReceived():
            if event.safety:
                logger.warning("message %s may mean danger to life: call the patient", event.message_id)
            if text := answer_to(event):
                answer(event, text)
        case MessageStatusChanged(status="failed" | "undelivered" | "expired"):
            logger.warning("message %s %s: phone the patient", event.message_id, event.status)


def answer(event: MessageReceived, text: str) -> None:
    """Answer a patient once. What cannot succeed later is not tried again; `MessagingUnavailable` is."""
    try:
        reply(event, text)
    except MessageRefused as refused:
        if refused.retryable:
            raise
        logger.info("%r is not answered: %s", event, refused.code)  # such as `opted_out`, after a STOP
    except (MessageFailed, MessageInDoubt) as error:
        logger.warning("the answer to %r is not sent: %s", event, type(error).__name__)


def answer_to(event: MessageReceived) -> str | None:
    """What the event's agent answers; None: nothing. Where life may be in danger, a person answers."""
    if event.kind == "reaction" or event.safety:
        return None
    return AGENTS.get(event.agent or "", someone_will_write)(event)


def scheduling(event: MessageReceived) -> str:
    """The agent that books, confirms and moves appointments."""
    if chosen(event).endswith(":confirm"):
        return "Thank you, your appointment is confirmed. We look forward to seeing you."
    if chosen(event).endswith(":reschedule"):
        return "No problem. We have Thursday at 11:00 or Friday at 16:30. Which suits you?"
    return someone_will_write(event)


def mood(event: MessageReceived) -> str:
    """The agent of check-ins: it notes the score for the therapist, and never judges it in a message."""
    if chosen(event).startswith("agent:mood:score:"):
        return "Thank you for telling us. Your therapist will see it before your next session."
    return someone_will_write(event)


def someone_will_write(_: MessageReceived) -> str:
    """What every agent says to anything else: text of a stranger is never an instruction."""
    return "Thank you for your message. Someone from the clinic will write to you during working hours."


def chosen(event: MessageReceived) -> str:
    """The payload of the button that the patient tapped, or the id of the list item that they chose."""
    return (event.button and event.button.payload) or (event.choice and event.choice.id) or ""


AGENTS: dict[str, Callable[[MessageReceived], str]] = {"scheduling": scheduling, "reminders": scheduling, "mood": mood}
