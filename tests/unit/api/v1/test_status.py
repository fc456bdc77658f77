"""The daemon itself at the API."""

from __future__ import annotations

from tests.unit.api.conftest import Face


async def test_status_shows_the_host(face: Face) -> None:
    """The host at a glance, feed and running wipes included."""
    document = (await face.ask("GET", "/v1/status")).json
    assert (document["host"], document["overdue"], document["feed"]) == ("host-1", 1, {"kind": "local", "age_seconds": 12})
    assert document["running"][0]["eta_seconds"] == 4
    assert document["at"] == "2026-03-01T12:00:00Z"


async def test_readiness_says_what_is_missing(face: Face) -> None:
    """200 and 503; alive all the while."""
    assert (await face.ask("GET", "/readyz")).status == 200
    face.service.checks["libvirt"] = "down"
    answer = await face.ask("GET", "/readyz")
    assert (answer.status, answer.json["checks"]["libvirt"]) == (503, "down")
    assert (await face.ask("GET", "/healthz")).status == 200
