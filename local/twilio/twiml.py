"""What Twilio makes of the answer to an inbound message's webhook.

Source: https://www.twilio.com/docs/messaging/twiml and the error dictionary's pages 11200 to 12300.
"""

from xml.etree import ElementTree

import httpx

XML_TYPES = {"text/xml", "application/xml"}


class UnreadableAnswerError(Exception):
    """Twilio cannot use the answer. `code` is what its Debugger shows."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Twilio cannot use the answer: {code}")
        self.code = code


def replies(answer: httpx.Response | None) -> list[str]:
    """The texts that Twilio sends to the patient because of this answer.

    Raises:
        UnreadableAnswerError: 11200 no answer or an error, 12100 no XML, 12200 no TwiML, 12300 another
            content type.
    """
    if answer is None or answer.status_code >= 400:
        raise UnreadableAnswerError(11200)
    if not answer.content:
        return []
    content_type = answer.headers.get("Content-Type", "").partition(";")[0]
    if content_type == "text/plain":
        return [answer.text]
    if content_type not in XML_TYPES:
        raise UnreadableAnswerError(12300)
    try:
        root = ElementTree.fromstring(answer.content)  # noqa: S314 - our own product's answer on this machine
    except ElementTree.ParseError:
        raise UnreadableAnswerError(12100) from None
    if root.tag != "Response":
        raise UnreadableAnswerError(12200)
    return ["".join(message.itertext()).strip() for message in root.iter("Message")]
