"""The clock check at the API."""

from __future__ import annotations

from tests.unit.api.conftest import Face
from wiped.errors import InputError


async def test_the_clock_is_shown_and_trusted(face: Face) -> None:
    """What is held against it, and what was."""
    document = (await face.ask("GET", "/v1/clock")).json
    assert (document["suspect"], document["synchronised"], document["since"]) == ("stepped", None, "2026-03-01T12:00:00Z")
    assert "wipectl clock trust --reason" in document["why"]
    answer = (await face.ask("POST", "/v1/clock", json={"reason": "the battery was changed"})).json
    assert (answer["suspect"], answer["was"], answer["why"]) == ("", "stepped", "")


async def test_a_clock_that_is_not_suspect_cannot_be_trusted(face: Face) -> None:
    """What the service calls bad input is 422."""
    face.service.fails["trust_clock"] = InputError("the clock is not suspect", where="clock")
    assert (await face.ask("POST", "/v1/clock", json={"reason": "x"})).status == 422
