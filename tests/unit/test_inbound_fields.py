"""Every field of an inbound form, as docs/inbound.md says; and forms as they were captured."""

import re
from dataclasses import fields
from typing import Any

import pytest
from whatsapp.adapters.twilio import form as twilio_form
from whatsapp.adapters.twilio.form import MAX_MEDIA, Forbidden, read_inbound
from whatsapp.domain.events import Choice, Reaction, Referral
from whatsapp.domain.receiving.inbound import UNKNOWN_TYPE, InboundForm, media_type

from local.artifacts import ROOT
from tests.unit import webhook_kit as kit

TABLE = re.compile(r"^\| (?P<names>`.*?|any other) \| (?P<becomes>.*?) \|.*\|$", re.MULTILINE)
MEDIA = "https://api.twilio.com/2010-04-01/Accounts/AC/Messages/MM/Media/ME"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PLACE = {"Latitude": "25.0", "Longitude": "-77.4"}
WITH: dict[str, dict[str, str]] = {
    "MediaContentType": {"MediaUrl": MEDIA},
    "MessageType": {"MediaUrl0": MEDIA},
    "Latitude": {"Longitude": "-77.4"},
    "Longitude": {"Latitude": "25.0"},
    "Label": PLACE,
    "Address": PLACE,
}
"""What a field needs beside it to mean anything."""
SAMPLE = {
    "From": "whatsapp:+919812345679",
    "To": "whatsapp:+14155550199",
    "ExternalUserId": "whatsapp:IN.1344567890",
    "MediaContentType": "image/png",
    "MessageType": "audio",
    "FlowData": '{"mood": "3"}',
    "InteractiveData": '{"flowResponse": {"mood": "3"}}',
    "Forwarded": "true",
    "FrequentlyForwarded": "true",
    "Latitude": "24.5",
    "Longitude": "-70.25",
    "OriginalRepliedMessageSid": "SM" + "5" * 32,
    "OptOutType": "STOP",
}
FOLLOWS = {
    "button_text": {"kind"},
    "button_payload": {"kind", "button_text"},
    "frequently_forwarded": {"forwarded"},
    **{attribute: {"kind"} for attribute in ("choice", "flow", "media", "location")},
}
"""What else changes with an attribute: the kind, and a button's text, which is the body where none is given."""


def documented() -> dict[str, str]:
    """Each field of the table, and what it becomes."""
    page = (ROOT / "docs" / "inbound.md").read_text().partition("## Status")[0]
    found: dict[str, str] = {}
    for row in TABLE.finditer(page):
        names = re.findall(r"`(\w+)`", row["names"]) or ["AnythingElse"]
        if " … " in row["names"]:
            names = [names[0].removesuffix("0") + str(n) for n in range(MAX_MEDIA)]
        found |= dict.fromkeys(names, row["becomes"].strip("`"))
    return found


FIELDS = documented()


def base() -> dict[str, str]:
    """The least a message can be."""
    wanted = ("MessageSid", "AccountSid", "From", "To", "Body")
    return {name: value for name, value in kit.message(MessageSid="SM" + "1" * 32).items() if name in wanted}


def changed(field: str) -> set[str]:
    """Which attributes of what is read change when the field is there."""
    stem = re.sub(r"\d$", "", field)
    number = field.removeprefix(stem)
    beside = {name + (number if name == "MediaUrl" else ""): value for name, value in WITH.get(stem, {}).items()}
    form = base() | beside
    without, with_it = read_inbound(form), read_inbound({**form, field: SAMPLE.get(stem, "something")})
    return {f.name for f in fields(InboundForm) if getattr(without, f.name) != getattr(with_it, f.name)}


READ = {name: becomes for name, becomes in FIELDS.items() if becomes not in ("checked", "nothing", "twilio_sid")}


@pytest.mark.parametrize("field", READ)
def test_field_becomes_what_the_page_says(field: str) -> None:
    found = changed(field)
    assert READ[field] in found
    assert found <= {READ[field]} | FOLLOWS.get(READ[field], set())


