"""Media from Twilio into our bucket: published once they are there, tried again until they are."""

from dataclasses import replace
from typing import Any

import pytest
from whatsapp.adapters.aws.alerts import text_about_incident
from whatsapp.adapters.twilio.media import CONNECT_S, READ_S, TOTAL_S
from whatsapp.domain import periods
from whatsapp.domain.ports import Deadline, MediumHostUnknownError, MediumRefusedError, PublishFailed
from whatsapp.domain.receiving.inbound import UNKNOWN_TYPE, InboundMedium
from whatsapp.domain.receiving.record import events_of

from tests.unit.receive_kit import ASHA, IDS, JPEG, MINUTE, Receiving, sid

URLS = ("https://media/0", "https://media/1")


def two_media(side: Receiving) -> None:
    """A message with two files at Twilio."""
    media = tuple(InboundMedium(url=url, content_type="image/jpeg") for url in URLS)
    side.receive_message(side.form(1, "", kind="image", media=media))
    side.gateway.files = dict.fromkeys(URLS, JPEG)


def states(side: Receiving) -> list[str]:
    inbound = side.inbox.get(sid(1))
    assert inbound is not None
    return [medium.status for medium in inbound.media]


def later(side: Receiving, minutes: float = 6) -> int:
    side.clock.at += int(minutes * MINUTE)
    return side.store_media.sweep(side.deadline)


def test_stored_and_published(side: Receiving) -> None:
    two_media(side)
    assert side.store_media(sid(1), side.deadline) == 2
    key = f"media/{IDS.of(ASHA)}/{sid(1)}/0"
    assert side.media_store.files[key] == (JPEG, "image/jpeg")
    events = side.published("message.media_stored")
    assert [(e.index, e.status, e.content_type, e.size, e.event_id) for e in events] == [
        (n, "stored", "image/jpeg", 3, f"{sid(1)}#media#{n}") for n in range(2)
    ]
    assert events[0].key == key
    assert "due_at" not in side.item(sid(1))
    assert side.store_media(sid(1), side.deadline) == 0
    assert side.metrics.counts["MediaStored"] == 2


def test_conversation_shows_them_with_a_link_of_15_minutes(side: Receiving) -> None:
    two_media(side)
    side.store_media(sid(1), side.deadline)
    (message,) = side.manage_contacts.conversation(IDS.of(ASHA), None, None)["messages"]
    assert [m["status"] for m in message["media"]] == ["stored", "stored"]
    assert message["media"][0]["url"] == f"https://bucket/media/{IDS.of(ASHA)}/{sid(1)}/0?signed"


def test_just_arriving_is_waited_for(side: Receiving) -> None:
    two_media(side)
    del side.gateway.files[URLS[1]]
    assert side.store_media(sid(1), side.deadline) == 1
    assert states(side) == ["stored", "pending"]
    (message,) = side.manage_contacts.conversation(IDS.of(ASHA), None, None)["messages"]
    assert [medium["reason"] for medium in message["media"]] == [None, "404"]
    assert side.metrics.counts["MediaWaiting"] == 1
    side.gateway.files[URLS[1]] = JPEG
    assert later(side) == 1
    assert states(side) == ["stored", "stored"]


def test_what_stays_away_for_a_day_is_given_up(side: Receiving) -> None:
    two_media(side)
    side.gateway.files = {}
    assert later(side) == 0
    assert states(side) == ["pending", "pending"]
    later(side, minutes=24 * 60)
    assert states(side) == ["failed", "failed"]
    assert [e.reason for e in side.published("message.media_stored")] == ["404", "404"]
    assert side.metrics.counts["MediaFailed"] == 2
    assert "due_at" not in side.item(sid(1))


