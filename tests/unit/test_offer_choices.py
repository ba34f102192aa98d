"""A reply with choices: its content is found or made at Twilio before the claim, once, and nothing is sent without."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import ContentRefused, ContentUnavailable, InDoubt, Rejected, TwilioMessage
from whatsapp.domain.receiving.inbound import InboundForm
from whatsapp.domain.sending.choices import layout
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.on_doubt import candidates_of

from tests.app import PATIENT, SENDER, UnitApp

CHOICES = [{"id": "slot-1", "title": "1 pm"}, {"id": "slot-2", "title": "2 pm"}]


@dataclass
class Contents:
    """Twilio's Content API, as far as choices use it."""

    made: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    error: Exception | None = None
    meanwhile: Any = lambda: None

    def named(self, friendly_name: str) -> str | None:
        self.asked += 1
        if self.error:
            raise self.error
        names = [content["friendly_name"] for content in self.made]
        return f"HX{names.index(friendly_name):032x}" if friendly_name in names else None

    def create(self, content: dict[str, Any]) -> str:
        self.meanwhile()
        self.made.append(content)
        return f"HX{len(self.made) - 1:032x}"


@pytest.fixture
def contents(app: UnitApp) -> Contents:
    made = Contents()
    object.__setattr__(app, "content", made)  # in the place of the cached property
    return made


def offer(app: UnitApp, key: str = "m", text: str = "Which time?", **more: Any) -> Any:
    request = {"text": text, "in_reply_to": app.patient_writes(), "choices": CHOICES, **more}
    return app.send(key, **request)


def test_it_goes_as_a_content_with_its_words_as_variables(app: UnitApp, contents: Contents) -> None:
    assert offer(app).status == "sent"
    (post,) = app.gateway.posts
    assert post.content_sid == f"HX{0:032x}"
    assert (post.body, post.rendered) == (None, "Which time?")
    assert dict(post.content_variables) == {"1": "Which time?", "2": "1 pm", "3": "slot-1", "4": "2 pm", "5": "slot-2"}
    record = app.record()
    assert (record.text, record.choices, record.content_sid) == ("Which time?", CHOICES, post.content_sid)


def test_one_content_is_made_for_all_messages_of_a_shape(app: UnitApp, contents: Contents) -> None:
    offer(app, "first")
    offer(app, "second", "Another?")
    assert (len(contents.made), contents.asked) == (1, 1)


def test_one_that_was_made_and_never_stored_is_found_by_its_name(app: UnitApp, contents: Contents) -> None:
    offer(app, "first")
    name = contents.made[0]["friendly_name"]
    app.templates.forget_choices_content(name, f"HX{0:032x}")
    offer(app, "second")
    assert len(contents.made) == 1
    assert app.templates.choices_content(name) == f"HX{0:032x}"


def test_of_two_that_were_made_at_once_one_is_kept(app: UnitApp, contents: Contents) -> None:
    other, name = "HX" + "e" * 32, layout("Which time?", CHOICES, None).name
    contents.meanwhile = lambda: app.templates.keep_choices_content(name, other)
    offer(app)
    assert app.gateway.posts[0].content_sid == other


def test_a_message_without_choices_asks_for_no_content(app: UnitApp, contents: Contents) -> None:
    with app.calls() as calls:
        offer(app, choices=[])
    assert contents.asked == 0
    assert not [call for call in calls if "templates" in call]


def test_without_its_content_it_waits_and_holds_nothing(app: UnitApp, contents: Contents) -> None:
    contents.error = ContentUnavailable("Twilio answered 503")
    answer = offer(app)
    assert (answer.status, answer.error.code, answer.error.retryable) == ("deferred", "twilio_unavailable", True)
    assert app.gateway.posts == []
    assert app.record().attempts == 0
    contents.error = None
    app.clock.sleep(periods.CONTENT_LOOK / 1000)
    app.send_message.advance(app.record().message_id, app.deadline)
    assert app.record().status is Status.SENT


def test_what_twilio_takes_no_content_for_is_refused(app: UnitApp, contents: Contents) -> None:
    contents.error = ContentRefused("Twilio refused with 400 (code 20001)")
    with pytest.raises(MessagingError) as caught:
        offer(app)
    assert caught.value.code == "account_problem"
    assert app.gateway.posts == []


def test_a_content_that_was_deleted_at_twilio_is_made_anew(app: UnitApp, contents: Contents) -> None:
    offer(app, "first")
    contents.made.insert(0, {"friendly_name": "gone"})
    contents.made[1] = {"friendly_name": "gone, too"}
    app.gateway.outcomes = [Rejected(21655, 400)]
    assert offer(app, "second").status == "retrying"
    assert app.record("second").attempts == 0
    app.clock.sleep(600)
    app.send_message.advance(app.record("second").message_id, app.deadline)
    assert app.record("second").status is Status.SENT
    assert app.gateway.posts[-1].content_sid == f"HX{2:032x}"


def test_the_window_is_closed_for_choices_too(app: UnitApp, contents: Contents) -> None:
    inbound = app.patient_writes()
    app.clock.sleep(25 * 3600)
    with pytest.raises(MessagingError) as caught:
        app.send(text="Which time?", in_reply_to=inbound, choices=CHOICES)
    assert caught.value.code == "window_closed"
    assert contents.asked == 0


def test_the_same_key_with_other_choices_is_a_conflict(app: UnitApp, contents: Contents) -> None:
    offer(app)
    assert app.send(text="Which time?", in_reply_to=f"SM{1:032x}", choices=CHOICES).duplicate
    with pytest.raises(MessagingError) as caught:
        app.send(text="Which time?", in_reply_to=f"SM{1:032x}", choices=CHOICES[:1])
    assert caught.value.code == "idempotency_conflict"


def test_in_doubt_it_is_recognised_with_or_without_its_body(app: UnitApp, contents: Contents) -> None:
    app.gateway.outcomes = [InDoubt("no answer")]
    offer(app)
    message = app.record()
    assert message.status is Status.UNKNOWN
    for body, is_found in (("", True), ("Which time?", True), ("Something else", False)):
        listed = TwilioMessage(
            twilio_sid=f"SM{9:032x}",
            status="sent",
            direction="outbound-api",
            from_=SENDER,
            to=PATIENT,
            body=body,
            date_created=message.claimed_at or 0,
        )
        assert bool(candidates_of(message, [listed], [])) is is_found


# --- the tap --------------------------------------------------------------------------------------------------------


def tapped(app: UnitApp, sid: str | None, **content: Any) -> Any:
    form = InboundForm(twilio_sid=f"SM{77:032x}", from_=Address(PATIENT), to=SENDER, replied_to_sid=sid, **content)
    app.receive_message(form)
    return app.bus.events[-1]


def test_a_tapped_button_comes_back_as_the_choice_with_the_callers_id(app: UnitApp, contents: Contents) -> None:
    offer(app)
    event = tapped(
        app, app.record().twilio_sid, kind="button", text="2 pm", button_text="2 pm", button_payload="slot-2"
    )
    assert (event.kind, event.button) == ("choice", None)
    assert (event.choice.id, event.choice.title) == ("slot-2", "2 pm")


def test_a_button_of_another_message_stays_a_button(app: UnitApp, contents: Contents) -> None:
    offer(app)
    event = tapped(app, None, kind="button", text="2 pm", button_text="2 pm", button_payload="slot-2")
    assert (event.kind, event.choice, event.button.payload) == ("button", None, "slot-2")