@pytest.mark.parametrize("field", [name for name, becomes in FIELDS.items() if becomes == "nothing"])
def test_field_that_says_nothing_new_changes_nothing(field: str) -> None:
    assert changed(field) == set()


@pytest.mark.parametrize("field", [name for name, becomes in FIELDS.items() if becomes == "twilio_sid"])
def test_any_sid_is_enough(field: str) -> None:
    form = {name: value for name, value in base().items() if name != "MessageSid"}
    assert read_inbound({**form, field: "MM" + "2" * 32}).twilio_sid == "MM" + "2" * 32
    with pytest.raises(Forbidden):
        read_inbound(form)
    with pytest.raises(Forbidden):
        read_inbound({**base(), "SmsMessageSid": "SM" + "1" * 32, "SmsSid": "SM" + "1" * 32, field: "SM" + "9" * 32})


def test_page_names_every_field_the_code_knows() -> None:
    known = twilio_form._ABOUT_THE_MESSAGE | twilio_form._CONTENT | twilio_form._SAYS_NOTHING_NEW
    on_page = {name for name, becomes in FIELDS.items() if becomes != "more"}
    assert on_page == known


# --- who wrote -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("from_", "more", "address"),
    [
        ("whatsapp:+919812345678", {}, "+919812345678"),
        ("+919812345678", {}, "+919812345678"),
        ("whatsapp:919812345678", {}, "+919812345678"),
        ("whatsapp:+99999", {}, "+99999"),
        ("whatsapp:IN.1344567890", {}, "IN.1344567890"),
        ("whatsapp:asha.rao", {}, "asha.rao"),
        ("whatsapp:asha.rao", {"ExternalUserId": "whatsapp:IN.134"}, "IN.134"),
        ("", {"ExternalUserId": "IN.134"}, "IN.134"),
        ("whatsapp:+919812345678", {"ExternalUserId": "whatsapp:IN.134"}, "+919812345678"),
        ("whatsapp:+919812345678", {"ExternalUserId": "nonsense !"}, "+919812345678"),
        ("whatsapp:+525512345678", {"WaId": "5215512345678"}, "+525512345678"),
        ("whatsapp:+919812345678", {"WaId": "unknown"}, "+919812345678"),
        ("whatsapp:+919812345678", {"WaId": "٣"}, "+919812345678"),
        ("whatsapp:+919812345678", {"WaId": "919812345679"}, "+919812345678"),
    ],
)
def test_sender(from_: str, more: dict[str, str], address: str) -> None:
    assert read_inbound({**base(), "From": from_, **more}).from_.value == address


@pytest.mark.parametrize(
    ("from_", "wa_id", "kept"),
    [
        ("+919812345678", "919812345678", False),
        ("+525512345678", "5215512345678", False),
        ("+22997123456", "2290197123456", False),
        ("+2250708123456", "22508123456", False),
        ("+919812345678", "", False),
        ("+919812345678", "919812345679", True),
        ("+919812345678", "unknown", True),
    ],
)
def test_number_of_whatsapp_that_is_not_the_senders_is_kept(from_: str, wa_id: str, kept: bool) -> None:
    read = read_inbound({**base(), "From": f"whatsapp:{from_}", "WaId": wa_id})
    assert (read.from_.value, read.more) == (from_, {"WaId": wa_id} if kept else {})


@pytest.mark.parametrize("from_", ["@asha.rao", "whatsapp:@asha.rao", "asha rao", "whatsapp:", "+91981234XXXX", "आशा"])
def test_business_scoped_id_names_the_sender_for_any_from(from_: str) -> None:
    read = read_inbound({**base(), "From": from_, "WaId": "", "ExternalUserId": "whatsapp:IN.134"})
    assert read.from_.value == "IN.134"


