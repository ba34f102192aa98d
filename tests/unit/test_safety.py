"""Words that may mean danger to life: what the list finds, the event that says so, and the alert."""

import time
from pathlib import Path

import pytest
from whatsapp.adapters.aws.alerts import text_about_incident
from whatsapp.domain.events import Safety
from whatsapp.domain.incident import Incident
from whatsapp.domain.receiving import safety
from whatsapp.domain.receiving.safety import phrases_in, safety_of

from tests.unit.receive_kit import ASHA, IDS, Receiving
from tests.unit.test_record import ANSWERED, received, record
from tools.safety import figures, sentences

HER_ID = IDS.of(ASHA)
KEY = f"incident#urgent#safety##{HER_ID}"


@pytest.mark.parametrize(
    ("text", "phrase_id", "language"),
    [
        ("I want to DIE!!!", "wish_to_die", "en"),
        ("i don’t want to\u200b live", "wish_to_die", "en"),
        ("killl myselfff", "suicide", "en"),
        ("ख़ुदकुशी", "suicide", "hi"),
        ("marna chahti hoon", "wish_to_die", "hi-Latn"),
        ("தற்கொலைக்கு", "suicide", "ta"),
        ("বিষ খেয়েছি", "suicide", "bn"),
        ("died laughing, then I wanted to end my life", "suicide", "en"),
    ],
)
def test_phrase_is_found_however_it_is_written(text: str, phrase_id: str, language: str) -> None:
    assert safety_of([text]) == Safety(phrase_id=phrase_id, language=language)


@pytest.mark.parametrize("text", ["this traffic is killing me", "I died laughing", "I want to diet", "unsuicidal", ""])
def test_harmless_words_are_not(text: str) -> None:
    assert safety_of([text, None]) is None


def test_corpus_is_large_half_harmless_and_read_as_well_as_the_docs_say() -> None:
    every = sentences()
    count = figures()
    assert len(every) >= 200
    assert 0.4 < sum(is_danger for is_danger, *_ in every) / len(every) < 0.6
    assert count[True, True] / (count[True, True] + count[True, False]) >= 0.8
    assert count[True, True] / (count[True, True] + count[False, True]) >= 0.85


def test_longest_text_takes_no_longer_than_its_length() -> None:
    def seconds(text: str) -> float:
        start = time.perf_counter()
        safety_of([text])
        return time.perf_counter() - start

    seconds("warm")
    short, long = (min(seconds("i want to end my lif " * n) for _ in range(5)) for n in (100, 1000))
    assert long < 40 * short


@pytest.mark.parametrize("line", ["suicide en x", "suicide\txx\tx", "suicide\ten\tx||y", "Sui cide\ten\tx"])
def test_wrong_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2: "):
        phrases_in(["# head", line])


def test_text_choice_and_lowest_mood_are_matched_and_stored_and_shown() -> None:
    found = Safety(phrase_id="suicide", language="en")
    assert record(text="I will kill myself").safety == found
    assert record(text="hello").safety is None
    tapped = record(answered=ANSWERED, text="Not so good", button_payload="agent:mood:score:1")
    assert tapped.safety == Safety(phrase_id="lowest_mood", language="payload")
    assert record(button_payload="agent:mood:score:2").safety is None
    assert received(safety=found).safety == found


def test_each_patient_is_alerted_about_at_once_and_a_repeated_webhook_alerts_no_more(side: Receiving) -> None:
    for number, text in ((1, "I will kill myself"), (1, "I will kill myself"), (2, "good morning")):
        side.receive_message(side.form(number, text=text))
    (incident,) = side.alerts.incidents
    alert = text_about_incident(incident)
    assert (incident.state, len(incident.ids)) == ("urgent", 1)
    assert f"Contact:  {incident.about}" in alert
    assert "112" in alert
    assert "kill" not in alert
    assert "98123" not in alert


def test_list_that_cannot_be_read_costs_no_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unread = safety._phrases.__wrapped__
    for text in (None, "# no phrase\nwrong line\n"):
        file = tmp_path / f"{text is None}.tsv"
        if text:
            file.write_text(text)
        monkeypatch.setattr(safety, "FILE", file)
        monkeypatch.setattr(safety, "_phrases", unread)
        assert safety.safety_of(["I will kill myself"]) is None


def urgent(side: Receiving, number: int, text: str = "I will kill myself") -> None:
    side.receive_message(side.form(number, text=text))


def again(side: Receiving, minutes: int) -> int:
    side.clock.sleep(minutes * 60)
    return side.raise_alerts.sweep(side.deadline)


def test_alert_comes_again_until_somebody_acknowledges(side: Receiving) -> None:
    minutes = side.settings.safety_acknowledge_minutes
    urgent(side, 1)
    assert again(side, minutes - 1) == 0
    assert again(side, 1) == 1
    urgent(side, 2)
    assert again(side, minutes) == 1
    assert [len(incident.ids) for incident in side.alerts.incidents] == [1, 1, 2]
    assert side.manage_contacts.acknowledge(HER_ID) == {"contact_id": HER_ID, "was_open": True}
    assert again(side, minutes) == 0
    assert side.manage_contacts.acknowledge(HER_ID) == {"contact_id": HER_ID, "was_open": False}
    urgent(side, 3)
    assert [len(incident.ids) for incident in side.alerts.incidents] == [1, 1, 2, 1]
    assert again(side, minutes) == 1


def test_acknowledged_while_the_alert_goes_out_is_over_and_the_next_one_alerts(side: Receiving) -> None:
    about_incident = side.alerts.about_incident

    def acknowledged_meanwhile(incident: Incident) -> None:
        about_incident(incident)
        side.manage_contacts.acknowledge(HER_ID)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side.alerts, "about_incident", acknowledged_meanwhile)
        urgent(side, 1)
    assert again(side, 60) == 0
    urgent(side, 2)
    assert len(side.alerts.incidents) == 2


def test_of_an_erased_patient_nobody_is_alerted_any_more(side: Receiving) -> None:
    urgent(side, 1)
    side.erase_contact(HER_ID, side.deadline)
    assert again(side, 60) == 0
    kept = side.db.get(side.settings.messages_table, {"message_id": KEY, "entry": "incident"})
    assert kept
    assert "ids" not in kept
    assert kept["ttl"] <= side.clock.now() // 1000
