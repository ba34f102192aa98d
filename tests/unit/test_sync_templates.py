"""The sync, case by case, against the emulator's reviewer."""

from collections.abc import Iterator
from typing import NoReturn

import pytest
from whatsapp.adapters.twilio.content import TwilioContent
from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.plan import Move, outlook, standing

from local.deploy import read_template
from tests.simulation.template_world import HOUR, MINUTE, Died, Edition, World, template

OLD = {"en": "Hello {{ who }}, how are you today?", "hi": "नमस्ते {{ who }} जी, आप आज कैसे हैं?"}
NEW = {**OLD, "en": "Good day {{ who }}, how do you feel today?"}


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.catalog = Edition([template("mood", OLD, buttons=True)])
    yield world
    world.close()


@pytest.fixture
def approved(world: World) -> World:
    """Both languages serve."""
    world.sync()
    world.review_all()
    world.sync()
    world.listeners.events.clear()
    return world


def sid(world: World, language: str = "en") -> str:
    found = world.version("mood", language).content_sid
    assert found
    return found


def serving(world: World, language: str = "en") -> str | None:
    """The content that a send would take."""
    version = world.serving("mood", language)
    return version.content_sid if version else None


def reworded(world: World) -> World:
    """The English wording has changed in the catalog."""
    world.catalog = Edition([template("mood", NEW, buttons=True)])
    return world


# --- the way to approval ---------------------------------------------------------------------------------------------


def test_creates_submits_and_follows_the_review(world: World) -> None:
    first = world.sync()
    assert [(v.language, v.status) for v in first.versions] == [("en", "received"), ("hi", "received")]
    assert first.problems == []
    assert [content.friendly_name for content in world.contents()] == [v.friendly_name for v in first.versions]
    assert serving(world) is None
    assert world.listeners.counts["TemplatesUnusable"] == 2

    world.review_all()
    second = world.sync()
    assert [version.status for version in second.versions] == ["approved", "approved"]
    assert world.listeners.heard == ["approved en", "approved hi"]
    assert world.listeners.alerts == []
    assert world.listeners.counts["TemplatesUnusable"] == 0
    assert serving(world, "hi") == sid(world, "hi")

    assert [step.move for step in world.sync().steps] == [Move.KEEP, Move.KEEP]
    assert len(world.contents()) == 2
    assert len(world.listeners.events) == 2


@pytest.mark.parametrize("nested", [False, True])
def test_reads_both_shapes_of_an_approval(world: World, nested: bool) -> None:
    world.account.settings.nested_approvals = nested
    world.sync()
    world.review(sid(world), "rejected", "INVALID_FORMAT. The words repeat")
    world.sync()
    version = world.version("mood", "en")
    assert (version.status, version.reason) == ("rejected", "INVALID_FORMAT. The words repeat")


@pytest.mark.parametrize("reason", ["NONE", "none", " NONE "])
def test_a_reason_that_says_there_is_none_is_no_reason(world: World, reason: str) -> None:
    world.sync()
    world.review(sid(world), "rejected", reason)
    world.sync()
    version = world.version("mood", "en")
    assert (version.status, version.reason) == ("rejected", None)
    assert world.listeners.events[-1].reason is None


def test_reads_every_page_of_the_list(approved: World) -> None:
    copy = approved.contents()[0]
    for number in range(230):
        approved.gateway.create({"friendly_name": f"other_{number}", "language": "en", "types": copy.types})
    before = len(approved.calls)
    # The order of the list is Twilio's: put ours on the last page.
    approved.account.contents = dict(reversed(approved.account.contents.items()))
    assert approved.sync().problems == []
    assert [call for call in approved.calls[before:] if call.endswith("ContentAndApprovals")] == [
        "GET /v1/ContentAndApprovals"
    ] * 3
    assert not any("/Content/HX" in call for call in approved.calls[before:])


