"""Copies a patient's media from Twilio into our bucket, and publishes where they are."""

from dataclasses import replace

from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import MessageMediaStored
from whatsapp.domain.ports import (
    Clock,
    Deadline,
    MediaSource,
    MediaStore,
    MediumHostUnknownError,
    MediumRefusedError,
    MediumUnavailableError,
    Metrics,
    PublishFailed,
)
from whatsapp.domain.receiving.duration import duration_of
from whatsapp.domain.receiving.file_type import type_of
from whatsapp.domain.receiving.inbound import InboundMedium, InboundMessage
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.message import shards_of
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMedia:
    """Stores pending media; the sweep retries."""

    inbox: InboxStore
    media_source: MediaSource
    media_store: MediaStore
    outbox: Outbox
    clock: Clock
    metrics: Metrics
    delete_at_twilio: bool = False

    def __call__(self, message_id: str, deadline: Deadline) -> int:
        """Store a message's pending media; returns how many were stored.

        Raises:
            PublishFailed: the bus did not take an event. Nothing is recorded then, and the next try publishes it.
        """
        inbound = self.inbox.get(message_id)
        if inbound is None or not (inbound.media_pending or inbound.due_at):
            return 0
        settled = tuple(self._settled(inbound, i, medium, deadline) for i, medium in enumerate(inbound.media))
        changed = [i for i, medium in enumerate(settled) if medium.status != inbound.media[i].status]
        events = [_event(inbound, i, settled[i], self.clock.now()) for i in changed]
        if events and not self.outbox.publish(*events):
            raise PublishFailed("the bus did not take the events about the media")
        if not self._record(inbound, settled):
            return 0  # another worker was faster, or the person was erased
        self._delete_at_twilio(replace(inbound, media=settled))
        stored = sum(settled[i].status == "stored" for i in changed)
        self.metrics.count("MediaStored", stored)
        self.metrics.count("MediaFailed", len(changed) - stored)
        self.metrics.count("MediaWaiting", sum(medium.status == "pending" for medium in settled))
        return stored

    def sweep(self, deadline: Deadline) -> int:
        """Every five minutes: look at the media that are still at Twilio; returns how many were stored.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single messages. Those come again.
        """
        sweep = Sweep(clock=self.clock, deadline=deadline, outages=(PublishFailed,))
        stored = sweep.each(
            (inbound for shard in shards_of("media") for inbound in self.inbox.due(shard, self.clock.now())),
            lambda inbound: self(inbound.message_id, deadline),
            claim=lambda inbound: self.inbox.postpone(inbound, self.clock.now() + periods.MEDIA_AGAIN),
            needs=periods.MEDIUM_FETCH,
        )
        sweep.raise_errors("not all media could be looked at")
        return stored

    def _settled(self, inbound: InboundMessage, index: int, medium: InboundMedium, deadline: Deadline) -> InboundMedium:
        """The medium afterwards: stored, failed for good, or still pending, with the reason."""
        if medium.status != "pending" or medium.url is None:
            return medium
        # No personal data in the key, and the same key each time: a second try leaves no orphan.
        key = f"media/{inbound.contact_id}/{inbound.message_id}/{index}"
        for wait_s in (0.0, *periods.MEDIUM_RETRIES_S):
            if deadline.at - self.clock.now() < periods.MEDIUM_FETCH:
                return medium
            self.clock.sleep(wait_s)
            try:
                content = self.media_source.fetch(medium.url)
                found = type_of(content, medium.content_type)
                self.media_store.put(key, content, found)
            except MediumRefusedError as refused:
                return replace(medium, status="failed", reason=str(refused))
            except MediumHostUnknownError as error:
                reason = str(error)
                self.outbox.alert_about_media_host(inbound.message_id, reason)
                break  # it will be no better known in a moment
            except MediumUnavailableError as error:
                reason = str(error)
            else:
                stored_type = found if found != medium.content_type else None
                stored = replace(medium, status="stored", key=key, size=len(content), reason=None)
                return replace(stored, stored_type=stored_type, duration=duration_of(content, found))
        given_up = self.clock.now() - inbound.received_at > periods.MEDIA_GIVE_UP
        return replace(medium, status="failed" if given_up else "pending", reason=reason)

    def _record(self, inbound: InboundMessage, media: tuple[InboundMedium, ...]) -> bool:
        """Store the media's new state, and when they are looked at again."""
        waits = any(medium.status == "pending" or self._is_to_be_deleted(medium) for medium in media)
        return self.inbox.record_media(inbound, media, self.clock.now() + periods.MEDIA_AGAIN if waits else None)

    def _is_to_be_deleted(self, medium: InboundMedium) -> bool:
        """Not where our copy is empty, as an earlier version stored some: Twilio's is the only one then."""
        return self.delete_at_twilio and medium.status == "stored" and medium.url is not None and medium.size != 0

    def _delete_at_twilio(self, inbound: InboundMessage) -> None:
        """Delete at Twilio the media that are in our bucket now. The sweep retries."""
        deleted = tuple(self._deleted(medium) for medium in inbound.media)
        if deleted != inbound.media:
            self._record(inbound, deleted)

    def _deleted(self, medium: InboundMedium) -> InboundMedium:
        if medium.url is None or not self._is_to_be_deleted(medium):
            return medium
        try:
            self.media_source.delete(medium.url)
        except MediumUnavailableError:
            return medium
        return replace(medium, url=None)


def _event(inbound: InboundMessage, index: int, medium: InboundMedium, now: int) -> MessageMediaStored:
    return MessageMediaStored(
        event_id=f"{inbound.message_id}#media#{index}",
        occurred_at=iso(now),
        contact_id=inbound.contact_id,
        address=inbound.address,
        user_id=inbound.user_id,
        agent=inbound.agent,
        message_id=inbound.message_id,
        index=index,
        status="stored" if medium.status == "stored" else "failed",
        key=medium.key,
        content_type=medium.known_type,
        size=medium.size,
        duration=medium.duration,
        reason=medium.reason,
    )
