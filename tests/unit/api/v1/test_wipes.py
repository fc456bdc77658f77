"""Wipes at the API: their shape, a manual request, the stream of events."""

from __future__ import annotations

import json
import re

from tests.fakes.service import UUID_ONE, WIPE_ID
from tests.unit.api.conftest import Face
from wiped.errors import RefusedError
from wiped.model.status import WipeNews


async def test_wipes_have_the_shape_that_scripts_use(face: Face) -> None:
    """The wipe of docs/contract.md; what an artefact was proven via; no seed and no rename target."""
    answer = await face.ask("GET", f"/v1/wipes/{WIPE_ID}")
    wipe = answer.json
    assert {"id", "phone", "state", "trigger", "outcome", "reasons", "residuals", "certificate_id", "started_at", "finished_at", "artefacts"} <= set(wipe)
    assert wipe["artefacts"] == [
        {"id": "a1", "kind": "disk-image", "location": "/srv/phones/one.qcow2", "method": "overwrite", "state": "removed", "outcome": "clear",
         "reasons": [], "bytes_overwritten": 1 << 31, "bytes_verified": 1 << 31, "mismatches": 0, "verified_via": "block-odirect"}
    ]  # fmt: skip
    assert b"ssss" not in answer.body
    assert b".wiped-x" not in answer.body
    assert [item["id"] for item in (await face.ask("GET", "/v1/wipes?phone=phone-one")).json["items"]] == [WIPE_ID]


async def test_a_refused_wipe_answers_every_code(face: Face) -> None:
    """409, the codes, and nothing remembered: the next try asks again."""
    face.service.fails["request_wipe"] = RefusedError("the subscription is active", codes=("subscription-active", "legal-hold"))
    body = {"phone": UUID_ONE, "reason": "r", "confirm": "phone-one"}
    answer = await face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "k"})
    assert (answer.status, answer.json["code"], answer.json["codes"]) == (409, "refused", ["subscription-active", "legal-hold"])
    del face.service.fails["request_wipe"]
    assert (await face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "k"})).status == 202


async def test_events_stream_until_the_end(face: Face) -> None:
    """Server-sent events with a name and a document each."""
    face.service.news = [WipeNews("progress", WIPE_ID, phase="erase", artefact_id="a1", done=5, total=10), WipeNews("end", WIPE_ID, step="released")]
    answer = await face.ask("GET", f"/v1/wipes/{WIPE_ID}/events")
    assert answer.headers["Content-Type"] == "text/event-stream"
    events = re.findall(r"event: (\S+)\ndata: (.*)\n\n", answer.body.decode())
    assert [name for name, _ in events] == ["progress", "end"]
    assert (json.loads(events[0][1])["done"], json.loads(events[1][1])["step"]) == (5, "released")