def test_rejected_is_reported_with_the_reason_and_the_old_wording_serves(approved: World) -> None:
    old = sid(approved)
    reworded(approved).sync()
    new = sid(approved)
    assert new != old
    assert serving(approved) == old
    approved.review(new, "rejected", "INCORRECT_CATEGORY. This is marketing")
    approved.sync()
    version, change, instead = approved.listeners.alerts[-1]
    assert (version.content_sid, change, version.reason) == (new, "rejected", "INCORRECT_CATEGORY. This is marketing")
    assert instead
    assert instead.content_sid == old
    event = approved.listeners.events[-1]
    assert (event.status, event.reason, event.content_sid) == ("rejected", version.reason, new)
    for _ in range(3):
        approved.sync()
    assert approved.listeners.alerted == ["rejected en"]
    assert approved.listeners.heard == ["rejected en"]


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_new_wording_takes_over_when_approved_and_the_old_one_is_retired_after_its_grace(approved: World) -> None:
    old = approved.serving("mood", "en")
    assert old
    reworded(approved).sync()
    approved.review(sid(approved), "approved")
    approved.sync()
    assert serving(approved) == sid(approved) != old.content_sid

    approved.wait(15 * MINUTE)
    approved.sync()
    approved.wait(periods.OLD_WORDING_KEPT - MINUTE)
    approved.sync()
    assert old.content_sid in approved.account.contents
    approved.wait(2 * MINUTE)
    approved.sync()
    assert old.content_sid not in approved.account.contents
    record = next(v for v in approved.store.versions("mood") if v.version == old.version)
    assert (record.status, record.content_sid, record.superseded_at is not None) == ("retired", old.content_sid, True)
    assert len(approved.contents()) == 2
    assert approved.listeners.alerts == []


def test_the_old_wording_goes_out_again_while_the_new_one_is_paused(approved: World) -> None:
    old = sid(approved)
    reworded(approved).sync()
    approved.review(sid(approved), "approved")
    for _ in range(2):
        approved.sync()
    approved.review(sid(approved), "paused")
    approved.sync()
    version, change, instead = approved.listeners.alerts[-1]
    assert (change, version.content_sid) == ("paused", sid(approved))
    assert instead
    assert instead.content_sid == old
    approved.wait(2 * periods.OLD_WORDING_KEPT)
    for _ in range(3):
        approved.sync()
    assert old in approved.account.contents  # it serves: no grace ends that
    approved.review(sid(approved), "approved")
    approved.sync()
    assert serving(approved) == sid(approved)


def paused_after_its_week(approved: World) -> str | None:
    """A new wording served until the old one's grace was over, and WhatsApp paused it; the old one's sid."""
    old = sid(approved)
    reworded(approved).sync()
    approved.review(sid(approved), "approved")
    for _ in range(2):
        approved.sync()
    approved.wait(periods.OLD_WORDING_KEPT)
    approved.review(sid(approved), "paused")
    return old


def test_the_sync_that_sees_the_new_wording_paused_keeps_the_one_to_fall_back_on(approved: World) -> None:
    old = paused_after_its_week(approved)
    approved.sync()
    assert old in approved.account.contents
    assert serving(approved) == old


def test_a_fallback_is_kept_though_the_paused_wording_is_held_by_a_dead_sync(approved: World) -> None:
    old = paused_after_its_week(approved)
    now = approved.clock.now()
    approved.store.lease(approved.version("mood", "en"), listed_at=now, until=now + periods.SYNC_LEASE)
    approved.sync()
    assert old in approved.account.contents


def test_going_back_to_an_earlier_wording_needs_no_review(approved: World) -> None:
    first = sid(approved)
    reworded(approved).sync()
    approved.review_all()
    for _ in range(2):
        approved.sync()
    second = sid(approved)
    approved.catalog = Edition([template("mood", OLD, buttons=True)])
    assert serving(approved) == first  # at once, before any sync
    for _ in range(2):
        approved.sync()
    # A third wording waits: the one to fall back on is the one that went out last.
    approved.catalog = Edition([template("mood", {**OLD, "en": "Dear {{ who }}, are you well today?"}, buttons=True)])
    approved.sync()
    assert serving(approved) == first != second


def test_going_back_to_a_retired_wording_makes_its_copy_anew(approved: World) -> None:
    first = sid(approved)
    reworded(approved).sync()
    approved.review_all()
    for _ in range(2):
        approved.sync()
    approved.wait(periods.OLD_WORDING_KEPT)
    approved.sync()
    assert first not in approved.account.contents
    second = sid(approved)
    approved.catalog = Edition([template("mood", OLD, buttons=True)])
    approved.sync()
    assert sid(approved) not in (first, second)
    assert serving(approved) == second
    approved.review_all()
    approved.sync()
    assert serving(approved) == sid(approved)


