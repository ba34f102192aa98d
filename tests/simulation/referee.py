"""Judges a world by what Twilio's ledger holds, not by what our tables claim; then the tables by the ledger."""

from tests.simulation.case import Case, Violation
from tests.simulation.promises import SAFETY
from tests.simulation.records import AT_REST
from tests.simulation.world import World


def judge(world: World) -> list[Violation]:
    """Everything that is wrong in a world that came to rest."""
    case = Case(world)
    return [violation for rule in (*SAFETY, *AT_REST) for violation in rule(case)]


def judge_safety(world: World) -> list[Violation]:
    """What must hold at any moment, also while things are under way."""
    case = Case(world)
    return [violation for rule in SAFETY for violation in rule(case)]
