"""Suspension, requests, holds, approvals, drains and reports at the API: what goes in reaches the service, and who asks; what people wrote stays theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes.promises import APPROVAL, APPROVAL_ID, DRAIN_ID, HOLD, HOLD_ID, REQUEST, REQUEST_ID, WORDS
from tests.fakes.service import NOW, UUID_ONE, make_phone
from tests.unit.api.conftest import Face
from wiped.api.asks import HoldIn, RequestIn, approval_out, hold_out, request_out
from wiped.api.http.bodies import may_read, person_of
from wiped.api.http.identity import Caller, Role
from wiped.api.v1.explain import explain_out
from wiped.errors import RefusedError
from wiped.model.approvals import ASKED, ApprovalKind, HoldGround, Person
from wiped.model.status import Explanation
from wiped.model.subscription import Action, Decision, Reason, State

ACCOUNT = "customer-4711@example.org"
REQUESTED = {"phone": UUID_ONE, "kind": "deletion", "ground": "no-consent", "reference": "CASE-7", "confirm": "phone-one"}
HELD = {"phone": UUID_ONE, "authority": "District Court", "reference": "AZ-7", "ground": "litigation"}


@pytest.mark.parametrize("verb", ["suspend", "resume", "protect", "unprotect"])
async def test_a_phone_is_marked(face: Face, verb: str) -> None:
    """The reason and the caller reach the service; the phone comes back."""
    answer = await face.ask("POST", f"/v1/phones/{UUID_ONE}:{verb}", json={"reason": "why not"})
    assert (answer.status, answer.json["uuid"]) == (200, UUID_ONE)
    method, (uuid, reason, person) = face.service.asked[-1]
    assert (method, uuid, reason, person.may_approve) == (verb, UUID_ONE, "why not", False)
    assert ("suspended" in answer.json["flags"]) == (verb == "suspend")


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "more": 1}])
async def test_a_mark_takes_a_reason_and_nothing_else(face: Face, body: dict[str, Any]) -> None:
    """And reaches nobody without."""
    answer = await face.ask("POST", f"/v1/phones/{UUID_ONE}:suspend", json=body)
    assert (answer.status, face.service.asked) == (422, [])


async def test_a_request_is_recorded_and_says_who_has_to_act(face: Face) -> None:
    """The answer bears its id, its parts, and what the other person types; none of the words."""
    answer = await face.ask("POST", "/v1/requests", json=REQUESTED)
    assert (answer.status, answer.json["id"], answer.json["approval"]["command"]) == (201, REQUEST_ID, f"wipectl approvals approve {APPROVAL_ID}")
    assert face.service.asked[-1][1][:7] == ("deletion", "no-consent", UUID_ONE, None, "CASE-7", "", "phone-one")
    assert b"CASE-7" not in answer.body


async def test_a_request_on_an_account_never_shows_the_reference(face: Face) -> None:
    """Not in the answer, not in what is remembered for the key; its requests share one id."""
    body = {"account": ACCOUNT, "kind": "cancellation", "reference": "CASE-8", "confirm": ACCOUNT}
    answer = await face.ask("POST", "/v1/requests", json=body, headers={"Idempotency-Key": "k1"})
    assert (answer.status, answer.json["id"], answer.json["items"][0]["id"]) == (201, REQUEST_ID, f"{REQUEST_ID}:1")
    assert face.service.asked[-1][1][:4] == ("cancellation", "account-cancelled", "", ACCOUNT)
    kept = json.dumps(face.service.answers)
    assert ACCOUNT not in kept
    assert "CASE-8" not in kept
    again = await face.ask("POST", "/v1/requests", json=body, headers={"Idempotency-Key": "k1"})
    other = await face.ask("POST", "/v1/requests", json={**body, "account": "another"}, headers={"Idempotency-Key": "k1"})
    assert (again.json, other.status, len(face.service.asked)) == (answer.json, 422, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"phone": None}, {"account": ACCOUNT}, {"ground": "litigation"}, {"ground": None}, {"kind": "manual"}, {"kind": "drain"}, {"reference": ""},
        {"confirm": None}, {"phone": "phone-one"}, {"more": 1},
    ],
)  # fmt: skip
async def test_anything_else_is_no_request(face: Face, change: dict[str, Any]) -> None:
    """A phone or an account, a kind that people ask for, a ground that it has; no fault repeats the account."""
    body = {key: value for key, value in {**REQUESTED, **change}.items() if value is not None}
    answer = await face.ask("POST", "/v1/requests", json=body)
    assert (answer.status, answer.json["code"], face.service.asked) == (422, "bad-input", [])
    assert ACCOUNT.encode() not in answer.body


def test_the_kinds_are_those_that_people_ask_for() -> None:
    """One vocabulary."""
    assert set(RequestIn.model_fields["kind"].annotation.__args__) == set(ASKED)  # type: ignore[union-attr]
    assert HoldIn.model_fields["ground"].annotation is HoldGround


async def test_a_hold_is_added_and_its_release_takes_another(face: Face) -> None:
    """What is not to be told to the subject follows from the ground; the refusal names the approval."""
    answer = await face.ask("POST", "/v1/holds", json={**HELD, "ground": "criminal-investigation", "until": "2027-01-01T00:00:00Z"})
    assert (answer.status, answer.json["id"], answer.json["disclose"], answer.json["authority"]) == (201, HOLD_ID, False, "")
    assert face.service.asked[-1][1][:7] == (
        UUID_ONE, None, "District Court", "AZ-7", "criminal-investigation", datetime(2027, 1, 1, tzinfo=UTC), False
    )  # fmt: skip
    answer = await face.ask("DELETE", f"/v1/holds/{HOLD_ID}", json={"reason": "lifted"})
    assert (answer.status, answer.json["codes"], answer.json["approval"]) == (409, ["needs-approval"], APPROVAL_ID)


@pytest.mark.parametrize("change", [{"ground": "because"}, {"authority": ""}, {"reference": None}, {"until": "tomorrow"}, {"disclose": "no"}])
async def test_anything_else_is_no_hold(face: Face, change: dict[str, Any]) -> None:
    """Grounds are a closed list (R9)."""
    body = {key: value for key, value in {**HELD, **change}.items() if value is not None}
    assert (await face.ask("POST", "/v1/holds", json=body)).status == 422
    assert face.service.asked == []


async def test_lists_show_the_words_to_those_who_may_read_them(face: Face) -> None:
    """An operator sees authority, reference and reason."""
    (hold,) = (await face.ask("GET", "/v1/holds")).json["items"]
    (request,) = (await face.ask("GET", "/v1/requests", params={"phone": "phone-one"})).json["items"]
    assert (hold["authority"], hold["reference"], request["reference"], request["reason"]) == ("District Court", "AZ-7", "CASE-7", "wrote a letter")
    assert face.service.asked[-1] == ("requests", (UUID_ONE,))


def test_viewers_read_no_words() -> None:
    """Neither a hold's nor a request's."""
    assert not may_read(Caller("eve", 1001, frozenset({Role.VIEWER})))
    assert all(may_read(Caller("ann", 1000, frozenset({role}))) for role in (Role.OPERATOR, Role.APPROVER, Role.AUDITOR))
    said = hold_out(HOLD, words=False).model_dump_json() + request_out(UUID_ONE, REQUEST, {}).model_dump_json()
    assert not any(word in said for word in ("District Court", "AZ-7", *WORDS.values()))


def test_root_and_those_without_the_role_approve_nothing() -> None:
    """The person that the rules see is made of the kernel's word."""
    both = frozenset({Role.OPERATOR, Role.APPROVER})
    assert person_of(Caller("ann", 1000, both)) == Person("ann", 1000, may_approve=True)
    assert person_of(Caller("root", 0, both)) == Person("root", 0, may_approve=False)
    assert person_of(Caller("bob", 1001, frozenset({Role.OPERATOR}))) == Person("bob", 1001, may_approve=False)


