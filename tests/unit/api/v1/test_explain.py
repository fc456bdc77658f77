"""Explanations at the API: every reason, and the same in sentences."""

from __future__ import annotations

from tests.fakes.service import APPROVAL, APPROVAL_ID, HOLD, HOLD_ID, NOW, REQUEST, REQUEST_ID, UUID_ONE, WIPE_ID, WORDS, make_phone
from tests.unit.api.conftest import Face
from wiped.api.v1.explain import explain_out
from wiped.model.status import Explanation, Mark
from wiped.model.subscription import Action, Decision, Reason, State


async def test_an_explanation_has_the_shape_that_scripts_use(face: Face) -> None:
    """docs/contract.md, "JSON of the commands that scripts use most"."""
    explain = (await face.ask("GET", f"/v1/phones/{UUID_ONE}/explain")).json
    assert {"phone", "state", "flags", "since", "next", "reasons", "holds", "requests", "approvals", "subscription", "wipes"} <= set(explain)
    assert (explain["state"], explain["wipes"]) == ("grace", [WIPE_ID])


def test_the_story_tells_why_who_and_when() -> None:
    """Holds, requests, approvals and drains, each in a sentence; the next state with its time; the words only for those who may read them."""
    reasons = (Reason("held", "a legal hold forbids erasing", NOW),)
    decision = Decision(State.DUE, (), Action.FENCE, NOW, State.DUE, reasons, overdue_at=NOW)
    told = Explanation(make_phone(), decision, None, (HOLD,), (REQUEST,), (), (APPROVAL,), (), {REQUEST_ID: WORDS})
    document = explain_out(told, words=True)
    story = " ".join(document.story)
    for part in (
        "The phone is due since 2026-03-01T12:00:00Z.",
        "A legal hold forbids erasing.",
        f"Legal hold {HOLD_ID} (litigation) forbids erasing it until 2026-03-31T12:00:00Z.",
        f"Request {REQUEST_ID}: deletion (no-consent), asked by ann",
        f"Approval {APPROVAL_ID} (wipe) waits for one other person",
        "Now: it is stopped and fenced, its data is kept.",
        "Next: it becomes due at 2026-03-01T12:00:00Z.",
        "The promise: its data is gone by",
    ):
        assert part in story, part
    assert (document.requests[0].reference, document.holds[0].authority) == ("CASE-7", "District Court")
    silent = explain_out(told, words=False).model_dump_json()
    assert not any(word in silent for word in ("District Court", "AZ-7", *WORDS.values()))


def test_marks_are_told_with_their_reason_only_to_those_who_may_read_it() -> None:
    """Who suspended or protected the phone last, and when, stands in the story for everybody."""
    decision = Decision(State.ACTIVE, (), Action.NONE, None, None, ())
    marks = (Mark("protected", True, "a court asked", "bob", NOW), Mark("suspended", False, "a false alarm", "ann", NOW))
    told = Explanation(make_phone(), decision, None, (), (), (), marks=marks)
    document = explain_out(told, words=True)
    assert [(mark.kind, mark.on, mark.operator, mark.reason) for mark in document.marks] == [
        ("protected", True, "bob", "a court asked"),
        ("suspended", False, "ann", "a false alarm"),
    ]
    assert "Protected by bob at 2026-03-01T12:00:00Z." in document.story
    assert "Resumed by ann at 2026-03-01T12:00:00Z." in document.story
    silent = explain_out(told, words=False).model_dump_json()
    assert "Protected by bob" in silent
    assert not any(word in silent for word in ("a court asked", "a false alarm"))
