"""The quarantine at the API: listed, tried again, disposed of by two people."""

from __future__ import annotations

import os

import pytest

from tests.fakes.service import APPROVAL_ID, QUARANTINED, UUID_ONE, WIPE_ID
from tests.unit.api.conftest import Face

DISPOSE = {"phone": UUID_ONE, "reason": "burnt", "reference": "CASE-1", "confirm": "phone-one"}


async def test_quarantined_wipes_are_listed_and_retried(face: Face) -> None:
    """A retry names its operator."""
    face.service.made = [QUARANTINED]
    listed = (await face.ask("GET", "/v1/quarantine")).json["items"]
    assert [item["outcome"] for item in listed] == ["not-sanitized"]
    assert (listed[0]["artefacts"][0]["outcome"], listed[0]["artefacts"][0]["reasons"]) == ("not-sanitized", ["io-error"])
    answer = await face.ask("POST", f"/v1/wipes/{WIPE_ID}:retry", headers={"Idempotency-Key": "r"})
    assert (answer.status, answer.json["state"]) == (202, "queued")
    assert face.service.asked[-1][0] == "retry"
    assert face.service.asked[-1][1][0] == UUID_ONE


async def test_who_asks_for_disposal_is_who_the_kernel_says(face: Face) -> None:
    """Name and uid of the peer; root may never approve, whatever its groups; the answer names what another person approves."""
    answer = await face.ask("POST", "/v1/quarantine:dispose", json=DISPOSE)
    assert (answer.status, answer.json["codes"], answer.json["approval"]) == (409, ["needs-approval"], APPROVAL_ID)
    method, words = face.service.asked[-1]
    assert (method, words[:4]) == ("dispose", (UUID_ONE, "burnt", "CASE-1", "phone-one"))
    assert (words[4].uid, words[4].may_approve) == (os.getuid(), False)


@pytest.mark.parametrize("missing", sorted(DISPOSE))
async def test_disposal_needs_every_word(face: Face, missing: str) -> None:
    """None of them has a default."""
    answer = await face.ask("POST", "/v1/quarantine:dispose", json={key: value for key, value in DISPOSE.items() if key != missing})
    assert (answer.status, answer.json["code"]) == (422, "bad-input")
