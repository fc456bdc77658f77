"""Every route: what goes in reaches the service, what it answers comes out in the shape of docs/contract.md."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.fakes.service import CERTIFICATE_ID, NOW, QUARANTINED, UUID_ONE, UUID_TWO, WIPE_ID, make_audit
from tests.unit.api.conftest import Face
from wiped.api.http.problems import MEDIA_TYPE
from wiped.api.v1.routes import OPERATIONS
from wiped.errors import (
    ConfigError,
    HelperError,
    HypervisorError,
    LedgerError,
    NotAuthorisedError,
    NotSanitizedError,
    RefusedError,
    StorageError,
    VerificationError,
)
from wiped.model.status import WipeNews

ACCOUNT = "customer-4711@example.org"
TERM = {"account": ACCOUNT, "subscription": "s-1", "starts": "2026-01-01T00:00:00Z", "expires": "2026-02-01T08:00:00+08:00"}


async def test_status_shows_the_host(face: Face) -> None:
    """The host at a glance, feed and running wipes included."""
    document = (await face.ask("GET", "/v1/status")).json
    assert (document["host"], document["overdue"], document["feed"]) == ("host-1", 1, {"kind": "local", "age_seconds": 12})
    assert document["running"][0]["eta_seconds"] == 4
    assert document["at"] == "2026-03-01T12:00:00Z"


async def test_phones_are_listed_filtered_and_found_by_name(face: Face) -> None:
    """`state` may be repeated; `name` finds one."""
    assert [item["uuid"] for item in (await face.ask("GET", "/v1/phones")).json["items"]] == [UUID_ONE, UUID_TWO]
    assert [item["uuid"] for item in (await face.ask("GET", "/v1/phones?state=quarantined&state=due")).json["items"]] == [UUID_TWO]
    assert [item["uuid"] for item in (await face.ask("GET", "/v1/phones?name=phone-one")).json["items"]] == [UUID_ONE]
    one = (await face.ask("GET", f"/v1/phones/{UUID_ONE.upper()}")).json
    assert one["next"] == {"state": "grace", "at": "2026-03-04T12:00:00Z"}


async def test_plan_and_explain_have_the_shapes_that_scripts_use(face: Face) -> None:
    """docs/contract.md, "JSON of the commands that scripts use most"."""
    plan = (await face.ask("GET", f"/v1/phones/{UUID_TWO}/plan")).json
    assert {"phone", "fingerprint", "expected_outcome", "steps", "retained", "refusals", "residuals"} <= set(plan)
    assert plan["steps"][0]["artefact"] == {
        "id": "a1", "kind": "disk-image", "location": "/srv/phones/one.qcow2", "format": "qcow2", "virtual_bytes": 1 << 34,
        "allocated_bytes": 1 << 31, "device": 2049, "inode": 77,
    }  # fmt: skip
    assert plan["refusals"] == [{"code": "hard-link", "location": "/srv/phones/one.qcow2", "detail": "the file has 2 links"}]
    explain = (await face.ask("GET", f"/v1/phones/{UUID_ONE}/explain")).json
    assert {"phone", "state", "flags", "since", "next", "reasons", "holds", "requests", "approvals", "subscription", "wipes"} <= set(explain)
    assert (explain["state"], explain["wipes"]) == ("grace", [WIPE_ID])


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


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"account": 1, "account": 2}', b"[" * 40_000])
async def test_a_body_that_is_no_json_is_malformed(face: Face, body: bytes) -> None:
    """400, whatever the bytes."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", data=body)
    assert (answer.status, answer.json["code"]) == (400, "malformed")
    assert face.service.asked == []


