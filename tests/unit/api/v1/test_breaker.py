"""The circuit breaker at the API: what goes in reaches the service; reasons are answered to nobody."""

from __future__ import annotations

import pytest

from tests.fakes.service import APPROVAL_ID, HOSTILE_NAME, UUID_ONE, UUID_TWO
from tests.unit.api.conftest import Face
from wiped.errors import RefusedError


async def test_the_breaker_names_its_phones_and_says_what_to_do(face: Face) -> None:
    """The numbers, the set, its fingerprint, the sentence."""
    document = (await face.ask("GET", "/v1/breaker")).json
    assert (document["open"], document["newly_due"], document["limit"], document["bound"], document["window_seconds"]) == (True, 6, 5, 20, 3_600)
    assert [(item["uuid"], item["name"]) for item in document["phones"]] == [(UUID_ONE, "phone-one"), (UUID_TWO, HOSTILE_NAME)]
    assert document["fingerprint"] == "ef" * 32
    assert "wipectl breaker release --reason" in document["why"]


async def test_a_release_is_a_wish_that_names_its_approval(face: Face) -> None:
    """The set and the reason reach the service; the answer says what another person approves, and does not repeat the reason."""
    body = {"reason": "Customer Jane left", "fingerprint": "ef" * 32}
    first = await face.ask("POST", "/v1/breaker", json=body)
    assert (first.status, first.json["codes"], first.json["approval"]) == (409, ["needs-approval"], APPROVAL_ID)
    assert face.service.asked[-1][1][:2] == ("ef" * 32, "Customer Jane left")
    assert b"Jane" not in first.body
    assert (await face.ask("GET", "/v1/breaker")).json["open"] is True


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "fingerprint": "no"}, {"reason": "x", "force": True}])
async def test_a_release_without_a_reason_or_with_nonsense_is_refused(face: Face, body: dict[str, object]) -> None:
    """422, and the service is not asked."""
    assert (await face.ask("POST", "/v1/breaker", json=body)).status == 422
    assert "release_breaker" not in [what for what, _ in face.service.asked]


async def test_a_release_that_the_service_refuses_is_a_problem(face: Face) -> None:
    """Another set of phones waits."""
    face.service.fails["release_breaker"] = RefusedError("other phones wait", codes=("drift",))
    answer = await face.ask("POST", "/v1/breaker", json={"reason": "x"})
    assert (answer.status, answer.json["codes"]) == (409, ["drift"])