def test_handle_is_one_sender_with_and_without_its_sign() -> None:
    senders = [read_inbound({**base(), "From": from_, "WaId": ""}).from_.value for from_ in ("@asha.rao", "asha.rao")]
    assert senders == ["asha.rao"] * 2


def test_refuses_a_message_without_a_sender() -> None:
    """Even with an id of WhatsApp's: the field may have been cut off to hide whose the message is."""
    form = {name: value for name, value in base().items() if name != "From"}
    with pytest.raises(Forbidden):
        read_inbound({**form, "ExternalUserId": "whatsapp:IN.134"})


@pytest.mark.parametrize(
    "more",
    [
        {"From": "whatsapp:+919812345678From", "ExternalUserId": "whatsapp:IN.134"},
        {"From": "whatsapp:+919812345678MessageTypetext", "ExternalUserId": "whatsapp:IN.134"},
        {"From": ""},
        {"From": "whatsapp:"},
        {"From": "whatsapp:+91 98 12"},
        {"From": "whatsapp:+९१९८१२३४५६७८"},
        {"From": "whatsapp:+919812345678From"},
        {"To": ""},
        {"To": "whatsapp:clinic"},
    ],
)
def test_refuses_a_message_without_addresses(more: dict[str, str]) -> None:
    with pytest.raises(Forbidden) as refused:
        read_inbound({**base(), **more})
    assert refused.value.ours


# --- fields that make no sense ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"NumMedia": "many"},
        {"NumMedia": "3"},
        {"Latitude": "north", "Longitude": "1"},
        {"Latitude": "91", "Longitude": "1"},
        {"Latitude": "nan", "Longitude": "1"},
        {"Latitude": "1e999", "Longitude": "1"},
        {"Latitude": "25.0"},
        {"OriginalRepliedMessageSid": "nonsense"},
        {"ExternalUserId": "nonsense !"},
        {"MediaContentType0": "image/png"},
        {"ChannelMetadata": "{not json"},
    ],
)
def test_nonsense_costs_the_field_and_not_the_message(more: dict[str, str]) -> None:
    read = read_inbound({**base(), **more})
    assert (read.text, read.kind, read.media, read.location) == ("Namaste", "text", (), None)


def test_media_count_even_where_their_number_is_wrong() -> None:
    read = read_inbound(
        {**base(), "NumMedia": "0", "MediaUrl0": MEDIA, "MediaUrl3": MEDIA, "MediaContentType0": "Audio/OGG"}
    )
    assert [m.content_type for m in read.media] == ["audio/ogg", "application/octet-stream"]
    assert read.kind == "audio"


@pytest.mark.parametrize(
    ("spelt", "read"),
    [
        ("image/jpeg", "image/jpeg"),
        ("Image/JPG", "image/jpeg"),
        ("audio/ogg; codecs=opus", "audio/ogg"),
        (f"{DOCX.upper()};charset=binary", DOCX),
        (" application/pdf ", "application/pdf"),
        ("text/x-vcard; charset=utf-8", "text/vcard"),
        ("audio/x-m4a", "audio/mp4"),
        ("audio/mp3", "audio/mpeg"),
        *(
            (none, UNKNOWN_TYPE)
            for none in (None, "", ";", "jpeg", "image/", "/jpeg", "a b/c", "image/jpeg\nX: y", "image/ж")
        ),
        ("x/" + "y" * 200, UNKNOWN_TYPE),
    ],
)
def test_one_type_has_one_spelling(spelt: str | None, read: str) -> None:
    assert media_type(spelt) == read


def test_kind_is_that_of_the_type_and_not_of_its_spelling() -> None:
    told = {"MediaUrl0": MEDIA, "MediaContentType0": "text/x-vcard; charset=utf-8"}
    read = read_inbound({**base(), **told})
    assert (read.kind, read.media[0].content_type) == ("contacts", "text/vcard")


