"""Bring a patient's media from Twilio into our bucket, and tell the orchestrator where they lie."""

from dataclasses import dataclass, replace

from whatsapp.domain.events import MessageMediaStored
from whatsapp.domain.inbound import Inbound, InboundMedium
from whatsapp.domain.ports import (
    Clock,
    EventBus,
    InboxStore,
    MediaSource,
    MediaStore,
    MediumRefusedError,
    MediumUnavailableError,
    Metrics,
)
from whatsapp.domain.schedule import iso

RETRY_AFTER_S = (1.0, 3.0)
"""Twilio answers 404 for a medium that is only just arriving."""
GIVE_UP_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMedia:
    """Stores what is pending; what fails for now is tried again by the reconcile."""

    inbox: InboxStore
    source: MediaSource
    store: MediaStore
    bus: EventBus
    clock: Clock
    metrics: Metrics
    delete_at_twilio: bool = False

    def __call__(self, message_id: str) -> int:
        """Store a message's pending media; returns how many were stored.

        Raises:
            NotTold: the bus did not take an event. Nothing is noted then, and the next try tells it.
        """
        inbound = self.inbox.get(message_id)
        if inbound is None or not inbound.media_pending:
            return 0
        media = [self._settled(inbound, index, medium) for index, medium in enumerate(inbound.media)]
        news = [
            (i, m) for i, (m, before) in enumerate(zip(media, inbound.media, strict=True)) if m.status != before.status
        ]
        if news:
            self.bus.publish([_event(inbound, index, medium, self.clock.now()) for index, medium in news])
            self.inbox.note_media(inbound, media)
        stored = [medium for _, medium in news if medium.status == "stored"]
        if self.delete_at_twilio:
            for medium in stored:
                self.source.delete(medium.url)
        self.metrics.count("MediaStored", len(stored))
        self.metrics.count("MediaFailed", len(news) - len(stored))
        return len(stored)

    def _settled(self, inbound: Inbound, index: int, medium: InboundMedium) -> InboundMedium:
        if medium.status != "pending":
            return medium
        # No personal data in the key, and the same key each time: a second try leaves no orphan.
        key = f"media/{inbound.contact_id}/{inbound.message_id}/{index}"
        for wait_s in (*RETRY_AFTER_S, None):
            try:
                fetched = self.source.fetch(medium.url)
                self.store.put(key, fetched)
            except MediumRefusedError as refused:
                return replace(medium, status="failed", reason=str(refused))
            except MediumUnavailableError as error:
                if wait_s is not None:
                    self.clock.sleep(wait_s)
                elif self.clock.now() - inbound.received_at > GIVE_UP_MS:
                    return replace(medium, status="failed", reason=str(error))
            else:
                return replace(
                    medium, status="stored", key=key, size=len(fetched.content), content_type=fetched.content_type
                )
        return medium


def _event(inbound: Inbound, index: int, medium: InboundMedium, now: int) -> MessageMediaStored:
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
        content_type=medium.content_type,
        size=medium.size,
        reason=medium.reason,
    )