async def test_a_body_that_is_no_object_is_bad_input(face: Face) -> None:
    """422."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", data=b"[]")
    assert (answer.status, answer.json["code"]) == (422, "bad-input")


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


async def test_a_refused_wipe_answers_every_code(face: Face) -> None:
    """409, the codes, and nothing remembered: the next try asks again."""
    face.service.fails["request_wipe"] = RefusedError("the subscription is active", codes=("subscription-active", "legal-hold"))
    body = {"phone": UUID_ONE, "reason": "r", "confirm": "phone-one"}
    answer = await face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "k"})
    assert (answer.status, answer.json["code"], answer.json["codes"]) == (409, "refused", ["subscription-active", "legal-hold"])
    del face.service.fails["request_wipe"]
    assert (await face.ask("POST", "/v1/wipes", json=body, headers={"Idempotency-Key": "k"})).status == 202


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (HypervisorError("libvirt is down"), 503, "hypervisor-failure"),
        (HelperError("the eraser died"), 503, "helper-failure"),
        (LedgerError("disk full"), 503, "ledger-failure"),
        (StorageError("bad sector", reason="io-error"), 503, "storage-failure"),
        (NotSanitizedError("unproven", reasons=("io-error",)), 409, "not-sanitized"),
        (NotAuthorisedError("no"), 403, "not-authorised"),
        (VerificationError("no"), 500, "verification-failed"),
        (ConfigError("no"), 500, "configuration"),
        (ZeroDivisionError(ACCOUNT), 500, "unexpected"),
    ],
)
async def test_every_error_becomes_one_problem_document(face: Face, error: Exception, status: int, code: str) -> None:
    """RFC 9457 with our code; what nobody expected says nothing of itself."""
    face.service.fails["plan"] = error
    answer = await face.ask("GET", f"/v1/phones/{UUID_ONE}/plan")
    assert (answer.status, answer.headers["Content-Type"].split(";")[0], answer.json["code"]) == (status, MEDIA_TYPE, code)
    assert answer.json["type"] == f"urn:wiped:problem:{code}"
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert ACCOUNT.encode() not in answer.body


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "no-such-route"),
        ("DELETE", "/v1/status", 405, "method-not-allowed"),
        ("GET", "/v1/phones/not-a-uuid/plan", 404, "not-found"),
        ("GET", f"/v1/wipes/{UUID_TWO}", 404, "not-found"),
        ("GET", f"/v1/wipes/{UUID_TWO}/events", 404, "not-found"),
        ("GET", "/v1/wipes/..%2f..%2fetc", 404, "no-such-route"),
        ("GET", "/v1/audit?limit=x", 422, "bad-input"),
        ("GET", "/v1/audit?limit=1001", 422, "bad-input"),
        ("GET", "/v1/audit?after=99999999999999999999", 422, "bad-input"),
        ("GET", "/v1/phones?name=nobody", 404, "not-found"),
    ],
)
async def test_what_is_not_there_is_said_so(face: Face, method: str, path: str, status: int, code: str) -> None:
    """aiohttp's own refusals are problem documents too."""
    answer = await face.ask(method, path)
    assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_body_that_is_too_large_is_cut_off(face: Face) -> None:
    """413, told by its length and told by its bytes."""
    answer = await face.ask("PUT", f"/v1/phones/{UUID_ONE}/subscription", data=b"x" * 70_000)
    assert (answer.status, answer.json["code"]) == (413, "too-large")

    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(20):
            yield b"x" * 8_192

    answer = await face.ask("POST", "/v1/wipes", data=pieces())
    assert (answer.status, answer.json["code"]) == (413, "too-large")


async def test_events_stream_until_the_end(face: Face) -> None:
    """Server-sent events with a name and a document each."""
    face.service.news = [WipeNews("progress", WIPE_ID, phase="erase", artefact_id="a1", done=5, total=10), WipeNews("end", WIPE_ID, step="released")]
    answer = await face.ask("GET", f"/v1/wipes/{WIPE_ID}/events")
    assert answer.headers["Content-Type"] == "text/event-stream"
    events = re.findall(r"event: (\S+)\ndata: (.*)\n\n", answer.body.decode())
    assert [name for name, _ in events] == ["progress", "end"]
    assert (json.loads(events[0][1])["done"], json.loads(events[1][1])["step"]) == (5, "released")


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


async def test_a_certificate_comes_byte_for_byte(face: Face) -> None:
    """By its own id and by its wipe's."""
    for identifier in (CERTIFICATE_ID, WIPE_ID):
        answer = await face.ask("GET", f"/v1/certificates/{identifier}")
        assert answer.body == face.service.envelope
    assert (await face.ask("GET", "/v1/key")).body == face.service.pem


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 25])
async def test_the_last_audit_entries_are_found_in_a_log_of_any_length(face: Face, count: int) -> None:
    """`last` counts from the end; `after` pages on."""
    face.service.entries = make_audit(count)
    last = (await face.ask("GET", "/v1/audit?last=3")).json["items"]
    assert [entry.seq for entry in face.service.entries][-3:] == [item["seq"] for item in last]
    page = (await face.ask("GET", "/v1/audit?after=2&limit=2")).json["items"]
    assert [entry.seq for entry in face.service.entries][2:4] == [item["seq"] for item in page]


async def test_readiness_says_what_is_missing(face: Face) -> None:
    """200 and 503; alive all the while."""
    assert (await face.ask("GET", "/readyz")).status == 200
    face.service.checks["libvirt"] = "down"
    answer = await face.ask("GET", "/readyz")
    assert (answer.status, answer.json["checks"]["libvirt"]) == (503, "down")
    assert (await face.ask("GET", "/healthz")).status == 200


async def test_openapi_describes_every_route_and_resolves(face: Face) -> None:
    """3.1, every operation, every reference has its schema, no example holds an account."""
    document = (await face.ask("GET", "/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])
    assert document["components"]["schemas"]["SubscriptionIn"]["properties"]["account"]["writeOnly"] is True
    assert f"{NOW:%Y}" not in json.dumps(document["components"]["schemas"]["SubscriptionIn"])
