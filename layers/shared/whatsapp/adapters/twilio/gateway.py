"""Twilio's Messages API. A message is posted once, without retries, and each result is one of four outcomes."""

import json
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError, SSLError

from whatsapp.adapters.twilio.credentials import NO_CREDENTIALS, why_no_credentials
from whatsapp.adapters.twilio.webhook import CALLBACK_OVERRIDES
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.ports import (
    Accepted,
    InDoubt,
    NotSent,
    Outcome,
    OutgoingPost,
    Rejected,
    TwilioMessage,
    TwilioUnavailable,
)
from whatsapp.domain.receiving.inbound import InboundMedium, media_type

PAGE_SIZE = 1000
"""The most that Twilio lists at once."""
CONTACT_PAGE = 200
"""Of one contact's messages: mostly the first page goes back far enough."""
MEDIA_LIMIT = 10
API = "https://api.twilio.com"


_GAVE_UP_WAITING = frozenset({408, 425, 499})
"""Without a code of Twilio's these come from a proxy that gave up, perhaps after it had passed the request on."""


class TwilioGateway:
    """The `Gateway` port. Every method except `prepare` raises `TwilioUnavailable` without an answer that can be read.

    Args:
        client: returns the SDK's client. Called for each request, because the secret may have been rotated.
        sender: our address.
        public_url: the base of the status callback's URL.
    """

    def __init__(self, client: Callable[[], Client], sender: Address, public_url: str) -> None:
        self._client = client
        self._sender = sender.whatsapp
        self._public_url = public_url.rstrip("/")

    def prepare(self, post: OutgoingPost) -> Callable[[], Outcome]:
        """Read the credentials, which may take long; returns what posts the message, once."""
        try:
            client = self._client()
        except NO_CREDENTIALS as error:
            not_sent = NotSent(why_no_credentials(error))
            return lambda: not_sent
        parameters: dict[str, Any] = {"status_callback": self._public_url + post.status_path + CALLBACK_OVERRIDES}
        if post.content_sid:
            parameters["content_sid"] = post.content_sid
            parameters["content_variables"] = json.dumps(dict(post.content_variables or {}), ensure_ascii=False)
        else:
            parameters["body"] = post.body
            parameters["media_url"] = [post.media_url] if post.media_url else None
        given = {name: value for name, value in parameters.items() if value is not None}
        to = Address(post.to).whatsapp
        return lambda: outcome_of(lambda: client.messages.create(to=to, from_=self._sender, **given).sid)

    def is_answering(self) -> bool:
        """Whether Twilio answers a question now; a refusal is an answer too."""
        try:
            with _asking():
                try:
                    self._client().messages.list(limit=1)
                except (TwilioRestException, TwilioServiceException) as error:
                    return bool(error.status < 500)
        except TwilioUnavailable:
            return False
        return True

    def list_sent_to(self, to: str, since: int) -> Sequence[TwilioMessage]:
        """Our messages to that address in Twilio's list, newest first, back to `since` (epoch ms).

        Not filtered by Twilio's date of sending, because a message that is not sent yet has none.
        """
        with _asking():
            sent = self._client().messages.stream(to=Address(to).whatsapp, from_=self._sender, page_size=CONTACT_PAGE)
            return list(takewhile(lambda one: one.date_created >= since, map(_listed, sent)))

    def list_sent(self, since: int) -> Iterator[TwilioMessage]:
        """Our messages to anyone in Twilio's list, newest first, back to `since` (epoch ms), read page by page."""
        with _asking():
            sent = self._client().messages.stream(from_=self._sender, page_size=PAGE_SIZE)
            yield from takewhile(lambda one: one.date_created >= since, map(_listed, sent))

    def list_received(self, since: int, until: int | None = None) -> Iterator[TwilioMessage]:
        """Patients' messages to our sender of that span (epoch ms), newest first, read page by page.

        Twilio filters by `date_sent`, which for an inbound message is soon after `date_created`. It documents days, and
        its SDK writes a moment: a day later, either reading covers the span.
        """
        before = {"date_sent_before": datetime.fromtimestamp((until + periods.DAY) / 1000, UTC)} if until else {}
        with _asking():
            to_us = self._client().messages.stream(to=self._sender, page_size=PAGE_SIZE, **before)
            recent = takewhile(lambda one: one.date_created >= since, map(_listed, to_us))
            yield from (o for o in recent if o.direction == "inbound" and (not until or o.date_created <= until))

    def media_of(self, twilio_sid: str) -> Sequence[InboundMedium]:
        """The media of a message whose webhook never arrived."""
        with _asking():
            return [
                InboundMedium(url=API + medium.uri.removesuffix(".json"), content_type=media_type(medium.content_type))
                for medium in self._client().messages(twilio_sid).media.list(limit=MEDIA_LIMIT)
            ]

    def delete(self, twilio_sid: str) -> None:
        """Delete a message and its media at Twilio. One that no longer exists counts as deleted.

        The media are deleted one by one, because Twilio's pages disagree on whether a message's media go with it.

        Raises:
            TwilioUnavailable: no answer, or it is still being sent and cannot be deleted yet.
        """
        with _asking():
            message = self._client().messages(twilio_sid)
            try:
                if int(message.fetch().num_media or 0):
                    for medium in message.media.list(limit=MEDIA_LIMIT):
                        medium.delete()
                message.delete()
            except TwilioRestException as error:
                if error.status != 404:
                    raise

    def fetch(self, twilio_sid: str) -> TwilioMessage | None:
        """One message; None if Twilio no longer has it."""
        with _asking():
            try:
                return _listed(self._client().messages(twilio_sid).fetch())
            except TwilioRestException as error:
                if error.status != 404:
                    raise
                return None


