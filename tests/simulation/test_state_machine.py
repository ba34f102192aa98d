"""Hypothesis plays the people and the faults: it looks for the shortest story that breaks a promise."""

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from whatsapp.domain.sending.message import handle_of

from tests.simulation.faults import CALM, Mode
from tests.simulation.hub import HOUR, MINUTE
from tests.simulation.referee import judge, judge_safety
from tests.simulation.schedules import TEMPLATES, Patient
from tests.simulation.script import MESSAGE_IDS
from tests.simulation.world import World

PATIENT = Patient("+919800000000", "IN.1340000")
STALLS = st.sampled_from((0, 100, 8_000, 29_000))
KEYS = st.sampled_from(("a", "b", "c"))


class OneContact(RuleBasedStateMachine):
    """One patient, three messages, and whatever comes between."""

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.script: dict[int, Mode] = {}
        self.world = World(seed, CALM, self.script)
        self.open = self.world.installed()
        self.open.__enter__()
        self.said: list[str] = []

    @rule(key=KEYS, template=st.sampled_from(sorted(TEMPLATES)), queued=st.booleans(), resend=st.booleans())
    def ask(self, key: str, template: str, queued: bool, resend: bool) -> None:
        body: dict[str, object] = {
            "to": PATIENT.number,
            "template": template,
            "variables": TEMPLATES[template],
            "on_unknown": "resend" if resend else "hold",
        }
        known = self.world.script.requests.get(key)
        self.world.request(key, known.body if known else body, queued=queued)

    @rule(text=st.sampled_from(("hello", "STOP", "START")))
    def write(self, text: str) -> None:
        self.said.append(f"SM{len(self.said):032x}")
        self.world.inbound(self.said[-1], PATIENT.number, text)

    @rule(key=st.sampled_from(("r", "s")))
    def answer(self, key: str) -> None:
        if self.said and key not in self.world.script.requests:
            self.world.request(key, {"to": PATIENT.number, "text": "see you then", "in_reply_to": self.said[-1]})

    @rule(key=KEYS)
    def cancel(self, key: str) -> None:
        self.world.cancel(handle_of(key))

    @rule(key=KEYS, status=st.sampled_from(("claimed", "sending", "unknown")), stall=STALLS)
    def cancel_at(self, key: str, status: str, stall: int) -> None:
        self.world.when(MESSAGE_IDS.of(key), status, lambda: self.world.cancel(handle_of(key)), stall)

    @rule(after=st.integers(0, 12), mode=st.sampled_from(list(Mode)))
    def strike(self, after: int, mode: Mode) -> None:
        self.script[len(self.world.faults.calls) + after] = mode

    @rule(time=st.sampled_from((50, 1_000, MINUTE, 26 * MINUTE, 61 * MINUTE, 3 * HOUR)))
    def wait(self, time: int) -> None:
        self.world.pass_time(time)

    @invariant()
    def nothing_forbidden_happened(self) -> None:
        if hasattr(self, "world"):
            assert not judge_safety(self.world)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.script.clear()
                self.world.run()
                assert not [str(v) for v in judge(self.world)]
            finally:
                self.open.__exit__(None, None, None)


TestOneContact = OneContact.TestCase
TestOneContact.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
