"""What Twilio makes of the answer to an inbound message's webhook.

Source: https://www.twilio.com/docs/messaging/twiml and the error dictionary's pages 11200 to 12300. The codes of
TLS and DNS (11210, 11220 and on) are not told apart here: a connection that fails is 11205.
"""

from xml.etree import ElementTree

import httpx

SIZE_LIMIT = 64 * 1024
XML_TYPES = {"text/xml", "application/xml"}


class UnreadableAnswerError(Exception):
    """Twilio cannot use the answer. `code` is what its Debugger shows."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Twilio cannot use the answer: {code}")
        self.code = code

    @property
    def calls_fallback(self) -> bool:
        """12200 is a warning only: Twilio does as much of the answer as it understands."""
        return self.code != 12200


def replies(answer: httpx.Response | None, error: str | None) -> list[str]:
    """The texts that Twilio sends to the patient because of this answer; `error` says why there is none.

    Raises:
        UnreadableAnswerError: 11205 no connection, 11200 no answer or an error, 11750 over 64 kB, 12100 no XML,
            12200 no TwiML, 12300 another content type.
    """
    if answer is None:
        raise UnreadableAnswerError(11205 if error == "ct" else 11200)
    if answer.status_code >= 400:
        raise UnreadableAnswerError(11200)
    if not answer.content:
        return []
    if len(answer.content) > SIZE_LIMIT:
        raise UnreadableAnswerError(11750)
    content_type = answer.headers.get("Content-Type", "").partition(";")[0]
    if content_type == "text/plain":
        return [answer.text]
    if content_type not in XML_TYPES:
        raise UnreadableAnswerError(12300)
    try:
        root = ElementTree.fromstring(answer.content)  # our own answer  # noqa: S314  # nosec B314
    except ElementTree.ParseError:
        raise UnreadableAnswerError(12100) from None
    if root.tag != "Response":
        raise UnreadableAnswerError(12200)
    return ["".join(message.itertext()).strip() for message in root.iter("Message")]