def test_a_wording_that_was_withdrawn_in_review_never_begins_to_go_out(world: World) -> None:
    world.sync()
    withdrawn = sid(world)
    reworded(world).sync()
    world.review(withdrawn, "approved")
    world.sync()
    assert serving(world) is None
    versions = world.store.versions("mood")
    old = next(v for v in versions if v.content_sid == withdrawn)
    assert old.status == "approved"
    assert "never goes out" in outlook(old, standing(old, world.catalog.get("mood"), versions))


def test_a_language_that_was_dropped_is_retired(approved: World) -> None:
    hindi = sid(approved, "hi")
    approved.catalog = Edition([template("mood", {"en": OLD["en"]}, buttons=True)])
    approved.sync()
    approved.wait(periods.OLD_WORDING_KEPT)
    approved.sync()
    assert [content.language for content in approved.contents()] == ["en"]
    assert hindi not in approved.account.contents


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http_500", "http_503", "http_429", "refuse", "hang", "truncate"])
def test_a_list_that_fails_changes_nothing(approved: World, kind: str) -> None:
    before = approved.store.versions("mood")
    approved.review(sid(approved), "paused")
    approved.fault(kind, "ContentAndApprovals")
    result = approved.sync()
    assert len(result.problems) == 1
    assert approved.store.versions("mood") == before
    assert approved.listeners.counts["TemplateSyncFailed"] == 1
    del approved.listeners.counts["TemplateSyncFailed"]
    approved.sync()
    assert "TemplateSyncFailed" not in approved.listeners.counts


@pytest.mark.parametrize(("is_new", "failures"), [(True, 0), (False, 1)])
def test_an_empty_secret_is_a_failure_only_where_there_were_templates(
    world: World, is_new: bool, failures: int
) -> None:
    if not is_new:
        world.sync()
    world.gateway = TwilioContent(_no_client)
    result = world.sync()
    assert result.problems == ["Twilio's list of templates: fill in the secret"]
    assert world.listeners.counts.get("TemplateSyncFailed", 0) == failures


def _no_client() -> NoReturn:
    raise MessagingError("account_problem", "fill in the secret")


def test_a_page_that_fails_spoils_the_whole_list(approved: World) -> None:
    copy = approved.contents()[0]
    for number in range(100):
        approved.gateway.create({"friendly_name": f"other_{number}", "language": "en", "types": copy.types})
    approved.account.contents = dict(reversed(approved.account.contents.items()))
    pages: list[str] = []

    def fail_the_second(_: int, call: str) -> None:
        if call == "GET /v1/ContentAndApprovals":
            pages.append(call)
            if len(pages) == 2:
                approved.fault("http_500", "ContentAndApprovals")

    approved.on_call = fail_the_second
    assert len(approved.sync().problems) == 1
    assert {version.status for version in approved.store.versions("mood")} == {"approved"}


@pytest.mark.parametrize("kind", ["accept_then_500", "accept_then_hang", "truncate", "accept_late"])
def test_a_create_whose_answer_is_lost_makes_no_second_copy(world: World, kind: str) -> None:
    world.strike("POST /v1/Content", kind)
    result = world.sync()
    assert len(result.problems) == 1
    world.wait(MINUTE)
    again = world.sync()  # too early: what was asked may yet happen
    assert "another sync" in " ".join(step.why for step in again.steps)
    world.wait(periods.SYNC_LEASE)
    final = world.sync()
    assert final.problems == []
    assert Move.ADOPT in [step.move for step in final.steps]
    assert [version.status for version in final.versions] == ["received", "pending"]
    assert len(world.contents()) == 2


def test_a_lost_copy_of_a_wording_replaced_meanwhile_is_ours_and_is_retired(world: World) -> None:
    world.strike("POST .*/Content", "accept_then_500")
    world.sync()
    reworded(world)
    world.wait(periods.SYNC_LEASE)
    assert world.sync().problems == []
    world.review_all()
    for _ in range(2):  # the new wording goes out, and then the old one is superseded
        assert world.sync().problems == []
    world.wait(periods.OLD_WORDING_KEPT)
    world.sync()
    assert sorted(c.sid for c in world.contents()) == sorted([sid(world), sid(world, "hi")])