def test_one_messages_trouble_does_not_stop_the_others(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    media = (InboundMedium(url=URLS[0], content_type="image/jpeg"),)
    for number in range(3):
        side.receive_message(side.form(number, "", kind="image", media=media))
    side.gateway.files = {URLS[0]: JPEG}
    real = side.inbox.get

    def get(message_id: str) -> Any:
        if message_id == sid(1):
            raise RuntimeError("a bug")
        return real(message_id)

    monkeypatch.setattr(side.inbox, "get", get)
    with pytest.raises(ExceptionGroup):
        later(side)
    assert len(side.media_store.files) == 2


def test_sweep_begins_nothing_it_could_not_end(side: Receiving) -> None:
    two_media(side)
    side.clock.at += 6 * MINUTE
    assert side.store_media.sweep(Deadline(side.clock.now() + periods.MEDIUM_FETCH - 1)) == 0
    assert later(side, 0) == 2


def test_longest_fetch_is_as_long_as_its_parts() -> None:
    """Two hosts, the content, and its last read."""
    assert 2 * (CONNECT_S + READ_S) + TOTAL_S + READ_S < periods.MEDIUM_FETCH / 1_000 < 45


def test_refused_is_final_at_once(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    two_media(side)

    def fetch(_: str) -> bytes:
        raise MediumRefusedError("larger than 16 MB")

    monkeypatch.setattr(side.gateway, "fetch", fetch)
    assert side.store_media(sid(1), side.deadline) == 0
    assert states(side) == ["failed", "failed"]


def test_bucket_that_is_down_is_tried_again(side: Receiving) -> None:
    two_media(side)
    side.media_store.down = True
    assert side.store_media(sid(1), side.deadline) == 0
    side.media_store.down = False
    assert later(side) == 2


def test_bus_that_is_down_gets_the_event_later(side: Receiving) -> None:
    two_media(side)
    side.bus.down = True
    with pytest.raises(PublishFailed):
        side.store_media(sid(1), side.deadline)
    assert states(side) == ["pending", "pending"]
    side.bus.down = False
    assert later(side) == 2
    assert len(side.published("message.media_stored")) == 2


def test_too_little_time_begins_nothing(side: Receiving) -> None:
    two_media(side)
    assert side.store_media(sid(1), Deadline(side.clock.now() + 20_000)) == 0
    assert side.gateway.questions == 0


def test_marker_of_the_outbox_is_the_publishers(side: Receiving) -> None:
    """The rule may bring the media before the publisher is done: another event may not be published yet."""
    side.bus.down = True
    two_media(side)
    side.bus.down = False
    side.store_media(sid(1), side.deadline)
    assert side.item(sid(1))["due_shard"].startswith("publish#")
    side.clock.at += MINUTE
    side.publish_waiting(side.deadline)
    assert "due_shard" not in side.item(sid(1))


def test_late_publisher_leaves_no_marker_that_never_ends(side: Receiving) -> None:
    """It read the record before its media were stored, and marks them as pending."""
    two_media(side)
    stale = side.inbox.get(sid(1))
    assert stale is not None
    side.store_media(sid(1), side.deadline)
    side.db.write(_marked_unpublished(stale))
    side.inbox.record_published(stale, side.clock.now())
    assert side.item(sid(1))["due_shard"].startswith("media#")
    later(side)
    assert "due_at" not in side.item(sid(1))


def _marked_unpublished(inbound: Any) -> Any:
    from whatsapp.adapters.dynamodb.client import Change
    from whatsapp.adapters.dynamodb.items import message_key

    marker = {"due_shard": "publish#0", "due_at": inbound.received_at}
    return Change(table="MessagesTable", key=message_key(inbound.message_id), set=marker)


def test_two_at_once_do_not_undo_each_other(side: Receiving) -> None:
    """The slower one saw the second file no longer: what the faster one noted stands."""
    two_media(side)
    seen = side.inbox.get(sid(1))
    assert seen is not None
    side.store_media(sid(1), side.deadline)
    half = (replace(seen.media[0], status="stored"), seen.media[1])
    assert not side.inbox.record_media(seen, half, side.clock.now())
    assert states(side) == ["stored", "stored"]


def test_erased_meanwhile_is_not_noted(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    two_media(side)
    real = side.gateway.fetch

    def fetch(what: str) -> Any:
        if what == URLS[1]:
            side.erase_contact(IDS.of(ASHA), side.deadline)
        return real(what)

    monkeypatch.setattr(side.gateway, "fetch", fetch)
    side.store_media(sid(1), side.deadline)
    assert "media" not in side.item(sid(1))
    side.clock.at += 16 * MINUTE
    side.erase_contact.sweep(side.deadline)
    assert side.media_store.files == {}
    later(side)
    assert "due_at" not in side.item(sid(1))


# --- what it is ------------------------------------------------------


def one_medium(side: Receiving, told: str, content: bytes) -> Any:
    """A message with one file; returns the event about it."""
    medium = InboundMedium(url=URLS[0], content_type=told)
    side.receive_message(side.form(1, "", kind="document", media=(medium,)))
    side.gateway.files = {URLS[0]: content}
    assert side.store_media(sid(1), side.deadline) == 1
    (event,) = side.published("message.media_stored")
    return event


@pytest.mark.parametrize(
    ("told", "content", "is_a"),
    [
        ("video/mp4", b"\0\0\0\x18ftypmp42", "video/mp4"),
        ("image/png", b"\0\0\0\x18ftypmp42", UNKNOWN_TYPE),
        (UNKNOWN_TYPE, JPEG, "image/jpeg"),
    ],
)
def test_bucket_event_and_conversation_name_the_same_type(
    side: Receiving, told: str, content: bytes, is_a: str
) -> None:
    event = one_medium(side, told, content)
    (message,) = side.manage_contacts.conversation(IDS.of(ASHA), None, None)["messages"]
    assert [kept for _, kept in side.media_store.files.values()] == [is_a]
    assert (event.content_type, message["media"][0]["content_type"]) == (is_a, is_a)


def test_message_that_is_published_again_says_what_it_said(side: Receiving) -> None:
    """The bus may take the message twice, and its file in between: the same event_id has the same content."""
    one_medium(side, "image/png", b"no picture")
    inbound = side.inbox.get(sid(1))
    assert inbound is not None
    (first,) = side.published()
    assert events_of(inbound) == [first]


# --- where it is ------------------------------------------------------


def test_host_that_is_not_known_is_named_in_an_alert(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for the hour, whatever the number of files; each is tried again, for a day."""
    two_media(side)

    def fetch(_: str) -> bytes:
        raise MediumHostUnknownError("redirected to media.new-store.example, not known to keep Twilio's content")

    monkeypatch.setattr(side.gateway, "fetch", fetch)
    began = side.clock.now()
    assert side.store_media(sid(1), side.deadline) == 0
    assert side.clock.now() == began  # there is nothing to wait for
    assert later(side) == 0
    (incident,) = side.alerts.incidents
    assert (incident.state, incident.ids) == ("not fetched", {sid(1)})
    assert "media.new-store.example" in text_about_incident(incident)
    assert states(side) == ["pending", "pending"]
    monkeypatch.undo()
    assert later(side) == 2


# --- deleting at Twilio -----------------------------------------------------


def test_kept_at_twilio_unless_configured_otherwise(side: Receiving) -> None:
    two_media(side)
    side.store_media(sid(1), side.deadline)
    assert side.gateway.deleted == []


def test_deleted_at_twilio_once_it_lies_in_our_bucket(side: Receiving) -> None:
    side = replace(side, settings=replace(side.settings, delete_media_at_twilio=1))
    two_media(side)
    assert side.store_media(sid(1), side.deadline) == 2
    assert side.gateway.deleted == list(URLS)
    assert all("url" not in medium for medium in side.item(sid(1))["media"])
    assert "due_at" not in side.item(sid(1))


def test_only_copy_is_never_deleted(side: Receiving) -> None:
    """An earlier version stored an empty answer as the file."""
    side = replace(side, settings=replace(side.settings, delete_media_at_twilio=1))
    two_media(side)
    inbound = side.inbox.get(sid(1))
    assert inbound is not None
    empty = replace(inbound.media[0], status="stored", key="media/0", size=0)
    assert side.inbox.record_media(inbound, (empty, inbound.media[1]), side.clock.now())
    assert side.store_media(sid(1), side.deadline) == 1
    assert side.gateway.deleted == [URLS[1]]
    assert "due_at" not in side.item(sid(1))


def test_deleting_that_fails_is_tried_again_and_the_file_stays_stored(side: Receiving) -> None:
    side = replace(side, settings=replace(side.settings, delete_media_at_twilio=1))
    two_media(side)
    side.gateway.keeps = {URLS[0]}
    assert side.store_media(sid(1), side.deadline) == 2
    assert side.gateway.deleted == [URLS[1]]
    side.gateway.keeps = set()
    assert later(side) == 0
    assert side.gateway.deleted == [URLS[1], URLS[0]]
    assert states(side) == ["stored", "stored"]
    assert "due_at" not in side.item(sid(1))
