"""The orchestrator's one call and its answer, as JSON: design and schema of the send contract."""

import hashlib
import json
import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from whatsapp.domain.errors import Failure, MessagingError, named
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.choices import (
    APART,
    BUTTON_TITLE,
    DESCRIPTION,
    ID,
    LABEL,
    MAX_BUTTONS,
    MAX_CHOICES,
    MAX_TEXT,
    MAX_VARIABLES,
    TITLE,
    are_buttons,
    layout,
)
from whatsapp.domain.sending.message import Message
from whatsapp.domain.visible import is_visible

PICTURES = frozenset({".jpg", ".jpeg", ".png"})
"""Files that WhatsApp shows a text beside. It drops the text beside audio, video, documents and contact cards
(www.twilio.com/docs/messaging/api/message-resource, `Body`); WebP is sent as a sticker, and a GIF takes no text
(www.twilio.com/docs/messaging/guides/accepted-mime-types)."""


def _https(url: str) -> str:
    try:
        has_host = bool(urlsplit(url).hostname)
    except ValueError:
        has_host = False
    if not url.startswith("https://") or not has_host:
        raise ValueError("must be an https:// URL, since Twilio fetches it")
    return url


def _visible(text: str) -> str:
    if not is_visible(text):
        raise ValueError("has no visible character")
    return text


def _names_a_picture(url: str) -> bool:
    return PurePosixPath(unquote(urlsplit(url).path)).suffix.lower() in PICTURES


def _one_line(text: str) -> str:
    if APART.search(text):
        raise ValueError("has a line break, a tab or more than four spaces in a row")
    return text


_Visible = AfterValidator(_visible)
_OneLine = AfterValidator(_one_line)

_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)


def _iso_8601(value: object) -> object:
    """pydantic alone takes any digits for seconds since 1970: `20261201` would be a time long past."""
    if value is None or isinstance(value, datetime) or (isinstance(value, str) and _ISO_8601.fullmatch(value.strip())):
        return value
    raise ValueError("must be an ISO 8601 time with an offset, such as 2026-12-01T09:00:00+05:30")


Moment = Annotated[AwareDatetime, BeforeValidator(_iso_8601)]
TemplateName = Annotated[str, Field(max_length=100)]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=256), _Visible]
UserId = Annotated[str, Field(max_length=256)]
GroupName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9!$&'()*+,.:;=@_~-]+$")]
"""Of the characters that may stand in a URL's path as they are (RFC 3986, `pchar`)."""
Agent = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9_]+$")]