async def test_approvals_are_listed_shown_and_rejected(face: Face) -> None:
    """A rejection needs a reason; approving needs the role, which operators have not."""
    (item,) = (await face.ask("GET", "/v1/approvals")).json["items"]
    assert (await face.ask("GET", f"/v1/approvals/{APPROVAL_ID}")).json == item
    assert (await face.ask("GET", "/v1/approvals/other")).status == 404
    assert (await face.ask("POST", f"/v1/approvals/{APPROVAL_ID}", json={"decision": "reject"})).status == 422
    answer = await face.ask("POST", f"/v1/approvals/{APPROVAL_ID}", json={"decision": "reject", "reason": "no"})
    assert (answer.status, answer.json["state"], answer.json["command"]) == (200, "rejected", "")
    before = len(face.service.asked)
    answer = await face.ask("POST", f"/v1/approvals/{APPROVAL_ID}", json={"decision": "approve", "fingerprint": APPROVAL.fingerprint})
    assert (answer.status, answer.json["code"], len(face.service.asked)) == (403, "not-authorised", before)


async def test_a_drain_is_announced_listed_and_cancelled(face: Face) -> None:
    """Its date needs a zone."""
    body = {"at": "2026-12-31T00:00:00+08:00", "product": "basic", "reason": "the data centre closes"}
    answer = await face.ask("POST", "/v1/drain", json=body)
    assert (answer.status, answer.json["id"], answer.json["at"]) == (201, DRAIN_ID, "2026-12-30T16:00:00Z")
    assert (await face.ask("POST", "/v1/drain", json={**body, "at": "2026-12-31"})).status == 422
    (item,) = (await face.ask("GET", "/v1/drain")).json["items"]
    answer = await face.ask("DELETE", f"/v1/drain/{item['id']}", json={"reason": "stays open"})
    assert (answer.status, answer.json["cancelled_at"] is not None) == (200, True)


