"""The same request twice: done once, answered alike."""

from __future__ import annotations

import asyncio

from tests.fakes.service import UUID_ONE, WIPE_ID
from tests.unit.api.conftest import Face


async def test_a_wipe_is_asked_once_per_idempotency_key(face: Face) -> None:
    """The same key and request answer the same and ask the service once; another request under the key is refused."""
    body = {"phone": UUID_ONE, "reason": "the service has ended", "ticket": "T-1", "confirm": "phone-one"}
    first = await face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "k1"})
    again = await face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "k1"})
    assert (first.status, first.json["id"], first.json) == (202, WIPE_ID, again.json)
    assert [method for method, _ in face.service.asked] == ["request_wipe"]
    other = await face.ask("POST", "/v1/wipes", json={**body, "confirm": "phone-two"}, headers={"Idempotency-Key": "k1"})
    assert (other.status, other.json["code"]) == (422, "bad-input")
    without = await face.ask("POST", "/v1/wipes", json=body)
    assert without.status == 202
    assert [method for method, _ in face.service.asked] == ["request_wipe", "request_wipe"]
    malformed = await face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "two words"})
    assert malformed.status == 422


async def test_concurrent_requests_under_one_key_ask_once(face: Face) -> None:
    """The second waits for the first's answer."""
    body = {"phone": UUID_ONE, "reason": "r", "confirm": "phone-one"}
    answers = await asyncio.gather(*(face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "k"}) for _ in range(8)))
    assert {202} == {answer.status for answer in answers}
    assert [method for method, _ in face.service.asked] == ["request_wipe"]