class RequestedChoice(BaseModel):
    """What the patient may tap. `id` comes back in `message.received`, and no patient sees it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    id: Annotated[str, Field(min_length=1, max_length=ID), _Visible, _OneLine]
    title: Annotated[
        str,
        Field(min_length=1, max_length=TITLE, description=f"On a button at most {BUTTON_TITLE} characters."),
        _Visible,
        _OneLine,
    ]
    description: Annotated[
        str | None, Field(min_length=1, max_length=DESCRIPTION, description="Under the title in a list."), _OneLine
    ] = None


class SendRequest(BaseModel):
    """One message to one contact: a template with its variables; or, inside the 24-hour window, free-form text, a file,
    or a picture with text."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, title="SendRequest")

    to: Annotated[str, Field(min_length=1, max_length=160, description="`+E164`; national numbers are read as Indian.")]
    template: TemplateName | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    language: Annotated[
        str | None, Field(max_length=16, description="Else the contact's, else the template's own.")
    ] = None
    idempotency_key: IdempotencyKey | None = None
    user_id: UserId | None = None
    agent: Agent | None = None
    in_reply_to: Annotated[
        str | None,
        Field(pattern=r"^(SM|MM)[0-9a-fA-F]{32}$", description="The inbound message this answers."),
    ] = None
    group: Annotated[
        GroupName | None,
        Field(
            description="What the message is about, such as an appointment. Not personal: it stands in URLs and logs."
        ),
    ] = None
    unless: Annotated[
        Literal["answered", "delivered", "read"] | None,
        Field(description="At its time the message is dropped if another one of its `group` got that far."),
    ] = None
    answer_by: Annotated[
        Moment | None,
        Field(description="If nobody answered the `group`, or this message, by then: one event `message.unanswered`."),
    ] = None
    text: Annotated[str, Field(min_length=1, max_length=1600), _Visible] | None = None
    media_url: Annotated[
        str | None,
        AfterValidator(_https),
        Field(
            max_length=2048,
            description="A file that Twilio fetches. With `text` only a picture: the URL's path ends in `.jpg`, "
            "`.jpeg` or `.png`.",
        ),
    ] = None
    choices: Annotated[
        tuple[RequestedChoice, ...],
        Field(
            max_length=MAX_CHOICES,
            description="With the `text` of a reply. Up to three without descriptions become buttons, else a list.",
        ),
    ] = ()
    choices_label: Annotated[
        str | None,
        Field(min_length=1, max_length=LABEL, description="On the button that opens the list."),
        _OneLine,
    ] = None
    send_at: Annotated[Moment | None, Field(description="At most 30 days ahead.")] = None
    expires_at: Annotated[
        Moment | None,
        Field(description="Else by the template. At the latest the moment that the template's `expires_with` names."),
    ] = None
    on_rate_limit: Literal["defer", "reject"] = "defer"
    on_unknown: Literal["hold", "resend"] | None = None

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if self.template is not None and self.media_url is not None:
            raise ValueError("a `template` carries its own media: leave `media_url` out")
        if (self.template is None) == (self.text is None and self.media_url is None):
            raise ValueError("give either `template` (with its `variables`), or `text`, `media_url` or both")
        if self.template is None and self.variables:
            raise ValueError("`variables` belong to a `template`; `text` goes out as it is")
        if self.text is not None and self.media_url is not None and not _names_a_picture(self.media_url):
            raise ValueError(
                "WhatsApp drops the text beside anything but a picture: `media_url` must end in `.jpg`, `.jpeg` or "
                "`.png`; send any other file without `text`, and the text as a message of its own"
            )
        if self.unless is not None and self.group is None:
            raise ValueError("`unless` looks at the other messages of a `group`: name it")
        if self.send_at and self.expires_at and self.expires_at <= self.send_at:
            raise ValueError("`expires_at` must be later than `send_at`")
        return self

    @model_validator(mode="after")
    def _choices(self) -> Self:
        if not self.choices:
            if self.choices_label is not None:
                raise ValueError("`choices_label` names the list of `choices`: give those too")
            return self
        if self.text is None or self.media_url is not None:
            raise ValueError("`choices` belong to a `text`; a template has its own buttons, and a file has none")
        if self.in_reply_to is None:
            raise ValueError("`choices` belong to a reply: name the message that it answers in `in_reply_to`")
        if len(self.text) > MAX_TEXT:
            raise ValueError(f"`text` with `choices` has at most {MAX_TEXT} characters")
        for name in ("id", "title"):
            given = [getattr(choice, name).casefold() for choice in self.choices]
            if len(set(given)) < len(given):
                raise ValueError(f"two `choices` have the same `{name}`")
        offered = self.choices_as_stored
        if are_buttons(offered) and any(len(choice["title"]) > BUTTON_TITLE for choice in offered):
            raise ValueError(
                f"up to {MAX_BUTTONS} `choices` without descriptions become buttons, whose `title` has at most "
                f"{BUTTON_TITLE} characters"
            )
        if len(layout(self.text, offered, self.choices_label).variables) > MAX_VARIABLES:
            raise ValueError("`text` with `choices` has too many lines")
        return self

    @property
    def choices_as_stored(self) -> list[dict[str, str]]:
        """The choices as a record holds them."""
        return [choice.model_dump(exclude_none=True) for choice in self.choices]

    def hash(self) -> str:
        """The same for the same request: so a different one under its key is noticed. `on_rate_limit` is left out."""
        content = self.model_dump(mode="json", exclude={"idempotency_key", "on_rate_limit"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _or_none(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return None


_IfValid = WrapValidator(_or_none)


class RequestLabels(BaseModel):
    """A request without its message. It is read from a refused request too: a field that is not valid is None."""

    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True)

    idempotency_key: Annotated[IdempotencyKey | None, _IfValid] = None
    user_id: Annotated[UserId | None, _IfValid] = None
    agent: Annotated[Agent | None, _IfValid] = None
    template: Annotated[TemplateName | None, _IfValid] = None


class ContactLookup(BaseModel):
    """`POST /contacts/lookup`: an address in, its contact_id out."""

    model_config = ConfigDict(extra="forbid", title="ContactLookup")

    address: Annotated[str, Field(min_length=1, max_length=160)]


class ContactUpdate(BaseModel):
    """`PUT /contacts`: who this number is. What is not given stays as it is; null removes it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, title="ContactUpdate")

    address: Annotated[str, Field(min_length=1, max_length=160)]
    user_id: UserId | None = None
    language: Annotated[
        str | None,
        Field(
            max_length=16,
            pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$",
            description="A BCP 47 tag, such as `hi` or `hi-IN`; not the language's name.",
        ),
    ] = None
    agent: Agent | None = None
    opted_in_at: Moment | None = None
    opt_in_source: Annotated[str | None, Field(max_length=256)] = None

    def values(self) -> dict[str, Any]:
        """What was given, as it is stored: times in epoch milliseconds."""
        given = self.model_dump(exclude={"address"}, exclude_unset=True)
        if self.opted_in_at:
            given["opted_in_at"] = int(self.opted_in_at.timestamp() * 1000)
        return given


_MOST_PROBLEMS = 10
"""An error names no more: its text has to fit into an event."""
Model = TypeVar("Model", bound=BaseModel)


def object_in(text: object) -> dict[str, Any]:
    """The JSON object that a queue message is.

    Raises:
        MessagingError: `invalid_request`: it is none. The error quotes nothing of it.
    """
    try:
        body = json.loads(text) if isinstance(text, str) else None
    except json.JSONDecodeError as error:
        where = f"{error.msg} at character {error.pos} of {len(error.doc)}"
        raise MessagingError("invalid_request", f"the queue message is not JSON: {where}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        raise MessagingError("invalid_request", "the queue message is JSON that nothing reads") from None
    if not isinstance(body, dict):
        raise MessagingError("invalid_request", "the queue message is JSON, but not an object")
    return body


def parse(model: type[Model], body: object) -> Model:
    """Read a JSON body.

    Raises:
        MessagingError: `invalid_request`, naming each field and what is wrong with it, never its value.
    """
    if not isinstance(body, dict):
        raise MessagingError(
            "invalid_request",
            f"the request must be one JSON object; see events/schemas/{model.__name__}.json",
        )
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise MessagingError("invalid_request", explain(error)) from None


def explain(error: ValidationError) -> str:
    """A validation error in one line: which field, what is wrong. Values stay out: they are personal."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = []
    for problem in found[:_MOST_PROBLEMS]:
        field = ".".join(map(named, problem["loc"])) or "request"
        what = "unknown field" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
        problems.append(f"{field}: {what}")
    if len(found) > _MOST_PROBLEMS:
        problems.append(f"and {len(found) - _MOST_PROBLEMS} more")
    return "; ".join(problems)


class SendAnswer(BaseModel):
    """What a caller gets back, and what `GET /messages/{message_id}` shows."""

    model_config = ConfigDict(title="SendAnswer")

    message_id: str | None
    contact_id: str | None = None
    status: Literal[
        "pending",
        "deferred",
        "retrying",
        "sending",
        "unknown",
        "sent",
        "undelivered",
        "failed",
        "delivered",
        "read",
        "expired",
        "canceled",
        "refused",
        "received",
    ]
    twilio_sid: str | None = None
    duplicate: bool = False
    scheduled_for: datetime | None = Field(
        default=None, description="The earliest time it can go, after those of the contact that go before it."
    )
    will_expire: bool = Field(
        default=False, description="It expires before `scheduled_for`: phone the patient instead."
    )
    continues: str | None = None
    continued_as: str | None = None
    error: Failure | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values, times with their offset."""
        return self.model_dump(mode="json")


def answer_for(message: Message, *, duplicate: bool = False) -> SendAnswer:
    """The answer that shows a record."""
    scheduled_for = message.next_try_at if message.is_waiting else None
    return SendAnswer.model_validate(
        {
            "message_id": message.message_id,
            "contact_id": message.contact_id or None,
            "status": message.status.public_status,
            "twilio_sid": message.twilio_sid,
            "duplicate": duplicate,
            "scheduled_for": iso(scheduled_for) if scheduled_for else None,
            "will_expire": scheduled_for is not None and message.is_past(scheduled_for),
            "continues": message.continues,
            "continued_as": message.continued_as,
            "error": message.error,
        }
    )


def refusal(error: MessagingError) -> SendAnswer:
    """The answer to a request that was refused before anything was stored; its key is still free."""
    return SendAnswer(message_id=None, status="refused", error=error.failure)