def test_one_failure_does_not_stop_the_others(world: World) -> None:
    world.strike("POST /v1/Content", "http_500")
    result = world.sync()
    assert [problem.partition(":")[0] for problem in result.problems] == ["mood (en)"]
    assert [version.status for version in result.versions] == ["unsubmitted", "received"]


def test_a_refusal_is_reported_once_and_tried_again_at_once(world: World) -> None:
    world.fault("error", "/ApprovalRequests", code=20001)
    first = world.sync()
    assert "refused with 400" in first.problems[0]
    assert world.listeners.alerted == ["problem en"]
    assert "TemplateSyncFailed" not in world.listeners.counts  # Twilio answered, and clearly
    second = world.sync()
    assert (second.problems, second.versions[0].status, second.versions[0].problem) == ([], "received", None)
    assert world.listeners.alerted == ["problem en"]


@pytest.mark.parametrize(("status", "code"), [(401, 20003), (403, 20005), (429, 20429)])
def test_what_is_no_answer_about_the_template_is_not_alerted_as_its_problem(
    world: World, status: int, code: int
) -> None:
    world.fault("error", "/ApprovalRequests", code=code)
    assert f"Twilio answered {status}" in world.sync().problems[0]
    assert world.listeners.alerts == []
    assert world.listeners.counts["TemplateSyncFailed"] == 1  # an hour of these is alarmed instead


def test_no_time_left_leaves_the_rest_to_the_next_sync(world: World) -> None:
    result = world.sync(seconds=14)
    assert len(result.problems) == 2
    assert world.contents() == []
    assert len(world.sync().versions) == 2


def test_a_lease_outlives_the_function_that_holds_it() -> None:
    function = read_template()["Resources"]["TemplateSyncFunction"]["Properties"]
    assert function["Timeout"] * 1000 + 10_000 < periods.SYNC_LEASE


# --- two at once, and deaths -----------------------------------------------------------------------------------------


def test_two_syncs_at_once_make_one_copy_wherever_the_second_comes_in(world: World) -> None:
    world.sync()
    length = len(world.calls)
    world.close()
    for number in range(1, length + 1):
        fresh = World()
        fresh.catalog = Edition([template("mood", OLD, buttons=True)])
        fresh.on_call = lambda n, _, at=number, w=fresh: w.sync() and None if n == at else None
        fresh.sync()
        fresh.on_call = None
        names = [content.friendly_name for content in fresh.contents()]
        assert len(names) == len(set(names)) == 2, f"a second sync at call {number} of {length}"
        assert {content.approval.status for content in fresh.contents()} == {"pending"}
        fresh.close()


def test_a_sync_that_dies_is_healed_wherever_it_died(world: World) -> None:
    world.sync()
    length = len(world.calls)
    world.close()
    for number in range(1, length + 1):
        fresh = World()
        fresh.catalog = Edition([template("mood", OLD, buttons=True)])

        def die(n: int, _: str, at: int = number) -> None:
            if n == at:
                raise Died

        fresh.on_call = die
        with pytest.raises(Died):
            fresh.sync()
        fresh.on_call = None
        fresh.wait(periods.SYNC_LEASE)
        result = fresh.sync()
        assert result.problems == [], f"died at call {number} of {length}"
        assert [version.status for version in result.versions] in (
            ["received"] * 2,
            ["pending", "received"],
            ["pending"] * 2,
        )
        assert len(fresh.contents()) == 2
        fresh.close()


def test_the_next_sync_delivers_an_outbox_that_was_refused(approved: World) -> None:
    approved.review(sid(approved), "paused")
    approved.listeners.broken = True
    approved.sync()
    assert approved.version("mood", "en").status == "paused"
    assert approved.listeners.counts["PublishFailed"] == 1
    approved.listeners.broken = False
    approved.sync()
    approved.sync()
    assert (approved.listeners.heard, approved.listeners.alerted) == (["paused en"], ["paused en"])


