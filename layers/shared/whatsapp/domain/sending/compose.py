"""Makes the record of a caller's request, and the POST of a record."""

from collections.abc import Sequence
from datetime import UTC, datetime

from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import OutgoingPost
from whatsapp.domain.sending.choices import layout
from whatsapp.domain.sending.group import Group
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.request import SendRequest
from whatsapp.domain.sending.sender import NUMBER_HIDDEN
from whatsapp.domain.templates.template import Template
from whatsapp.domain.templates.version import TemplateVersion, serving_version


def compose(
    request: SendRequest,
    message_id: str,
    contact: Contact,
    template: Template | None,
    now: int,
    *,
    takes_ids: bool,
    asked_at: int | None = None,
    group: Group | None = None,
) -> Message:
    """The record of a new message to this contact, in their language and with the text that they will read.

    `asked_at`: when its caller asked for it (epoch ms), if it waited in the queue. `group`: its group as it is stored.

    Raises:
        MessagingError: `expired`; `too_late` if the moment that it is about has passed, or has by `send_at`;
            `invalid_request` for a `send_at` too far ahead; `unknown_language`; `invalid_variables`; `number_hidden`
            for an id whose number is not known, unless ids can be sent to.
    """
    after_cancel = group.cancel_before(asked_at) if group else None
    asked_at = min(asked_at, now) if asked_at else now
    send_at, expires_at = _times(request, template, asked_at, now)
    to = recipient(Address.parse(request.to), contact, takes_ids=takes_ids)
    language, text = None, request.text
    if template:
        asked = request.language and (template.closest_language(request.language) or request.language)
        language = asked or template.language_for(contact.language)
        text = template.render(language, request.variables).text
    return Message(
        message_id=message_id,
        contact_id=contact.contact_id,
        to=to.value,
        request_hash=request.hash(),
        idempotency_key=request.idempotency_key,
        created_at=now,
        asked_at=asked_at if asked_at < now else None,
        status=Status.PENDING,
        kind=SendKind.REPLY if request.in_reply_to else SendKind.PROACTIVE,
        template=request.template,
        language=language,
        variables=dict(request.variables),
        text=text,
        media_url=request.media_url,
        choices=request.choices_as_stored,
        choices_label=request.choices_label,
        user_id=request.user_id or contact.user_id_at(now),
        agent=request.agent or (template.agent if template else None),
        in_reply_to=request.in_reply_to,
        group=request.group,
        after_cancel=after_cancel,
        unless=request.unless,
        answer_by=_answer_by(request, now),
        priority=None if template is None or template.priority == "normal" else template.priority,
        send_at=send_at,
        expires_at=expires_at,
        on_unknown=request.on_unknown or (template.on_unknown if template else "hold"),
    )


def _times(request: SendRequest, template: Template | None, asked_at: int, now: int) -> tuple[int | None, int | None]:
    send_at, expires_at = _epoch_ms(request.send_at), _epoch_ms(request.expires_at)
    if send_at is not None and send_at > now + periods.SEND_AT_MOST_AHEAD:
        raise MessagingError("invalid_request", "send_at: at most 30 days ahead; ask again when it is nearer")
    if expires_at is None and template and template.expires_after:
        expires_at = (send_at or asked_at) + int(template.expires_after.total_seconds() * 1000)
        if expires_at <= now:
            raise MessagingError(
                "expired",
                f"`send_at` has passed, and so has the time after it in which {template.name} may go: nothing was "
                "sent; without `send_at` it goes at once",
            )
    moment = _moment(request, template, now) if template else None
    if expires_at is not None and expires_at <= now:
        raise MessagingError("expired", "`expires_at` has passed: nothing was sent")
    return send_at, min((at for at in (expires_at, moment) if at is not None), default=None)


def _answer_by(request: SendRequest, now: int) -> int | None:
    answer_by = _epoch_ms(request.answer_by)
    if answer_by is None:
        return None
    if answer_by <= max(now, _epoch_ms(request.send_at) or now):
        raise MessagingError("invalid_request", "answer_by: must be later than now, and than `send_at`")
    if answer_by > now + periods.ANSWER_BY_MOST_AHEAD:
        raise MessagingError("invalid_request", "answer_by: at most 31 days ahead")
    return answer_by


def _moment(request: SendRequest, template: Template, now: int) -> int | None:
    """When the event in the message begins, such as the session: from then on the message is of no use."""
    moment = _epoch_ms(template.moment(request.variables, request.send_at or datetime.fromtimestamp(now / 1000, UTC)))
    goes_at = max(now, _epoch_ms(request.send_at) or now)
    if moment is not None and moment <= goes_at:
        why = "has passed" if moment <= now else "is not later than `send_at`"
        raise MessagingError("too_late", f"{template.expires_with} {why}: nothing was sent")
    return moment


def _epoch_ms(at: datetime | None) -> int | None:
    return int(at.timestamp() * 1000) if at else None


def recipient(asked: Address, contact: Contact, *, takes_ids: bool) -> Address:
    """The number of a business-scoped id, where an inbound message has shown it.

    Raises:
        MessagingError: `number_hidden`.
    """
    if asked.is_phone_number:
        return asked
    known = Address(contact.address) if contact.address else None
    if known and known.is_phone_number:
        return known
    if not takes_ids:
        raise NUMBER_HIDDEN
    return asked


def content_of(message: Message, contact: Contact, template: Template | None, now: int) -> OutgoingPost | Template:
    """The message as free-form text, if the window is open and the template allows it; else the template it needs.

    Raises:
        MessagingError: `window_closed` for text or media without a template.
    """
    is_open = contact.window_open(now)
    if template is None:
        if is_open and message.choices:
            text = message.text or ""
            choices = layout(text, message.choices, message.choices_label)
            return OutgoingPost(to=message.to, rendered=text, choices=choices)
        if is_open:
            return OutgoingPost(to=message.to, body=message.text, media_url=message.media_url)
        raise MessagingError(
            "window_closed", "free-form text and media need a message from the patient in the last 24 h: use a template"
        )
    if is_open and template.free_form and not message.template_only:
        return OutgoingPost(to=message.to, body=message.text)
    return template


def templated(message: Message, template: Template, versions: Sequence[TemplateVersion]) -> OutgoingPost:
    """The message by the version of the template that WhatsApp approved. Its words may be older than the catalog's.

    Raises:
        MessagingError: `template_not_approved`.
    """
    language = message.language or template.default_language
    version = serving_version(template, language, versions)
    if version is None or version.content_sid is None:
        raise MessagingError(
            "template_not_approved",
            f"{template.name} has no approved version in {language}: see GET /templates",
            retryable=True,
        )
    rendered = template.render(language, message.variables, version.body)
    return OutgoingPost(
        to=message.to,
        content_sid=version.content_sid,
        content_variables=rendered.content_variables,
        rendered=rendered.text,
    )