def test_nothing_unstorable_is_left() -> None:
    read = read_inbound({**base(), "Body": "a\x00b", "ProfileName": "\x00", "Label": "x\x00", **PLACE, "New": "\x00n"})
    assert (read.text, read.profile_name, read.more) == ("ab", None, {"New": "n"})
    assert read.location is not None
    assert read.location.label == "x"


# --- captured requests (shape and values of their kind; ids and numbers are made up) ---------------------------------

CAPTURED: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "quick reply": (
        {
            "OriginalRepliedMessageSender": "whatsapp:+14155238886",
            "ExternalUserId": "whatsapp:ID.4566778899",
            "SmsMessageSid": "SM" + "8" * 32,
            "FrequentlyForwarded": "false",
            "NumMedia": "0",
            "ProfileName": "Budi",
            "MessageType": "interactive",
            "SmsSid": "SM" + "8" * 32,
            "WaId": "6285112345678",
            "SmsStatus": "received",
            "Body": "Konfirmasi",
            "Forwarded": "false",
            "ButtonText": "Konfirmasi",
            "To": "whatsapp:+14155238886",
            "ButtonPayload": '{"action":"confirm"}',
            "NumSegments": "1",
            "ReferralNumMedia": "0",
            "MessageSid": "SM" + "8" * 32,
            "OriginalRepliedMessageSid": "MM" + "5" * 32,
            "ChannelMetadata": '{"type":"whatsapp","data":{"context":{"ButtonText":"Konfirmasi","Forwarded":"false"}}}',
            "From": "whatsapp:+6285112345678",
            "ApiVersion": "2010-04-01",
        },
        {
            "kind": "button",
            "button_text": "Konfirmasi",
            "button_payload": '{"action":"confirm"}',
            "replied_to_sid": "MM" + "5" * 32,
            "profile_name": "Budi",
            "forwarded": False,
            "referral": None,
            "more": {},
        },
    ),
    "location": (
        {
            "Body": "",
            "Latitude": "25.018766403198",
            "Longitude": "-77.395950317383",
            "NumMedia": "0",
            "MessageType": "location",
        },
        {"kind": "location", "text": ""},
    ),
    "reply": (
        {
            "MessageType": "text",
            "OriginalRepliedMessageSid": "MM" + "6" * 32,
            "OriginalRepliedMessageSender": kit.SENDER,
        },
        {"kind": "text", "replied_to_sid": "MM" + "6" * 32},
    ),
    "contact card": (
        {"NumMedia": "1", "MediaUrl0": MEDIA, "MediaContentType0": "text/vcard", "MessageType": "contacts", "Body": ""},
        {"kind": "contacts"},
    ),
    "voice note": (
        {
            "NumMedia": "1",
            "MediaUrl0": MEDIA,
            "MediaContentType0": "audio/ogg; codecs=opus",
            "MessageType": "audio",
            "Body": "",
        },
        {"kind": "audio"},
    ),
    "picture with words": (
        {
            "NumMedia": "1",
            "MediaUrl0": MEDIA,
            "MediaContentType0": "image/jpeg",
            "MessageType": "image",
            "Body": "my arm",
        },
        {"kind": "image", "text": "my arm"},
    ),
    "list reply": (
        {"ListId": "agent:scheduling:slot-1", "ListTitle": "5:30 pm", "ListDescription": "Dr. Rao", "Body": "5:30 pm"},
        {
            "kind": "choice",
            "choice": Choice(id="agent:scheduling:slot-1", title="5:30 pm"),
            "button_payload": None,
            "more": {"ListDescription": "Dr. Rao"},
        },
    ),
    "advertisement": (
        {
            "ReferralBody": "Book now",
            "ReferralHeadline": "Feel better",
            "ReferralSourceId": "118588094077142",
            "ReferralSourceType": "post",
            "ReferralSourceUrl": "https://fb.me/x",
            "ReferralMediaId": "e420",
            "ReferralMediaContentType": "image/jpeg",
            "ReferralMediaUrl": "https://api.twilio.com/x",
            "ReferralNumMedia": "1",
            "ReferralCtwaClid": "Aff",
        },
        {
            "kind": "text",
            "referral": Referral(
                body="Book now",
                headline="Feel better",
                source_id="118588094077142",
                source_type="post",
                source_url="https://fb.me/x",
                media_id="e420",
                media_content_type="image/jpeg",
                media_url="https://api.twilio.com/x",
                ctwa_clid="Aff",
            ),
            "more": {},
        },
    ),
    "forwarded": ({"Forwarded": "true"}, {"kind": "text", "forwarded": True, "frequently_forwarded": False}),
    "forwarded often": ({"FrequentlyForwarded": "true"}, {"forwarded": True, "frequently_forwarded": True}),
    "flow, as Twilio's page shows it": (
        {
            "Body": "",
            "MessageType": "interactive",
            "FlowData": '{"screen_1_Choose_one_0":"1_Worse","flow_token":"abcd1234","screen_0_All_0":["0_Sleep"]}',
            "InteractiveData": '{"flowResponse": {"flow_token": "abcd1234", "screen_0_All_0": ["0_Sleep"]}}',
        },
        {
            "kind": "flow",
            "text": "",
            "flow": {"screen_1_Choose_one_0": "1_Worse", "flow_token": "abcd1234", "screen_0_All_0": ["0_Sleep"]},
            "more": {},
        },
    ),
    "stop, by Advanced Opt-Out": ({"Body": "CANCEL", "OptOutType": "STOP"}, {"opt_out_type": "STOP"}),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_captured(name: str) -> None:
    form, wanted = CAPTURED[name]
    read = read_inbound({**base(), **({"MessageSid": form["SmsSid"]} if "SmsSid" in form else {}), **form})
    assert {attribute: getattr(read, attribute) for attribute in wanted} == wanted


