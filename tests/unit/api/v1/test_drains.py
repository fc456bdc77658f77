"""Drains at the API."""

from __future__ import annotations

from tests.fakes.service import DRAIN_ID
from tests.unit.api.conftest import Face


async def test_a_drain_is_announced_listed_and_cancelled(face: Face) -> None:
    """Its date needs a zone."""
    body = {"at": "2026-12-31T00:00:00+08:00", "product": "basic", "reason": "the data centre closes"}
    answer = await face.ask("POST", "/v1/drain", json=body)
    assert (answer.status, answer.json["id"], answer.json["at"]) == (201, DRAIN_ID, "2026-12-30T16:00:00Z")
    assert (await face.ask("POST", "/v1/drain", json={**body, "at": "2026-12-31"})).status == 422
    (item,) = (await face.ask("GET", "/v1/drain")).json["items"]
    answer = await face.ask("DELETE", f"/v1/drain/{item['id']}", json={"reason": "stays open"})
    assert (answer.status, answer.json["cancelled_at"] is not None) == (200, True)
