"""From a caller's request to a record, and from a record to what Twilio is handed."""

from dataclasses import replace

from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import OutgoingPost
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.request import SendRequest
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.domain.templates.version import serving_version


def compose(request: SendRequest, message_id: str, now: int, catalog: Catalog, contact_ids: ContactIds) -> Message:
    """The record of a new message, not yet in anybody's language.

    Raises:
        MessagingError: `invalid_address`, `unknown_template`, `expired`, `invalid_request` for a `send_at` too far off.
    """
    address = Address.parse(request.to)
    template = catalog.get(request.template) if request.template else None
    expires_at = int(request.expires_at.timestamp() * 1000) if request.expires_at else None
    send_at = int(request.send_at.timestamp() * 1000) if request.send_at else None
    if expires_at is None and template and template.expires_after:
        expires_at = (send_at or now) + int(template.expires_after.total_seconds() * 1000)
    if send_at is not None and send_at > now + periods.SEND_AT_MOST_AHEAD:
        raise MessagingError("invalid_request", "send_at: at most 30 days ahead; ask again when it is nearer")
    if expires_at is not None and expires_at <= now:
        raise MessagingError("expired", "`expires_at` has passed: nothing was sent")
    return Message(
        message_id=message_id,
        contact_id=contact_ids.of(address),
        to=address.value,
        request_hash=request.hash(),
        created_at=now,
        status=Status.PENDING,
        kind=SendKind.REPLY if request.in_reply_to else SendKind.PROACTIVE,
        template=request.template,
        variables=dict(request.variables),
        text=request.text,
        media_url=request.media_url,
        user_id=request.user_id,
        agent=request.agent or (template.agent if template else None),
        in_reply_to=request.in_reply_to,
        send_at=send_at,
        expires_at=expires_at,
        on_unknown=request.on_unknown or (template.on_unknown if template else "hold"),
    )


def reach(message: Message, contact: Contact, *, send_to_ids: bool) -> Message:
    """The record with the contact's own id, and the number of a business-scoped id where one has told it.

    Raises:
        MessagingError: `invalid_address` for an id whose number nobody knows, unless sends to ids are on.
    """
    message = replace(message, contact_id=contact.contact_id, user_id=message.user_id or contact.user_id)
    if Address(message.to).is_phone_number:
        return message
    known = Address(contact.address) if contact.address else None
    if known and known.is_phone_number:
        return replace(message, to=known.value)
    if not send_to_ids:
        raise MessagingError(
            "invalid_address",
            "this is a WhatsApp id whose phone number is not known: send to the number, or set the parameter "
            "SendToBusinessScopedIds to 1 once your Twilio account is known to take such ids",
        )
    return message


def localise(message: Message, request: SendRequest, contact: Contact, catalog: Catalog) -> Message:
    """The record with its language, and the text that the patient will read.

    Raises:
        MessagingError: `unknown_language`, `invalid_variables`.
    """
    if not message.template:
        return message
    template = catalog.get(message.template)
    asked = request.language and (template.closest_language(request.language) or request.language)
    language = asked or template.language_for(contact.language)
    return replace(message, language=language, text=template.render(language, message.variables).text)


def content_of(
    message: Message, contact: Contact, now: int, catalog: Catalog, templates: TemplateStore
) -> OutgoingPost:
    """What to hand to Twilio now: free-form inside the window where that is allowed, else the approved template.

    Raises:
        MessagingError: `window_closed` for text outside the window; `template_not_approved`.
    """
    open_window = contact.window_open(now)
    if message.template is None:
        if not open_window:
            raise MessagingError(
                "window_closed",
                "free-form text needs a message from the patient in the last 24 h: use a template",
            )
        return OutgoingPost(to=message.to, body=message.text, media_url=message.media_url)
    template = catalog.get(message.template)
    if open_window and template.free_form and not message.template_only:
        return OutgoingPost(to=message.to, body=message.text)
    language = message.language or template.default_language
    version = serving_version(template, language, templates.versions(template.name))
    if version is None or version.content_sid is None:
        raise MessagingError(
            "template_not_approved",
            f"{template.name} has no approved version in {language}: see GET /templates",
            retryable=True,
        )
    rendered = version.wording_of(template).render(language, message.variables)
    return OutgoingPost(
        to=message.to,
        content_sid=version.content_sid,
        content_variables=rendered.content_variables,
        rendered=rendered.text,
    )
