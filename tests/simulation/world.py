"""The world around the product: what callers, patients and operators do. `Lambdas` has the functions and the time."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from whatsapp.adapters.dynamodb.items import contact_from, message_from
from whatsapp.adapters.dynamodb.notation import load as _load
from whatsapp.bootstrap import App
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline, TwilioMessage
from whatsapp.domain.receiving.inbound import InboundForm
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.request import SendAnswer, SendRequest, parse
from whatsapp.use_cases.redrive_dead_letters import DeadLetter

from functions.send.serve import serve
from tests.simulation.hub import MINUTE
from tests.simulation.lambdas import START, Lambdas
from tests.simulation.script import Erasure, GroupCancel, Hold, Request, Said, Script
from tests.simulation.twilio import SENDER

CALLER_TRIES = 8
CONTACT_IDS = ContactIds("simulated")


class World(Lambdas):
    """One schedule's world. Leave it by `run`, then ask the referee."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.script = Script()
        """What people did, and were told."""

    # --- callers ---------------------------------------------------------------------------------------------------

    def request(self, key: str, body: dict[str, Any], *, queued: bool = False) -> Request:
        """A caller asks for a message; through the queue, or directly with retries of its own."""
        asked = self.script.requests.setdefault(key, Request(key=key, body=body))
        assert asked.body == body, f"the referee knows one body of a key: {key}"
        if queued:
            asked.asked.append((self.hub.now, True))
            self.sqs.ask(json.dumps({**body, "idempotency_key": key}))
        else:
            self._ask(asked, CALLER_TRIES)
        return asked

    def cancel(self, message_id: str) -> None:
        """A caller calls a message off."""

        def told(answer: SendAnswer | MessagingError | None) -> None:
            if isinstance(answer, SendAnswer) and answer.status == "canceled" and answer.message_id:
                self.script.canceled.setdefault(answer.message_id, self.hub.now)

        self._invoke("cancel", lambda app, _: app.cancel_message(message_id), told)

    def cancel_group(self, group: str, then: Callable[[], object]) -> None:
        """A caller cancels a group, until that is answered, and goes on at once."""
        asked_at = self.hub.now

        def told(answer: Any) -> None:
            if answer is None:
                self.hub.at(self.hub.now + 1_000, once)
            else:
                self.faults.met.add("group canceled")
                cancel = GroupCancel(
                    group=group, asked_at=asked_at, confirmed_at=self.hub.now, too_late=answer["too_late"]
                )
                self.script.group_cancels.append(cancel)
                then()

        def once() -> None:
            self._invoke("cancel group", lambda app, _: app.manage_groups.cancel(group), told)

        once()

    def erase(self, address: str) -> None:
        """A person asks to be forgotten, until that is confirmed. An answer that nobody is found counts as that."""
        asked_at = self.hub.now
        self.script.to_be_erased.add(address)

        def told(answer: object) -> None:
            if answer is None:
                self.hub.at(self.hub.now + MINUTE, once)
            else:
                self.faults.met.add("erasure")
                erasure = Erasure(address=address, asked_at=asked_at, confirmed_at=self.hub.now)
                self.script.erasures.append(erasure)

        def once() -> None:
            contact_id = CONTACT_IDS.of(Address(address))
            self._invoke("erase", lambda app, deadline: app.erase_contact(contact_id, deadline), told)

        once()

    def put_contact(self, address: str, **values: Any) -> None:
        """A caller notes who a number is."""
        self.faults.met.add("contact put")
        self.script.known_at[address] = self.hub.now
        self._invoke("contact", lambda app, _: app.manage_contacts.put(address, values), lambda _: None)

    # --- patients --------------------------------------------------------------------------------------------------

    def inbound(self, sid: str, address: str, text: str, late: int = 0, replied_to: str | None = None) -> None:
        """A patient writes; Twilio brings it, after a while, and comes again for some seconds if we fail.

        `replied_to`: the sid of the message that they answer, if they tapped it.
        """
        said = self.script.said.setdefault(sid, Said(sid=sid, address=address, text=text, at=self.hub.now))
        form = InboundForm(twilio_sid=sid, from_=Address(address), to=SENDER, text=text, replied_to_sid=replied_to)
        self.twilio.last_inbound[address] = self.hub.now
        self.twilio.received[sid] = TwilioMessage(
            twilio_sid=sid,
            status="received",
            direction="inbound",
            from_=address,
            to=SENDER,
            body=text,
            date_created=self.hub.now // 1000 * 1000,
        )

        def done() -> None:
            said.confirmed_at = said.confirmed_at or self.hub.now

        def bring() -> None:
            self._webhook("inbound", lambda app, _: app.receive_message(form), done)

        if late:
            self.hub.at(self.hub.now + late, bring)
        else:
            bring()

    def answer(self, message_id: str, sid: str, number: str) -> None:
        """A patient answers one of our messages by tapping it."""
        ours = next((entry.sid for entry in self.twilio.ledger if entry.message_id == message_id), None)
        self.inbound(sid, number, "thanks", replied_to=ours)
        self.script.said[sid].answers = message_id if ours else None

    def tie(self, second: str, number: str) -> None:
        """An inbound message showed that an id of WhatsApp's belongs to a number."""
        second_id, contact_id = CONTACT_IDS.of(Address(second)), CONTACT_IDS.of(Address(number))
        self.script.perhaps_tied[second] = number

        def told(answer: object) -> None:
            if answer is not None:
                self.script.tie(second, number, self.hub.now)

        def tie(app: App, _: Deadline) -> bool:
            app.contacts.tie(second_id, contact_id)
            return True

        self._invoke("tie", tie, told)

    # --- operators -------------------------------------------------------------------------------------------------

    def hold(self, until: int) -> None:
        """An operator holds all sending until then."""

        def held(answer: object) -> None:
            if answer is None:
                self.hub.at(self.hub.now + 1_000, lambda: self.hold(until))
                return
            self.faults.met.add("hold")
            hold = Hold(confirmed_at=self.hub.now)
            self.script.holds.append(hold)
            self.hub.at(until, lambda: self._release(hold))

        self._invoke("hold", lambda app, _: app.senders.hold(app.clock.now()), held)

    def redrive(self) -> None:
        """An operator redrives every dead letter by our command."""

        def redrive(app: App, _: Deadline) -> bool:
            for letter in list(self.sqs.dead):
                plan = app.redrive_dead_letters.plan(DeadLetter(letter.message_id, letter.body, letter.asked_at))
                if app.redrive_dead_letters.carry_out(plan):
                    self.faults.met.add(f"redrive: {plan.action}")
                    self.sqs.delete_message(ReceiptHandle=letter.message_id)
            return True

        self._invoke("redrive", redrive, lambda _: None)

    def redrive_by_sqs(self) -> None:
        """An operator starts SQS's own redrive, which docs/operations.md forbids: each message gets a new id and time.

        Its attributes are kept, so nothing goes twice or late where callers set a key and say when they asked.
        """
        for letter in self.sqs.dead:
            self.faults.met.add("redrive by SQS")
            self.sqs.put(letter.body, attributes=letter.attributes)
        self.sqs.dead = []

    def store_token(self, token: str) -> None:
        """An operator puts an auth token into the secret."""
        self.secrets.token, self.secrets.stored_at = token, self.hub.now

    def pause_template(self, name: str, until: int) -> None:
        """WhatsApp pauses a template until then."""
        sids = {i["content_sid"]["S"] for i in self.tables["templates"] if i["template"]["S"] == name}
        paused = sids - self.twilio.stopped.keys()
        self.twilio.stopped |= dict.fromkeys(paused, "paused")
        self._stale = True

        def approve() -> None:
            for sid in paused:
                del self.twilio.stopped[sid]
            self._stale = True

        self.hub.at(until, approve)

    def switch_wording(self, name: str, message_id: str, status: str, stall: int) -> None:
        """An older wording of a template serves until the catalog's is approved, just as a message has a status."""
        templates = self.app_class(self.settings, self).templates
        current, *others = templates.versions(name)
        if others:
            return
        sid = current.content_sid or ""
        older = replace(current, version="en#older", content_sid=f"{sid[:-5]}older", body=f"Good day! {current.body}")
        templates.put_new(replace(older, served_at=START - 1))
        held = templates.lease(current, listed_at=START, until=START)
        held = templates.record(held, status="pending", outbox=frozenset())
        templates.release(held, delivered=frozenset(), checked_at=START)
        self.twilio.stopped[sid] = "pending"

        def approve() -> None:
            self.faults.met.add("template switched mid-send")
            del self.twilio.stopped[sid]
            self._sync()

        self.when(message_id, status, approve, stall)

    # --- the referee's view ----------------------------------------------------------------------------------------

    def messages(self) -> dict[str, Message]:
        """Every outgoing record as it stands."""
        items = [_load(item) for item in self.tables["messages"]]
        return {i["message_id"]: message_from(i) for i in items if i.get("direction") == "outbound"}

    def contacts(self) -> dict[str, Contact]:
        """Every contact's row as it stands."""
        return {c["contact_id"]: contact_from(c) for c in map(_load, self.tables["contacts"])}

    # --- inside ----------------------------------------------------------------------------------------------------

    def _ask(self, asked: Request, tries: int) -> None:
        asked.asked.append((self.hub.now, False))

        def told(answer: SendAnswer | MessagingError | None) -> None:
            if isinstance(answer, SendAnswer):
                asked.answers.append(answer)
            elif isinstance(answer, MessagingError):
                asked.refusals.append(answer.code)
            elif tries:
                self.hub.at(self.hub.now + self.faults.between(100, MINUTE), lambda: self._ask(asked, tries - 1))
            else:
                asked.gave_up = True

        self._invoke("direct", lambda _, deadline: serve(parse(SendRequest, asked.body), asked.key, deadline), told)

    def _release(self, hold: Hold) -> None:
        hold.released_at = min(hold.released_at, self.hub.now)

        def released(answer: object) -> None:
            if answer is None:
                self.hub.at(self.hub.now + 1_000, lambda: self._release(hold))

        def release(app: App, _: Deadline) -> bool:
            app.senders.release()
            return True

        self._invoke("release", release, released)


__all__ = ["START", "World"]
