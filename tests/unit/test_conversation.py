"""Whose the patient's answer is."""

from dataclasses import asdict

import pytest
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.receiving.conversation import agent_of_payload, choose_agent

from tests.fakes import NOON

SPOKEN = Contact(contact_id="c", agent="mood", last_outbound_at=NOON - 1000, last_outbound_agent="reminders")


@pytest.mark.parametrize(
    ("payload", "agent"),
    [
        ("agent:scheduling:confirm", "scheduling"),
        ("agent:mood", "mood"),
        ("agent:", None),
        ("confirm", None),
        ("", None),
        (None, None),
        ("secret agent:mood", None),
        ("agent:my therapist is Dr. Rao:x", None),
        ("agent:Asha", None),
        ("agent:+919812345678:x", None),
        ("agent:919812345678:x", None),
        ("agent:follow_up_2:x", "follow_up_2"),
        ("agent:mood\n", None),
        ("agent:" + "x" * 65, None),
        ("agent:\u0665mood", None),
    ],
)
def test_agent_in_a_payload(payload: str | None, agent: str | None) -> None:
    assert agent_of_payload(payload) == agent


def test_order_of_claims() -> None:
    everyone = ("agent:scheduling:confirm", "follow_up", SPOKEN, NOON, "front_desk")
    assert choose_agent(*everyone) == "scheduling"
    assert choose_agent(None, "follow_up", SPOKEN, NOON, "front_desk") == "follow_up"
    assert choose_agent(None, None, SPOKEN, NOON, "front_desk") == "reminders"
    assert choose_agent(None, None, None, NOON, "front_desk") == "front_desk"


@pytest.mark.parametrize("forgotten", ["last_outbound_agent", "last_outbound_at"])
def test_contacts_own_agent_answers_where_the_latest_is_not_known(forgotten: str) -> None:
    spoken = Contact(**{**asdict(SPOKEN), forgotten: None})
    assert choose_agent(None, None, spoken, NOON, "front_desk") == "mood"


def test_latest_agent_is_forgotten_after_72_hours() -> None:
    spoke_at = NOON - 1000
    assert choose_agent(None, None, SPOKEN, spoke_at + periods.AGENT_REMEMBERED, "front_desk") == "reminders"
    assert choose_agent(None, None, SPOKEN, spoke_at + periods.AGENT_REMEMBERED + 1, "front_desk") == "mood"