# --- kinds -----------------------------------------------------------------------------------------------------------

FLOW = {"Body": "", "MessageType": "interactive"}


@pytest.mark.parametrize(
    ("more", "answers"),
    [
        ({"FlowData": '{"mood": 3}'}, {"mood": 3}),
        ({"FlowData": '{"mood": 3}', "Body": "Sent"}, {"mood": 3}),
        ({"FlowData": '{"mood": 3}', "MessageType": ""}, {"mood": 3}),
        ({"FlowData": "{}"}, {}),
        ({"InteractiveData": '{"flowResponse": {"mood": 3}}'}, {"mood": 3}),
        ({"InteractiveData": '{"mood": 3}'}, {"mood": 3}),
        ({"InteractiveData": '{"flowResponse": {"mood": 3}}', "FlowData": "{cut off"}, {"mood": 3}),
        (
            {"FlowData": '{"sleep": 7.5, "all": [true, null, {"why": "काम"}]}'},
            {"sleep": 7.5, "all": [True, None, {"why": "काम"}]},
        ),
        ({"FlowData": r'{"a\u0000b": "c\u0000\ud800d"}'}, {"ab": "cd"}),
    ],
)
def test_flow_has_its_answers(more: dict[str, str], answers: dict[str, Any]) -> None:
    read = read_inbound({**base(), **FLOW, **more})
    assert (read.kind, read.flow) == ("flow", answers)


@pytest.mark.parametrize(
    "unreadable",
    [
        "{cut off",
        "[1]",
        '"text"',
        "null",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5_000 + "}",
        "[" * 50_000,
        '{"a":' * 100 + "1" + "}" * 100,
    ],
)
@pytest.mark.parametrize("field", ["FlowData", "InteractiveData"])
def test_flow_that_cannot_be_read_is_unknown_and_its_fields_are_kept(field: str, unreadable: str) -> None:
    read = read_inbound({**base(), **FLOW, "Body": "Sent", field: unreadable})
    assert (read.kind, read.text, read.flow) == ("unknown", "Sent", None)
    assert read.more == {"MessageType": "interactive", field: unreadable}


