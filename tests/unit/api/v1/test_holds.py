"""Legal holds at the API: what goes in reaches the service; what people wrote is answered only to those who may read it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes.service import APPROVAL_ID, HOLD, HOLD_ID, UUID_ONE, WORDS
from tests.unit.api.conftest import Face
from wiped.api.v1.holds import HoldIn, hold_out
from wiped.model.approvals import HoldGround

HELD = {"phone": UUID_ONE, "authority": "District Court", "reference": "AZ-7", "ground": "litigation"}


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


def test_the_grounds_of_a_hold_are_those_of_the_model() -> None:
    """One vocabulary."""
    assert HoldIn.model_fields["ground"].annotation is HoldGround


async def test_holds_show_their_words_to_those_who_may_read_them(face: Face) -> None:
    """An operator sees authority and reference."""
    (hold,) = (await face.ask("GET", "/v1/holds")).json["items"]
    assert (hold["authority"], hold["reference"]) == ("District Court", "AZ-7")


def test_a_hold_without_words_repeats_none_of_them() -> None:
    """Neither the authority nor the reference."""
    said = hold_out(HOLD, words=False).model_dump_json()
    assert not any(word in said for word in ("District Court", "AZ-7", *WORDS.values()))


@pytest.mark.parametrize("account", ["1.38E+10", "#N/A", "cafe\u0301"])
async def test_an_account_that_was_recorded_broken_can_be_held(face: Face, account: str) -> None:
    """A hold only keeps. To wipe or to report by such an account would meet every customer who shares it: refused, with the way by the phone."""
    held = {key: value for key, value in HELD.items() if key != "phone"} | {"account": account}
    assert (await face.ask("POST", "/v1/holds", json=held)).status == 201
    wanted = {"kind": "deletion", "account": account, "reference": "T-1", "confirm": account}
    answer = await face.ask("POST", "/v1/requests", json=wanted)
    assert answer.status == 422
    assert "name it by its UUID" in str(answer.json)
    assert account not in str(answer.json)