@contextmanager
def _asking() -> Iterator[None]:
    """Turns every error into `TwilioUnavailable`, because the SDK's own errors quote URLs with phone numbers."""
    try:
        yield
    except (TwilioRestException, TwilioServiceException) as error:
        raise TwilioUnavailable(f"Twilio answered {error.status}, code {error.code}") from None
    except NO_CREDENTIALS as error:
        raise TwilioUnavailable(why_no_credentials(error)) from None
    except (TwilioException, HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        name = type(error).__name__
        raise TwilioUnavailable(f"Twilio's answer did not come or could not be read ({name})") from None


def outcome_of(create: Callable[[], str | None]) -> Outcome:
    """What one POST's end proves. Only what was never connected, or was refused by Twilio, is certainly not sent."""
    try:
        sid = create()
    except (TwilioRestException, TwilioServiceException) as error:
        # Where Twilio gave no code, the SDK puts the HTTP status in its place.
        code = error.code if error.code != error.status else None
        if 400 <= error.status < 500 and (code or error.status not in _GAVE_UP_WAITING):
            return Rejected(code, error.status)
        return InDoubt(f"Twilio answered {error.status}")
    except NewConnectionError:
        return NotSent("no connection to Twilio")
    except ConnectTimeoutError:
        return NotSent("no connection to Twilio in time")
    except (SSLError, ProtocolError) as error:
        if isinstance(error.args[0], ssl.SSLCertVerificationError):
            return NotSent("no connection to Twilio: its certificate is not valid")
        return InDoubt("the connection to Twilio broke off")
    except HTTPError as error:
        return InDoubt(f"Twilio's answer was incomplete ({type(error).__name__})")
    except (TwilioException, ValueError, KeyError, TypeError, AttributeError) as error:
        return InDoubt(f"Twilio's answer could not be read ({type(error).__name__})")
    return Accepted(sid) if sid else InDoubt("Twilio's answer has no sid")


def _listed(message: Any) -> TwilioMessage:
    created: datetime = message.date_created
    return TwilioMessage(
        twilio_sid=message.sid,
        status=str(message.status),
        direction=str(message.direction),
        from_=(message.from_ or "").removeprefix("whatsapp:"),
        to=(message.to or "").removeprefix("whatsapp:"),
        body=message.body or "",
        date_created=int(created.timestamp() * 1000),
        error_code=message.error_code,
        num_media=int(message.num_media or 0),
    )