def test_the_outbox_survives_a_death_between_storing_and_delivering(approved: World) -> None:
    approved.review(sid(approved), "disabled")

    def die_once_stored(_: int, call: str) -> None:
        if call == "UpdateItem done" and approved.version("mood", "en").status == "disabled":
            raise Died

    approved.on_call = die_once_stored
    with pytest.raises(Died):
        approved.sync()
    approved.on_call = None
    assert approved.listeners.alerts == []
    approved.wait(periods.SYNC_LEASE)
    approved.sync()
    assert (approved.listeners.heard, approved.listeners.alerted) == (["disabled en"], ["disabled en"])


# --- what WhatsApp takes back ----------------------------------------------------------------------------------------


def test_another_category_is_reported_once(approved: World) -> None:
    approved.review(sid(approved), "approved", category="MARKETING")
    for _ in range(2):
        approved.sync()
    assert (approved.listeners.heard, approved.listeners.alerted) == (["category_changed en"], ["category_changed en"])
    assert approved.listeners.events[-1].category == "MARKETING"
    assert serving(approved) == sid(approved)


@pytest.mark.parametrize("status", ["rejected", "paused", "disabled"])
def test_what_a_send_found_out_stands_for_an_hour_against_the_list(approved: World, status: str) -> None:
    approved.wait(MINUTE)
    approved.store.report("mood", sid(approved), status, approved.clock.now())
    assert serving(approved) is None
    approved.sync()  # Twilio's list lags behind: it still says approved
    assert approved.version("mood", "en").status == status
    assert (approved.listeners.heard, approved.listeners.alerted) == ([f"{status} en"], [f"{status} en"])
    approved.wait(HOUR)
    approved.sync()
    assert serving(approved) == sid(approved)
    assert approved.listeners.heard[-1] == "approved en"


def test_evidence_older_than_the_list_changes_nothing(approved: World) -> None:
    sent_at = approved.clock.now()
    approved.wait(2 * HOUR)
    approved.sync()
    approved.store.report("mood", sid(approved), "paused", sent_at)  # the callback was a day late
    assert serving(approved) == sid(approved)


def test_evidence_about_one_that_serves_no_more_changes_nothing(approved: World) -> None:
    approved.review(sid(approved), "disabled")
    approved.sync()
    approved.store.report("mood", sid(approved), "paused", approved.clock.now())
    assert approved.version("mood", "en").status == "disabled"


# --- changed by hand -------------------------------------------------------------------------------------------------


def test_a_copy_deleted_by_hand_is_reported_and_made_anew_only_on_demand(approved: World) -> None:
    gone = sid(approved)
    del approved.account.contents[gone]
    for _ in range(2):
        approved.sync()
    assert serving(approved) is None
    assert (approved.listeners.heard, approved.listeners.alerted) == (["missing en"], ["missing en"])
    assert len(approved.contents()) == 1
    approved.sync(recreate=True)
    assert approved.version("mood", "en").status == "received"
    assert sid(approved) != gone


def test_a_copy_that_only_the_list_lacks_is_not_missing(approved: World) -> None:
    hidden = approved.account.contents.pop(sid(approved))

    def show_again(_: int, call: str) -> None:
        if call == "GET /v1/ContentAndApprovals done":
            approved.account.contents[hidden.sid] = hidden

    approved.on_call = show_again
    result = approved.sync()
    assert f"GET /v1/Content/{hidden.sid}" in approved.calls
    assert (result.problems, approved.version("mood", "en").status) == ([], "approved")


def test_a_copy_without_a_review_that_the_list_lacks_is_not_missing(world: World) -> None:
    """It was made and not submitted, the list lags, and Twilio answers 404 for a review that never was."""
    world.fault("http_500", "/ApprovalRequests", times=2)
    world.sync()
    hidden = world.account.contents.pop(sid(world))

    def show_again(_: int, call: str) -> None:
        if call == "GET /v1/ContentAndApprovals done":
            world.account.contents[hidden.sid] = hidden
        if call == f"GET /v1/Content/{hidden.sid}/ApprovalRequests":
            world.fault("error", "/ApprovalRequests", code=20404)

    world.on_call = show_again
    world.wait(periods.SYNC_LEASE)
    result = world.sync()
    assert (result.problems, world.version("mood", "en").status) == ([], "received")


