"""Bodies: bounded, strict JSON, whatever the route; and the requester as the rules see them."""

from __future__ import annotations

import pytest

from tests.fakes.service import UUID_ONE
from tests.unit.api.conftest import Face
from wiped.api.http.bodies import may_read, person_of
from wiped.api.http.identity import Caller, Role
from wiped.model.approvals import Person


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"account": 1, "account": 2}', b"[" * 40_000])
async def test_a_body_that_is_no_json_is_malformed(face: Face, body: bytes) -> None:
    """400, whatever the bytes."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", data=body)
    assert (answer.status, answer.json["code"]) == (400, "malformed")
    assert face.service.asked == []


async def test_a_body_that_is_no_object_is_bad_input(face: Face) -> None:
    """422."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", data=b"[]")
    assert (answer.status, answer.json["code"]) == (422, "bad-input")


async def test_a_body_that_is_too_large_is_cut_off(face: Face) -> None:
    """413, told by its length and told by its bytes."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", data=b"x" * 70_000)
    assert (answer.status, answer.json["code"]) == (413, "too-large")

    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(20):
            yield b"x" * 8_192

    answer = await face.ask("POST", "/v1/wipes", data=pieces())
    assert (answer.status, answer.json["code"]) == (413, "too-large")


def test_viewers_read_no_words() -> None:
    """Operators, approvers and auditors do."""
    assert not may_read(Caller("eve", 1001, frozenset({Role.VIEWER})))
    assert all(may_read(Caller("ann", 1000, frozenset({role}))) for role in (Role.OPERATOR, Role.APPROVER, Role.AUDITOR))


def test_root_and_those_without_the_role_approve_nothing() -> None:
    """The person that the rules see is made of the kernel's word."""
    both = frozenset({Role.OPERATOR, Role.APPROVER})
    assert person_of(Caller("ann", 1000, both)) == Person("ann", 1000, may_approve=True)
    assert person_of(Caller("root", 0, both)) == Person("root", 0, may_approve=False)
    assert person_of(Caller("bob", 1001, frozenset({Role.OPERATOR}))) == Person("bob", 1001, may_approve=False)
