"""Subscriptions at the API: set, imported, and the account's reference answered never."""

from __future__ import annotations

import json

import pytest

from tests.fakes.service import UUID_ONE, UUID_TWO
from tests.unit.api.conftest import Face

ACCOUNT = "customer-4711@example.org"
TERM = {"account": ACCOUNT, "subscription": "s-1", "starts": "2026-01-01T00:00:00Z", "expires": "2026-02-01T08:00:00+08:00"}


async def test_a_subscription_is_set_and_the_reference_never_answered(face: Face) -> None:
    """The service gets the reference wrapped; the answer holds a pseudonym; times become UTC."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", json=TERM)
    assert answer.status == 200
    (_, (record, operator)) = face.service.asked[-1]
    assert (record.account.value, record.uuid, record.expires_at.isoformat()) == (ACCOUNT, UUID_ONE, "2026-02-01T00:00:00+00:00")
    assert operator
    assert ACCOUNT.encode() not in answer.body
    assert ACCOUNT not in repr(face.service.asked)
    assert answer.json["expires"] == "2026-02-01T00:00:00Z"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"expires": "2026-02-01T00:00:00"}, "expires"),
        ({"expires": "2025-02-01T00:00:00Z"}, "expires"),
        ({"expires": ""}, "expires"),
        ({"expires": None}, "expires"),
        ({"expires": 1769904000}, "expires"),
        ({"starts": "2026-02-30T00:00:00Z"}, "starts"),
        ({"account": ""}, "account"),
        ({"account": "  "}, "account"),
        ({"account": "a\nb"}, "account"),
        ({"account": 7}, "account"),
        ({"account": "x" * 300}, "account"),
        ({"minor": "yes"}, "minor"),
        ({"policy": "Not A Name"}, "policy"),
        ({"subscription": "\x1b[2J"}, "subscription"),
        ({ACCOUNT: "swapped"}, "body"),
    ],
)
async def test_a_bad_subscription_is_refused_with_its_place(face: Face, change: dict[str, object], where: str) -> None:
    """422 with the field; nothing reaches the service; no value, and no unknown key, is repeated."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", json={**TERM, **change})
    assert (answer.status, answer.json["code"]) == (422, "bad-input")
    assert answer.json["detail"].startswith(where)
    assert face.service.asked == []
    assert ACCOUNT.encode() not in answer.body
    assert b"x" * 300 not in answer.body


async def test_an_import_is_all_or_nothing_with_line_numbers(face: Face) -> None:
    """CSV and JSON lines in; a bad line names itself and nothing is imported."""
    header = "phone,account,subscription,starts,expires\n"
    good = f"{UUID_ONE},{ACCOUNT},s-1,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n"
    answer = await face.ask("POST", "/v1/subscriptions:import", data=header + good, headers={"Content-Type": "text/csv"})
    assert (answer.status, answer.json["imported"]) == (200, 1)
    assert ACCOUNT.encode() not in answer.body
    face.service.asked.clear()
    bad = header + good + f"{UUID_TWO},{ACCOUNT},s-2,2026-01-01T00:00:00Z,\n"
    answer = await face.ask("POST", "/v1/subscriptions:import", data=bad, headers={"Content-Type": "text/csv"})
    assert (answer.status, answer.json["faults"][0]["where"]) == (422, "line 3")
    assert face.service.asked == []
    assert ACCOUNT.encode() not in answer.body
    row = {"phone": UUID_TWO, **TERM}
    answer = await face.ask("POST", "/v1/subscriptions:import", data=json.dumps(row), headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status, answer.json["imported"]) == (200, 1)
    answer = await face.ask("POST", "/v1/subscriptions:import", data=b"x", headers={"Content-Type": "image/png"})
    assert (answer.status, answer.json["code"]) == (415, "unsupported-media-type")


async def test_a_truth_value_is_taken_in_the_words_that_an_import_takes(face: Face) -> None:
    """true and "true" are one; a number is neither, and the fault names the key."""
    base = {"account": "acc-1", "subscription": "s-1", "starts": "2026-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00Z"}
    path = f"/v1/phones/{UUID_ONE}/subscription"
    answers = [(await face.ask("PUT", path, json={**base, "minor": value})) for value in (True, "true", " False ", 1, "yes", None)]
    assert [each.status for each in answers] == [200, 200, 200, 422, 422, 422]
    assert answers[3].json["faults"] == [{"where": "minor", "reason": "must be true or false"}]
