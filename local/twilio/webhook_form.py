"""The form of an inbound message's webhook, for every kind of message a patient can send.

Source: https://www.twilio.com/docs/messaging/guides/webhook-request. The fields that the page does not name
(SmsStatus, ApiVersion, MessageType, ExternalUserId, ReferralNumMedia) are those of captured requests.
"""

import json
from datetime import timedelta
from typing import Any

from local.twilio.state import API_VERSION, CHANNEL, SCOPED_ID, Account, Message

REPLY_REFERENCE = timedelta(days=7)
"""A message older than this is not named by the reply to it."""
REFERRAL = (
    "Body",
    "Headline",
    "SourceId",
    "SourceType",
    "SourceUrl",
    "MediaId",
    "MediaContentType",
    "MediaUrl",
)
Form = dict[str, str]


def webhook_form(account: Account, message: Message, body: dict[str, Any]) -> Form:
    """Build the form; `body` is that of `POST /_emulator/inbound`, whose `params` win over everything."""
    rich = _button(account, message, body) | _list_reply(body) | _location(body) | _flow(body) | _reaction(body)
    sender = _sender(account, message)
    forwarded, tapped = _forwarded(body), rich.get("MessageType") == "interactive"
    context = sender | forwarded | {name: rich[name] for name in ("ButtonText", "ButtonPayload") if name in rich}
    metadata = {"type": "whatsapp", "data": {"context": context}}
    return {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsMessageSid": message.sid,
        "AccountSid": account.sid,
        "ApiVersion": API_VERSION,
        "From": message.from_,
        "To": message.to,
        "Body": message.body,
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "SmsStatus": "received",
        "MessageType": "text",
        "ChannelMetadata": json.dumps(metadata, ensure_ascii=False, separators=(",", ":")),
        **sender,
        **{name: flag for name, flag in forwarded.items() if flag == "true" or tapped},
        **_media(account, message),
        **rich,
        **_reply(account, message, body),
        **_referral(body),
        **{name: str(value) for name, value in (body.get("params") or {}).items()},
    }


def _sender(account: Account, message: Message) -> Form:
    """Who wrote. Somebody whose number WhatsApp hides has a business-scoped id and no WaId."""
    patient = account.patient(message.patient)
    hidden = SCOPED_ID.fullmatch(message.patient) is not None
    scoped_id = message.patient if hidden else patient.external_user_id
    form = {"ProfileName": patient.profile_name}
    if not hidden:
        form["WaId"] = message.patient.lstrip("+")
    if scoped_id:
        form["ExternalUserId"] = CHANNEL + scoped_id
    return form


def _forwarded(body: dict[str, Any]) -> Form:
    """Both flags. Twilio leaves out a `false`, but not of what was tapped: captures show it there."""
    names = {"Forwarded": "forwarded", "FrequentlyForwarded": "frequently_forwarded"}
    return {name: "true" if body.get(given) else "false" for name, given in names.items()}


def _media(account: Account, message: Message) -> Form:
    form = {"NumMedia": str(len(message.media))}
    base = f"https://api.twilio.com/{API_VERSION}/Accounts/{account.sid}/Messages/{message.sid}/Media"
    for index, medium in enumerate(message.media):
        form[f"MediaUrl{index}"] = f"{base}/{medium.sid}"
        form[f"MediaContentType{index}"] = medium.content_type
        kind = medium.content_type.partition("/")[0]
        form["MessageType"] = kind if kind in ("image", "audio", "video") else "document"
        if medium.content_type == "text/vcard":
            form["MessageType"] = "contacts"
    return form


def _button(account: Account, message: Message, body: dict[str, Any]) -> Form:
    """A tapped quick reply: `{"text", "payload"}`; without a payload, the button's id in the message tapped."""
    button = body.get("button")
    if not button:
        return {}
    payload = button.get("payload")
    if payload is None:
        tapped = _replied_to(account, message, body)
        actions = tapped.rendered.get("actions", []) if tapped else []
        ids = {action.get("title"): action.get("id", "") for action in actions}
        payload = ids.get(button["text"], button["text"])
    return {
        "Body": button["text"],
        "ButtonText": button["text"],
        "ButtonPayload": payload,
        "MessageType": "interactive",
    }


def _list_reply(body: dict[str, Any]) -> Form:
    """A chosen list item: `{"id", "title", "description"}`."""
    item = body.get("list_item")
    if not item:
        return {}
    return {
        "Body": item["title"],
        "ListId": item["id"],
        "ListTitle": item["title"],
        "ListDescription": item.get("description", ""),
        "MessageType": "interactive",
    }


def _flow(body: dict[str, Any]) -> Form:
    """The answers of a WhatsApp Flow, twice, as Twilio's page shows them."""
    if (answers := body.get("flow")) is None:
        return {}
    return {
        "FlowData": json.dumps(answers, ensure_ascii=False, separators=(",", ":")),
        "InteractiveData": json.dumps({"flowResponse": answers}, ensure_ascii=False),
        "MessageType": "interactive",
    }


def _reaction(body: dict[str, Any]) -> Form:
    """An emoji on the message that `reply_to` names; "" takes it back. Twilio documents no reactions."""
    emoji = body.get("reaction")
    return {} if emoji is None else {"Body": emoji, "MessageType": "reaction"}


def _location(body: dict[str, Any]) -> Form:
    """A shared place: `{"latitude", "longitude", "address", "label"}`."""
    place = body.get("location")
    if not place:
        return {}
    form = {
        "Latitude": str(place["latitude"]),
        "Longitude": str(place["longitude"]),
        "MessageType": "location",
    }
    return form | {name.capitalize(): place[name] for name in ("address", "label") if place.get(name)}


def _replied_to(account: Account, message: Message, body: dict[str, Any]) -> Message | None:
    """The message this one answers: the one named, or for a tapped button or list item our latest."""
    if named := body.get("reply_to"):
        return account.messages.get(named)
    if not (body.get("button") or body.get("list_item")):
        return None
    ours = (each for each in account.messages.values() if each.direction != "inbound")
    return next((each for each in reversed(list(ours)) if each.patient == message.patient), None)


def _reply(account: Account, message: Message, body: dict[str, Any]) -> Form:
    answered = _replied_to(account, message, body)
    if answered is None or account.whatsapp_now() - answered.whatsapp_at > REPLY_REFERENCE:
        return {}
    return {"OriginalRepliedMessageSid": answered.sid, "OriginalRepliedMessageSender": answered.from_}


def _referral(body: dict[str, Any]) -> Form:
    """A tapped advertisement: `{"Headline", "SourceUrl", …}`, Twilio's names without `Referral`."""
    referral = body.get("referral") or {}
    form = {f"Referral{name}": str(referral[name]) for name in REFERRAL if name in referral}
    if "CtwaClid" in referral:
        form["ReferralCtwaClid"] = str(referral["CtwaClid"])
    if "MediaUrl" in referral:
        form["ReferralNumMedia"] = "1"
    return form