def test_a_missing_copy_that_appears_again_unsubmitted_is_submitted(world: World) -> None:
    world.fault("http_500", "/ApprovalRequests", times=2)
    world.sync()
    hidden = world.account.contents.pop(sid(world))
    world.wait(periods.SYNC_LEASE)
    world.sync()
    assert world.version("mood", "en").status == "missing"
    world.account.contents[hidden.sid] = hidden
    result = world.sync()
    assert (result.problems, world.version("mood", "en").status, sid(world)) == ([], "received", hidden.sid)


def test_words_changed_by_hand_are_reported_and_not_submitted(world: World) -> None:
    world.fault("http_500", "/ApprovalRequests", times=2)
    world.sync()
    changed = next(content for content in world.contents() if content.language == "en")
    changed.types["twilio/quick-reply"]["body"] = "Hello {{1}}, do visit us again soon!"
    world.wait(periods.SYNC_LEASE)
    for _ in range(2):
        result = world.sync()
    assert [p for p in result.problems if "not ours" in p]
    assert world.listeners.alerted == ["problem en"]
    assert [(v.language, v.status) for v in result.versions] == [("en", "unsubmitted"), ("hi", "pending")]
    assert changed.types["twilio/quick-reply"]["body"].endswith("soon!")


def test_words_changed_by_hand_never_go_out_though_whatsapp_approves_them(world: World) -> None:
    world.fault("http_500", "/ApprovalRequests", times=2)
    world.sync()
    changed = next(content for content in world.contents() if content.language == "en")
    changed.types["twilio/quick-reply"]["body"] = "Hello {{1}}, do visit us again soon!"
    world.gateway.submit(changed.sid, changed.friendly_name, "UTILITY")
    world.review(changed.sid, "approved")
    world.wait(periods.SYNC_LEASE)
    for _ in range(2):
        world.sync()
    assert serving(world) is None
    assert world.version("mood", "en").status == "unsubmitted"
    assert world.listeners.alerted == ["problem en"]


def test_blanks_that_twilio_moved_are_no_change(approved: World) -> None:
    content = approved.account.contents[sid(approved)]
    content.types["twilio/quick-reply"]["body"] += " \r\n"
    assert approved.sync().problems == []


def test_a_stranger_under_our_name_is_reported_and_left_alone(approved: World) -> None:
    types = {"twilio/text": {"body": "Something else entirely"}}
    ours = approved.version("mood", "en").friendly_name
    approved.gateway.create({"friendly_name": ours, "language": "en", "types": types})
    approved.gateway.create({"friendly_name": "mood_en_0123456789ab", "language": "en", "types": types})
    approved.gateway.create({"friendly_name": "moody_en", "language": "en", "types": types})
    for _ in range(2):
        result = approved.sync()
    assert len(result.problems) == 2
    assert approved.listeners.alerted == ["problem en"]
    assert serving(approved) == sid(approved)
    assert len(approved.contents()) == 5


def test_a_stranger_with_our_name_and_other_words_is_not_adopted(world: World) -> None:
    name = world.catalog.get("mood").content("en")["friendly_name"]
    stranger = world.gateway.create(
        {"friendly_name": name, "language": "en", "types": {"twilio/text": {"body": "Buy now"}}}
    )
    world.sync()
    assert sid(world) != stranger


def test_a_word_of_whatsapp_that_we_do_not_know_changes_nothing(approved: World) -> None:
    approved.account.contents[sid(approved)].approval.status = "in_appeal"
    result = approved.sync()
    assert "in_appeal" in result.problems[0]
    assert serving(approved) == sid(approved)


# --- dry run ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_plan_and_changes_nothing(approved: World) -> None:
    approved.review(sid(approved, "hi"), "paused")
    reworded(approved)
    before = (approved.store.versions("mood"), [vars(content) for content in approved.contents()])
    calls = len(approved.calls)
    result = approved.sync(dry_run=True)
    assert {(step.version.language, step.move) for step in result.steps} == {
        ("en", Move.KEEP), ("en", Move.CREATE), ("hi", Move.NOTE),
    }  # fmt: skip
    assert (approved.store.versions("mood"), [vars(content) for content in approved.contents()]) == before
    assert {call for call in approved.calls[calls:] if call.startswith(("POST", "DELETE", "Update", "Put"))} == set()
    assert approved.listeners.events == []
