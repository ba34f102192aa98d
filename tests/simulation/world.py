"""The world around the product: what callers, patients and operators do. `Lambdas` has the functions and the time."""

import json
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
from tests.simulation.script import Erasure, Hold, Request, Said, Script
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
        if queued:
            asked.asked.append((self.hub.now, True))
            self.sqs.put(json.dumps({**body, "idempotency_key": key}))
        else:
            self._ask(asked, CALLER_TRIES)
        return asked

    def cancel(self, message_id: str) -> None:
        """A caller calls a message off."""

        def told(answer: SendAnswer | MessagingError | None) -> None:
            if isinstance(answer, SendAnswer) and answer.status == "canceled" and answer.message_id:
                self.script.canceled.setdefault(answer.message_id, self.hub.now)

        self._invoke("cancel", lambda app, _: app.cancel_message(message_id), told)

    def erase(self, address: str) -> None:
        """A person asks to be forgotten, until that is confirmed. An answer that nobody is found counts as that."""
        asked_at = self.hub.now

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

    def inbound(self, sid: str, address: str, text: str, late: int = 0) -> None:
        """A patient writes; Twilio brings it, after a while, and comes again for some seconds if we fail."""
        said = self.script.said.setdefault(sid, Said(sid=sid, address=address, text=text, at=self.hub.now))
        form = InboundForm(twilio_sid=sid, from_=Address(address), to=SENDER, text=text)
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

    def tie(self, second: str, number: str) -> None:
        """An inbound message showed that an id of WhatsApp's belongs to a number."""
        second_id, contact_id = CONTACT_IDS.of(Address(second)), CONTACT_IDS.of(Address(number))

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

    def store_token(self, token: str) -> None:
        """An operator puts an auth token into the secret."""
        self.secrets.token, self.secrets.stored_at = token, self.hub.now

    def pause_template(self, name: str, until: int) -> None:
        """WhatsApp pauses a template until then."""
        sids = {i["content_sid"]["S"] for i in self.tables["templates"] if i["template"]["S"] == name}
        self.twilio.paused |= sids
        self._stale = True

        def approve() -> None:
            self.twilio.paused -= sids
            self._stale = True

        self.hub.at(until, approve)

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