def test_reaction_has_its_emoji_and_the_message_it_is_about() -> None:
    ours = "SM" + "5" * 32
    read = read_inbound({**base(), "MessageType": "reaction", "Body": "👍", "OriginalRepliedMessageSid": ours})
    assert (read.kind, read.reaction, read.replied_to_sid) == ("reaction", Reaction(emoji="👍"), ours)


def test_reaction_without_an_emoji_keeps_all_its_fields() -> None:
    """Taken back, or in a field that nobody has documented yet."""
    read = read_inbound({**base(), "MessageType": "reaction", "Body": "", "ChannelMetadata": '{"reaction": "👍"}'})
    assert (read.kind, read.reaction) == ("reaction", Reaction(emoji=None))
    assert read.more == {"MessageType": "reaction", "ChannelMetadata": '{"reaction": "👍"}'}


@pytest.mark.parametrize(
    ("content_type", "message_type", "kind"),
    [
        ("", "audio", "audio"),
        ("application/octet-stream", "image", "image"),
        ("application/octet-stream", "sticker", "image"),
        ("binary/octet-stream", "video", "video"),
        ("nonsense", "document", "document"),
        ("", "contacts", "contacts"),
        ("", "", "document"),
        ("", "text", "document"),
        ("nonsense", "hologram", "document"),
        ("image/jpeg", "document", "image"),
        ("audio/ogg", "hologram", "audio"),
    ],
)
def test_message_type_counts_where_the_content_type_says_nothing(
    content_type: str, message_type: str, kind: str
) -> None:
    medium = {"MediaUrl0": MEDIA, "MediaContentType0": content_type, "Body": ""}
    assert read_inbound({**base(), **medium, "MessageType": message_type}).kind == kind


@pytest.mark.parametrize("message_type", ["", "text", "Text", "interactive", "button"])
def test_words_are_a_text(message_type: str) -> None:
    assert read_inbound({**base(), "MessageType": message_type}).kind == "text"


@pytest.mark.parametrize(
    "form",
    [
        {"Body": "", "MessageType": "text"},
        {"Body": "\x00", "MessageType": "text"},
        {"Body": "", "MessageType": "interactive"},
        {"Body": "", "MessageType": "order", "OrderItems": "2"},
        {"Body": "Asha changed her number", "MessageType": "system"},
        {"Body": "my arm", "MessageType": "image", "NumMedia": "1"},
        {"Body": "", "MessageType": "location", "Latitude": "north", "Longitude": "1"},
        {"Body": "", "ReferralSourceUrl": "https://fb.me/x"},
        {"Body": ""},
    ],
)
def test_what_nobody_knows_is_unknown_and_its_fields_are_kept(form: dict[str, str]) -> None:
    read = read_inbound({**base(), **form})
    assert (read.kind, read.text) == ("unknown", form["Body"].strip("\x00"))
    assert read.more == {name: value for name, value in form.items() if name != "Body"}


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ({"ButtonText": "Yes", "InteractiveData": '{"a": 1}'}, "button"),
        ({"ListId": "1", "ListTitle": "5 pm", "InteractiveData": '{"a": 1}'}, "choice"),
    ],
)
def test_button_or_choice_is_no_flow_whatever_comes_with_it(form: dict[str, str], kind: str) -> None:
    read = read_inbound({**base(), "MessageType": "interactive", **form})
    assert (read.kind, read.flow) == (kind, None)


@pytest.mark.parametrize(
    ("form", "choice"),
    [
        ({"ListId": "slot-1"}, Choice(id="slot-1", title="Namaste")),
        ({"ListTitle": "5 pm"}, Choice(id=None, title="5 pm")),
        ({"ListId": "", "ListTitle": ""}, None),
    ],
)
def test_half_a_choice_is_one(form: dict[str, str], choice: Choice | None) -> None:
    assert read_inbound({**base(), **form}).choice == choice
