"""What a reply offers to tap: the content at Twilio that it needs, and the choice that comes back."""

import json
from typing import Any

import pytest
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.choices import APART, chosen, layout

from tests.app import a_request

SLOTS = [{"id": f"slot-{n}", "title": f"{n} pm"} for n in range(1, 11)]
REPLY: dict[str, Any] = {"text": "Which time?", "in_reply_to": "SM" + "1" * 32}


def refused(**request: Any) -> str:
    with pytest.raises(MessagingError) as caught:
        a_request(**{**REPLY, **request})
    return caught.value.detail


# --- the content ----------------------------------------------------------------------------------------------------


def test_up_to_three_are_buttons() -> None:
    made = layout("Which time?", SLOTS[:2], None)
    assert made.content["types"] == {
        "twilio/quick-reply": {
            "body": "{{1}}",
            "actions": [
                {"type": "QUICK_REPLY", "title": "{{2}}", "id": "{{3}}"},
                {"type": "QUICK_REPLY", "title": "{{4}}", "id": "{{5}}"},
            ],
        }
    }
    assert made.variables == {"1": "Which time?", "2": "1 pm", "3": "slot-1", "4": "2 pm", "5": "slot-2"}


@pytest.mark.parametrize(
    ("count", "kind"), [(1, "quick-reply"), (3, "quick-reply"), (4, "list-picker"), (10, "list-picker")]
)
def test_more_than_three_are_a_list(count: int, kind: str) -> None:
    assert list(layout("Which?", SLOTS[:count], None).content["types"]) == [f"twilio/{kind}"]


def test_a_description_makes_a_list_and_only_that_item_has_one() -> None:
    made = layout("Which?", [{**SLOTS[0], "description": "Dr. Rao"}, SLOTS[1]], "See times")
    picker = made.content["types"]["twilio/list-picker"]
    assert made.variables[picker["button"].strip("{}")] == "See times"
    assert [sorted(item) for item in picker["items"]] == [["description", "id", "item"], ["id", "item"]]


def test_one_content_serves_every_message_of_a_shape() -> None:
    one, other = layout("Which time?", SLOTS[:4], None), layout("Wann?", SLOTS[4:8], "Zeiten")
    assert one.content == other.content
    names = {layout("Which time?", SLOTS[:n], None).name for n in range(1, 11)}
    assert len(names) == 10


def test_a_content_holds_nobodys_words() -> None:
    made = layout("Dear Asha\n\nwhich?", [{"id": "secret", "title": "Rao", "description": "at home"}], "Go on")
    held = json.dumps(made.content)
    assert not [word for word in ("Asha", "which", "secret", "Rao", "home", "Go on") if word in held]


@pytest.mark.parametrize("text", ["one\ntwo", "one\r\n\r\n\ttwo", "a      b\n", "{{1}} is no variable", " "])
def test_no_variable_holds_what_twilio_takes_in_none(text: str) -> None:
    made = layout(text, SLOTS[:1], None)
    body = made.content["types"]["twilio/quick-reply"]["body"]
    assert not [value for value in made.variables.values() if APART.search(value) or not value]
    for number, value in made.variables.items():
        body = body.replace(f"{{{{{number}}}}}", value, 1)
    assert body == text


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"in_reply_to": None, "choices": SLOTS[:2]}, "`choices` belong to a reply"),
        ({"text": None, "media_url": "https://example.org/a.png", "choices": SLOTS[:2]}, "belong to a `text`"),
        ({"media_url": "https://example.org/a.png", "choices": SLOTS[:2]}, "`choices` belong to a `text`"),
        ({"choices": [*SLOTS, {"id": "x", "title": "x"}]}, "choices: "),
        ({"choices": [{"id": "1", "title": "x" * 21}]}, "at most 20 characters"),
        ({"choices": [{"id": str(n), "title": f"{n}" * 25} for n in range(4)]}, "choices.0.title: "),
        ({"choices": [{"id": "1", "title": "a", "description": "x" * 73}]}, "choices.0.description: "),
        ({"choices": [{"id": "x" * 129, "title": "a"}]}, "choices.0.id: "),
        ({"choices": [{"id": "", "title": "a"}]}, "choices.0.id: "),
        ({"choices": [{"title": "a"}]}, "choices.0.id: "),
        ({"choices": [{"id": "1", "title": "a\nb"}]}, "choices.0.title: has a line break"),
        ({"choices": [{"id": "1", "title": "a", "color": "red"}]}, "choices.0.color: unknown field"),
        ({"choices": [{"id": "1", "title": "a"}, {"id": "1", "title": "b"}]}, "the same `id`"),
        ({"choices": [{"id": "1", "title": "Yes"}, {"id": "2", "title": "yes"}]}, "the same `title`"),
        ({"text": "x" * 1025, "choices": SLOTS[:2]}, "at most 1024 characters"),
        ({"text": "x\n" * 99 + "x", "choices": SLOTS[:2]}, "too many lines"),
        ({"choices": SLOTS[:4], "choices_label": "x" * 21}, "choices_label: "),
        ({"choices_label": "See times"}, "give those too"),
    ],
)  # fmt: skip
def test_refused(request_: dict[str, Any], says: str) -> None:
    assert says in refused(**request_)


def test_a_template_has_its_own_buttons() -> None:
    with pytest.raises(MessagingError, match="a template has its own buttons"):
        a_request(in_reply_to=REPLY["in_reply_to"], choices=SLOTS[:2])


def test_other_choices_are_another_request() -> None:
    plain, two, three = (a_request(**REPLY, choices=SLOTS[:n]).hash() for n in (0, 2, 3))
    assert len({plain, two, three}) == 3
    assert plain == a_request(**REPLY).hash()


# --- what was tapped ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "choice_id", "found"),
    [
        ("1 pm", "slot-1", "slot-1"),
        ("anything", "slot-2", "slot-2"),
        (" 2 PM ", None, "slot-2"),
        ("1 pm", "another message's", None),
        ("9 am", None, None),
    ],
)
def test_the_tapped_one_is_found_by_its_id_else_by_its_title(
    title: str, choice_id: str | None, found: str | None
) -> None:
    choice = chosen(SLOTS[:2], title, choice_id)
    assert (choice["id"] if choice else None) == found
