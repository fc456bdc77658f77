"""Requests at the API: what goes in reaches the service; what people wrote is answered only to those who may read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.service import APPROVAL_ID, REQUEST, REQUEST_ID, UUID_ONE, WORDS
from tests.unit.api.conftest import Face
from wiped.api.v1.requests import RequestIn, request_out
from wiped.model.approvals import ASKED

ACCOUNT = "customer-4711@example.org"
REQUESTED = {"phone": UUID_ONE, "kind": "deletion", "ground": "no-consent", "reference": "CASE-7", "confirm": "phone-one"}


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
    kept = json.dumps(face.service.remembered)
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


async def test_requests_show_their_words_to_those_who_may_read_them(face: Face) -> None:
    """An operator sees reference and reason; the phone may be named."""
    (request,) = (await face.ask("GET", "/v1/requests", params={"phone": "phone-one"})).json["items"]
    assert (request["reference"], request["reason"]) == ("CASE-7", "wrote a letter")
    assert face.service.asked[-1] == ("requests", (UUID_ONE,))


def test_a_request_without_words_repeats_none_of_them() -> None:
    """Neither the reference nor the reason."""
    said = request_out(UUID_ONE, REQUEST, {}).model_dump_json()
    assert not any(word in said for word in ("District Court", "AZ-7", *WORDS.values()))
