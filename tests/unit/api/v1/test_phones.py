"""Phones at the API: listed, found, and marked; the reason and the requester reach the service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.service import UUID_ONE, UUID_TWO
from tests.unit.api.conftest import Face


async def test_phones_are_listed_filtered_and_found_by_name(face: Face) -> None:
    """`state` may be repeated; `name` finds one."""
    assert [item["uuid"] for item in (await face.ask("GET", "/v1/phones")).json["items"]] == [UUID_ONE, UUID_TWO]
    assert [item["uuid"] for item in (await face.ask("GET", "/v1/phones?state=quarantined&state=due")).json["items"]] == [UUID_TWO]
    assert [item["uuid"] for item in (await face.ask("GET", "/v1/phones?name=phone-one")).json["items"]] == [UUID_ONE]
    one = (await face.ask("GET", f"/v1/phones/{UUID_ONE.upper()}")).json
    assert one["next"] == {"state": "grace", "at": "2026-03-04T12:00:00Z"}


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
