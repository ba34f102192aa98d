"""Deliberate defects of the receive side, each a mistake that known receivers make: the simulation catches them all."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from whatsapp.adapters.aws.event_bus import EventBridgeBus
from whatsapp.adapters.dynamodb import inbox_store
from whatsapp.adapters.dynamodb.client import Attr, ConditionFailed, Put
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.domain.contact import Contact
from whatsapp.domain.receiving import opt_out, record
from whatsapp.domain.sending import lifecycle, on_status
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.use_cases import receive_message
from whatsapp.use_cases.publish_waiting import PublishWaiting
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.reconcile import Reconcile
from whatsapp.use_cases.store_media import StoreMedia

from tests.simulation.defects import Defect, _replace

_ALL: list[Defect] = []


PutIn = Callable[[ExitStack], None]


def _defect(meaning: str) -> Callable[[PutIn], PutIn]:
    def note(put_in: PutIn) -> PutIn:
        _ALL.append(Defect(put_in.__name__.replace("_", "-"), meaning, put_in))
        return put_in

    return note


@_defect("Twilio's list is not asked for messages whose webhook never came")
def no_backfill(stack: ExitStack) -> None:
    _replace(stack, Reconcile, "_backfill_missing", lambda _: lambda self, sweep: 0)


@_defect("a backfill takes messages to any number of the account")
def any_recipient(stack: ExitStack) -> None:
    _replace(stack, Reconcile, "is_to_us", lambda _: lambda self, one: True)


@_defect("what the bus did not take is not published again")
def no_sweep(stack: ExitStack) -> None:
    _replace(stack, PublishWaiting, "__call__", lambda _: lambda self, deadline: {"published": 0, "finished": 0})


@_defect("PutEvents answered 200, so the bus has the event")
def failed_entries_ignored(stack: ExitStack) -> None:
    def publish(original: Any) -> Any:
        class Sanguine:
            def __init__(self, client: Any) -> None:
                self._client = client

            def put_events(self, **request: Any) -> dict[str, Any]:
                entries = self._client.put_events(**request)["Entries"]
                return {"Entries": [{} for _ in entries], "FailedEntryCount": 0}

        return lambda self, events: original(EventBridgeBus(Sanguine(self._client), self._bus_name), events)  # type: ignore[arg-type]  # all it asks of it

    _replace(stack, EventBridgeBus, "publish", publish)


@_defect("the marker is cleared before the event is published")
def cleared_too_soon(stack: ExitStack) -> None:
    def publish(_: Any) -> Any:
        def eager(self: ReceiveMessage, inbound: Any) -> Any:
            self.inbox.record_published(inbound, self.clock.now())
            self.outbox.publish(*record.events_of(inbound))
            return replace(inbound, due_at=None, due_shard=None)

        return eager

    _replace(stack, ReceiveMessage, "publish", publish)


@_defect("a marker says first that this message was seen, and the message is stored next")
def seen_before_stored(stack: ExitStack) -> None:
    def put(original: Any) -> Any:
        def twice(self: InboxStore, inbound: Any, contact: Any) -> Any:
            seen = {"message_id": inbound.message_id, "entry": "seen"}
            try:
                self._db.write(Put(table=self._messages, item=seen, condition=Attr("message_id").not_exists()))
            except ConditionFailed:
                return replace(inbound, due_at=None, due_shard=None)
            return original(self, inbound, contact)

        return twice

    _replace(stack, InboxStore, "put", put)


@_defect("each delivery is an event of its own")
def new_event_ids(stack: ExitStack) -> None:
    counter = iter(range(1_000_000))

    def publish(original: Any) -> Any:
        return lambda self, events: original(
            self, [replace(event, event_id=f"{event.event_id}-{next(counter)}") for event in events]
        )

    _replace(stack, EventBridgeBus, "publish", publish)


@_defect("a STOP or START counts whenever it comes, however old it is")
def late_words_count(stack: ExitStack) -> None:
    _replace(stack, record, "effective_opt", lambda _: lambda word, contact: word.opt)


@_defect("a STOP and a START are taken in the order in which their webhooks come")
def words_in_order_of_arrival(stack: ExitStack) -> None:
    for module in (opt_out, inbox_store, receive_message):
        _replace(stack, module, "are_settled", lambda _: lambda words: True)


@_defect("a STOP and a START that Twilio gave no dates for at once are not asked about again")
def words_left_unsettled(stack: ExitStack) -> None:
    _replace(stack, Reconcile, "_settle_opt_words", lambda _: lambda self, sweep: None)


@_defect("the message that comes last opens the window, however old it is")
def any_message_opens_the_window(stack: ExitStack) -> None:
    def change(original: Any) -> Any:
        def blind(self: InboxStore, inbound: Any, contact: Any) -> Any:
            made = original(self, inbound, contact)
            window = {"last_inbound_at": inbound.received_at}
            return replace(made, set={**made.set, **window}, condition=Attr("alias_of").not_exists())

        return blind

    _replace(stack, InboxStore, "_contact_change", change)


@_defect("a backfill brings back what was erased")
def erased_comes_back(stack: ExitStack) -> None:
    _replace(stack, Contact, "was_erased_since", lambda _: lambda self, at: False)


@_defect("a medium that could not be fetched the first time is not tried again")
def media_forgotten(stack: ExitStack) -> None:
    _replace(stack, StoreMedia, "sweep", lambda _: lambda self, deadline: 0)


@_defect("media are published as stored before they are")
def media_told_too_soon(stack: ExitStack) -> None:
    def settled(original: Any) -> Any:
        def hasty(self: StoreMedia, inbound: Any, index: int, medium: Any, deadline: Any) -> Any:
            done = original(self, inbound, index, medium, deadline)
            return replace(done, status="stored") if done.status == "pending" else done

        return hasty

    _replace(stack, StoreMedia, "_settled", settled)


@_defect("Twilio is not asked for the status of a message whose callbacks were lost")
def statuses_unasked(stack: ExitStack) -> None:
    _replace(stack, Reconcile, "_ask_statuses", lambda _: lambda self, sweep: 0)


@_defect("a status callback may move a message back")
def status_goes_back(stack: ExitStack) -> None:
    back = replace(lifecycle.DELIVER, sources=lifecycle.DELIVER.sources | {Status.READ})
    stack.enter_context(patch.dict(on_status._ARRIVALS, {"delivered": back}))


DEFECTS = {defect.name: defect for defect in _ALL}