async def test_a_subject_report_comes_as_json_and_as_a_page(face: Face) -> None:
    """Never cached; never remembered for a key, since it is personal."""
    body = {"account": ACCOUNT}
    answer = await face.ask("POST", "/v1/reports/subject", json=body, headers={"Idempotency-Key": "k2"})
    assert (answer.status, answer.json["kind"], answer.headers["Cache-Control"], face.service.answers) == (200, "subject", "no-store", {})
    page = await face.ask("POST", "/v1/reports/subject", json={**body, "format": "html"})
    assert (page.status, page.headers["Content-Type"], b"<title>What this host holds on one account" in page.body) == (200, "text/html; charset=utf-8", True)


async def test_a_period_report_has_two_ends(face: Face) -> None:
    """In order, with zones; a + of an offset that a client did not encode is meant."""
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    assert (await face.ask("GET", "/v1/reports/period", params=span)).json["kind"] == "period"
    assert face.service.asked[-1] == ("period_report", (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)))
    for wrong in ({"from": span["from"]}, {"from": span["to"], "to": span["from"]}, {**span, "format": "pdf"}, {**span, "to": "2026-02-01"}):
        assert (await face.ask("GET", "/v1/reports/period", params=wrong)).status == 422
    answer = await face.ask("GET", "/v1/reports/period?from=2026-01-01T00:00:00+08:00&to=2026-02-01T00:00:00Z&format=html")
    assert answer.status == 200


async def test_needs_approval_of_any_route_names_the_approval(face: Face) -> None:
    """So that the face can say what the second person types."""
    face.service.fails["request_wipe"] = RefusedError("takes two", codes=("subscription-active", "needs-approval"), approval=APPROVAL_ID)
    answer = await face.ask("POST", "/v1/wipes", json={"phone": UUID_ONE, "reason": "r", "confirm": "phone-one"})
    assert (answer.status, answer.json["approval"]) == (409, APPROVAL_ID)


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


def test_a_viewer_is_not_told_what_an_approval_was_given() -> None:
    """Neither the path of an image nor the reference of a decision: they may name somebody."""
    asked = replace(APPROVAL, kind=ApprovalKind.CLASSIFY, subject="/srv/of-jane.qcow2", terms={"inode": "7"})
    assert (approval_out(asked).subject, approval_out(asked).terms) == ("/srv/of-jane.qcow2", {"inode": "7"})
    assert "jane" not in approval_out(asked, words=False).model_dump_json()
    disposal = replace(APPROVAL, kind=ApprovalKind.DISPOSE, terms={"reference": "of Jane"})
    assert "Jane" not in approval_out(disposal, words=False).model_dump_json()
    assert approval_out(disposal, words=False).subject == APPROVAL.subject
