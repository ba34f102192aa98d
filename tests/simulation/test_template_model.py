"""The template sync as a machine of rules: people edit, WhatsApp decides, calls fail, syncs die and meet.

Whatever the order: no wording gets two copies, none that is unapproved or changed by hand serves, none loses an
approved copy that it had, the one to fall back on stays while it is needed, and when the trouble is over catalog and
Twilio agree.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from whatsapp.domain import periods
from whatsapp.domain.templates.plan import Move
from whatsapp.domain.templates.version import (
    APPROVED,
    DISABLED,
    MISSING,
    PAUSED,
    PENDING,
    RECEIVED,
    REJECTED,
    UNSUBMITTED,
    TemplateVersion,
    serving_version,
)

from tests.simulation.template_world import DAY, HOUR, MINUTE, Died, Edition, World, template

SHAPE = {"mood": ("en", "hi"), "reminder": ("en",)}
LANGUAGES = [(name, language) for name, languages in SHAPE.items() for language in languages]
BODIES = {
    "en": "Hello {{ who }}, this is wording number %d of ours.",
    "hi": "नमस्ते {{ who }} जी, यह हमारा संदेश क्रमांक %d है।",
}
FAULTS = ["http_500", "http_429", "accept_then_500", "accept_then_hang", "hang", "accept_late", "truncate", "refuse"]
CALLS = ["GET .*/ContentAndApprovals", "GET .*/HX.*", "POST .*/Content", "POST .*/ApprovalRequests/.*", "DELETE .*"]
NEXT_VERDICTS = {
    "pending": ["approved", "rejected"],
    "approved": ["paused", "disabled", "approved"],
    "paused": ["approved", "disabled"],
}
SEND_CODES = {"paused": PAUSED, "disabled": DISABLED, "rejected": REJECTED, "deleted": MISSING}
"""What a send reports by 63041, 63042, 63040 and 21655."""
BY_HAND = "Hello {{1}}, do visit us again soon!"


class TemplateSync(RuleBasedStateMachine):
    """A clinic, WhatsApp and a bad day."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.numbers = dict.fromkeys(LANGUAGES, 0)
        self.fresh = 100
        self.by_hand: set[str] = set()
        """Contents that somebody made, or changed, at Twilio's console: none of ours any more."""
        self.categories = dict.fromkeys(SHAPE, "UTILITY")
        self.whatsapp_acted = False
        """In this step."""
        self.fallbacks: set[str] = set()
        """Approved copies that went out before, in a language whose present wording is not approved."""
        self.deleted_by_hand: set[str] = set()
        self.ever_approved: set[str] = set()
        self.known_as_reviewed: set[str | None] = set()
        self.step_began = self.world.clock.at
        self.served: dict[tuple[str, str], str | None] = {}
        """What served in each language after the last step."""
        self.publish()

    def teardown(self) -> None:
        self.everything_comes_to_rest()
        self.world.close()

    # --- people ------------------------------------------------------------------------------------------------------

    @rule(where=st.sampled_from(LANGUAGES), number=st.integers(0, 3))
    def edit(self, where: tuple[str, str], number: int) -> None:
        """Reword one language, perhaps back to what it was."""
        self.numbers[where] = number
        self.publish()

    @rule(name=st.sampled_from(list(SHAPE)), category=st.sampled_from(["UTILITY", "MARKETING"]))
    def edit_the_category(self, name: str, category: str) -> None:
        """A new review for each language, under the same words."""
        self.categories[name] = category
        self.publish()

    def publish(self) -> None:
        words = {where: BODIES[where[1]] % number for where, number in self.numbers.items()}
        self.world.catalog = Edition(
            [
                template(
                    name,
                    {tag: words[name, tag] for tag in tags},
                    category=self.categories[name],
                    buttons=name == "mood",
                )
                for name, tags in SHAPE.items()
            ]
        )

    @precondition(lambda self: self.ours())
    @rule(data=st.data())
    def delete_by_hand(self, data: Any) -> None:
        sid = data.draw(st.sampled_from(self.ours()))
        del self.world.account.contents[sid]
        self.deleted_by_hand.add(sid)

    @precondition(lambda self: self.ours())
    @rule(data=st.data())
    def copy_by_hand(self, data: Any) -> None:
        """Somebody makes a content under one of our names, with words of their own."""
        content = self.world.account.contents[data.draw(st.sampled_from(self.ours()))]
        types = {"twilio/text": {"body": "Something else"}}
        made = {"friendly_name": content.friendly_name, "language": content.language, "types": types}
        self.by_hand.add(self.world.gateway.create(made))

    @rule(where=st.sampled_from(LANGUAGES), verdict=st.sampled_from([None, "approved", "rejected"]))
    def reword_by_hand(self, where: tuple[str, str], verdict: str | None) -> None:
        """A copy is made and its submission fails. Twilio allows its rewording now: somebody does, and submits that."""
        self.fresh += 1
        self.edit(where, self.fresh)
        self.world.wait(periods.SYNC_LEASE)
        self.world.strike("POST .*/ApprovalRequests/.*", "http_500")
        self.world.sync()
        self.world.strikes.clear()
        content = self.world.account.contents.get(self.world.version(*where).content_sid or "")
        if content and content.approval.status == UNSUBMITTED:
            next(iter(content.types.values()))["body"] = BY_HAND
            self.by_hand.add(content.sid)
            if verdict:
                self.world.gateway.submit(content.sid, content.friendly_name, "UTILITY")
                self.world.review(content.sid, verdict, "POLICY. No reason given" if verdict == "rejected" else "")

    # --- WhatsApp ----------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def review(self, data: Any) -> None:
        """The reviewer decides, pauses, disables, resumes or moves a template to another category."""
        self.whatsapp_acted = True
        contents = self.world.account.contents  # also those changed by hand: their approval must mean nothing
        open_cases = [sid for sid in contents if self.status_at_twilio(sid) in NEXT_VERDICTS]
        if not open_cases:
            return
        sid = data.draw(st.sampled_from(open_cases))
        verdict = data.draw(st.sampled_from(NEXT_VERDICTS[self.status_at_twilio(sid)]))
        category = data.draw(st.sampled_from(["", "", "MARKETING"]))
        self.world.review(sid, verdict, "POLICY. No reason given" if verdict == "rejected" else "", category)

    # --- the sync and its troubles -----------------------------------------------------------------------------------

    @rule(times=st.integers(1, 2))
    def sync(self, times: int) -> None:
        """Undisturbed: afterwards all that serves is approved at Twilio."""
        self.world.wait(periods.SYNC_LEASE)
        for _ in range(times):
            self.world.sync()
        self.what_serves_is_approved()

    @rule()
    def all_is_approved(self) -> None:
        """A good day, after which the sync has seen everything."""
        self.whatsapp_acted = True
        self.world.wait(periods.SYNC_LEASE)
        self.world.sync()
        self.world.review_all()
        for _ in range(2):
            self.world.sync()
        self.what_serves_is_approved()

    @rule()
    def a_week_goes_by(self) -> None:
        self.world.wait(periods.OLD_WORDING_KEPT)
        self.world.sync()

    @rule(where=st.sampled_from(LANGUAGES), verdict=st.sampled_from(["paused", "disabled"]))
    def a_new_wording_goes_out_for_a_week_and_is_stopped(self, where: tuple[str, str], verdict: str) -> None:
        """The one before it is due to be deleted now, and wanted now."""
        self.whatsapp_acted = True
        self.fresh += 1
        self.edit(where, self.fresh)
        self.all_is_approved()
        self.see_approvals()
        self.world.wait(periods.OLD_WORDING_KEPT)
        sid = self.world.version(*where).content_sid or ""
        if self.status_at_twilio(sid) == APPROVED:
            self.world.review(sid, verdict)

    def what_serves_is_approved(self) -> None:
        for where in LANGUAGES:
            if serving := self.world.serving(*where):
                assert self.status_at_twilio(serving.content_sid or "") == APPROVED

    @rule(strikes=st.lists(st.tuples(st.sampled_from(CALLS), st.sampled_from(FAULTS)), min_size=1, max_size=3))
    def sync_with_faults(self, strikes: list[tuple[str, str]]) -> None:
        """Calls of Twilio fail in every way, and the next sync comes too soon."""
        for call, kind in strikes:
            self.world.strike(call, kind)
        for _ in range(2):
            self.world.sync()
        self.world.strikes.clear()

    @rule(call=st.integers(1, 40))
    def sync_that_dies(self, call: int) -> None:
        def die(number: int, _: str) -> None:
            if number == start + call:
                raise Died

        start = len(self.world.calls)
        self.disturbed(die)

    @rule(call=st.integers(1, 40), edit=st.sampled_from([None, *LANGUAGES]), number=st.integers(0, 3), data=st.data())
    def two_syncs(self, call: int, edit: tuple[str, str] | None, number: int, data: Any) -> None:
        """A second sync runs in the middle of one: WhatsApp has decided in between, the catalog may be newer."""

        def come_in_between(at: int, _: str) -> None:
            if at == start + call:
                if edit:
                    self.edit(edit, number)
                self.review(data)
                self.world.sync()

        start = len(self.world.calls)
        self.disturbed(come_in_between)

    def disturbed(self, hook: Any) -> None:
        self.world.on_call = hook
        try:
            self.world.sync()
        except Died:
            pass
        finally:
            self.world.on_call = None

    @rule()
    def the_bus_breaks_or_is_mended(self) -> None:
        self.world.listeners.broken = not self.world.listeners.broken

    @rule(time=st.sampled_from([MINUTE, 15 * MINUTE, HOUR, DAY, periods.OLD_WORDING_KEPT]))
    def time_passes(self, time: int) -> None:
        self.world.wait(time)

    @rule(where=st.sampled_from(LANGUAGES))
    def send(self, where: tuple[str, str]) -> None:
        """A send takes what serves. WhatsApp refuses what it stopped since the last sync, and that stops it with us."""
        serving = self.world.serving(*where)
        if serving is None or serving.content_sid is None:
            return
        status = self.status_at_twilio(serving.content_sid)
        if status in SEND_CODES:
            self.world.store.report(where[0], serving.content_sid, SEND_CODES[status], self.world.clock.now())
            after = self.world.serving(*where)
            assert after is None or after.content_sid != serving.content_sid
        else:
            assert status == APPROVED, "an unapproved wording went out"

    # --- always ------------------------------------------------------------------------------------------------------

    @invariant()
    def no_wording_has_two_copies(self) -> None:
        names = [self.world.account.contents[sid].friendly_name for sid in self.ours()]
        assert len(names) == len(set(names))

    @invariant()
    def only_what_was_approved_serves_and_no_language_loses_it(self) -> None:
        """Only WhatsApp, or somebody at Twilio's console, can take it away."""
        self.see_approvals()
        versions = {name: self.world.store.versions(name) for name in SHAPE}
        for name, language in LANGUAGES:
            serving = serving_version(self.world.catalog.get(name), language, versions[name])
            assert serving is None or serving.content_sid in self.ever_approved
            if serving is None and (before := self.served.get((name, language))):
                version = next(v for v in versions[name] if v.content_sid == before)
                # Stopped, as far as we know; whether it goes again, the next sync will see.
                assert version.status in (PAUSED, DISABLED, REJECTED, MISSING)
                assert (version.status_at or 0) >= self.step_began
            self.served[name, language] = serving.content_sid if serving else None
        self.step_began = self.world.clock.at

    @invariant()
    def words_changed_by_hand_never_serve(self) -> None:
        for where in LANGUAGES:
            serving = self.world.serving(*where)
            assert serving is None or serving.content_sid not in self.by_hand

    @invariant()
    def what_to_fall_back_on_stays_while_the_present_wording_is_not_approved(self) -> None:
        """No sync may delete it, unless it learnt only afterwards that WhatsApp took the present wording back."""
        gone = self.fallbacks - self.world.account.contents.keys() - self.deleted_by_hand
        assert self.whatsapp_acted or not gone
        self.whatsapp_acted = False
        self.fallbacks = set()
        for name, language in LANGUAGES:
            versions = self.world.store.versions(name)
            current = self.world.catalog.get(name).version(language)
            if self.status_at_twilio(self.sid_of(versions, current)) != APPROVED:
                went_out = [v for v in versions if v.language == language and v.served_at and v.status == APPROVED]
                sids = {v.content_sid or "" for v in went_out if v.version != current}
                self.fallbacks |= {sid for sid in sids if self.status_at_twilio(sid) == APPROVED}

    @invariant()
    def our_record_never_goes_back(self) -> None:
        """What was reviewed once is never in review again, whatever an old list says."""
        for name in SHAPE:
            for version in self.world.store.versions(name):
                if version.status in (UNSUBMITTED, RECEIVED, PENDING):
                    assert version.content_sid not in self.known_as_reviewed
                elif version.content_sid:
                    self.known_as_reviewed.add(version.content_sid)

    # --- the end -----------------------------------------------------------------------------------------------------

    def everything_comes_to_rest(self) -> None:
        """The trouble is over, WhatsApp approves, authors reword what it refused: all agree."""
        world = self.world
        world.listeners.broken = False
        for sid in self.by_hand:
            world.account.contents.pop(sid, None)
        for _ in range(4):
            world.wait(periods.SYNC_LEASE + periods.REPORT_STANDS)
            world.sync(recreate=True)
            self.reword_what_was_refused()
            for sid in self.ours():
                if self.status_at_twilio(sid) in ("pending", "paused"):
                    world.review(sid, "approved")
        result = world.sync()
        assert result.problems == []
        assert {version.status for version in result.versions} == {APPROVED}
        for where in LANGUAGES:
            assert world.serving(*where) == world.version(*where)
        assert {step.move for step in world.sync(dry_run=True).steps} == {Move.KEEP}
        self.everything_was_told()
        self.what_was_superseded_goes()

    def reword_what_was_refused(self) -> None:
        for where in LANGUAGES:
            if self.world.version(*where).status in (REJECTED, DISABLED):
                self.fresh += 1
                self.edit(where, self.fresh)

    def everything_was_told(self) -> None:
        heard = {event.event_id for event in self.world.listeners.events}
        told = {"approved", "rejected", "paused", "disabled", "missing"}
        for name in SHAPE:
            for version in self.world.store.versions(name):
                assert version.outbox == frozenset()
                if version.status in told:
                    assert f"{name}#{version.version}#{version.status}#{version.status_at}" in heard

    def what_was_superseded_goes(self) -> None:
        self.world.sync()
        self.world.wait(periods.OLD_WORDING_KEPT)
        self.world.sync()
        assert sorted(self.ours()) == sorted(str(self.world.version(*where).content_sid) for where in LANGUAGES)

    # --- looking -----------------------------------------------------------------------------------------------------

    def see_approvals(self) -> None:
        self.ever_approved |= {c.sid for c in self.world.contents() if c.approval.status == APPROVED}

    def ours(self) -> list[str]:
        return [sid for sid in self.world.account.contents if sid not in self.by_hand]

    @staticmethod
    def sid_of(versions: Sequence[TemplateVersion], wanted: str) -> str:
        return next((v.content_sid or "" for v in versions if v.version == wanted), "")

    def status_at_twilio(self, sid: str) -> str:
        content = self.world.account.contents.get(sid)
        return content.approval.status if content else "deleted"


TestTemplateSync = TemplateSync.TestCase
TestTemplateSync.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,  # the same 20 days every time
    suppress_health_check=[HealthCheck.too_slow],
)
