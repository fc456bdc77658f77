"""The description of the API."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from tests.fakes.service import CERTIFICATE_ID, NOW
from tests.unit.api.conftest import Face
from wiped.api.http.openapi import Operation
from wiped.api.v1.routes import OPERATIONS


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


def _said(document: Any, operation: Operation, status: int) -> dict[str, Any]:
    """Media type -> schema of an answer."""
    content = document["paths"][operation.path][operation.method.lower()]["responses"][str(status)]["content"]
    return {media: each["schema"] for media, each in content.items()}


async def test_what_is_answered_has_the_type_that_is_described(face: Face) -> None:
    """Certificates are JSON objects, reports also pages, and `/readyz` answers its own document when it is not ready."""
    document = (await face.ask("GET", "/openapi.json")).json
    of_name = {operation.name: operation for operation in OPERATIONS}
    span = "?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
    for name, path in (
        ("status", "/v1/status"),
        ("healthz", "/healthz"),
        ("certificate", f"/v1/certificates/{CERTIFICATE_ID}"),
        ("public_key", "/v1/key"),
        ("audit_head", "/v1/audit/head?seq=1"),
        ("period_report", f"/v1/reports/period{span}"),
        ("period_report", f"/v1/reports/period{span}&format=html"),
        ("orphans", "/v1/images/orphans"),
    ):
        answer = await face.ask("GET", path)
        media = answer.headers["Content-Type"].partition(";")[0]
        assert answer.status == of_name[name].status, (name, answer.body)
        schema = _said(document, of_name[name], answer.status)[media]
        assert (schema == {"type": "string"}) is not media.endswith("json"), name
        if media.endswith("json") and "dsse" not in media:  # the fake signs nothing
            assert isinstance(answer.json, dict), name
    ready = await face.ask("GET", "/readyz")
    assert ready.status in (200, 503)
    for status in (200, 503):
        assert _said(document, of_name["readyz"], status) == {"application/json": {"$ref": "#/components/schemas/ReadyOut"}}


async def test_a_verb_of_a_phone_allows_its_own_method_alone(face: Face) -> None:
    """Not that of the phone: `GET /v1/phones/X:suspend` is no look at a phone of that name."""
    verbs = [operation for operation in OPERATIONS if "{uuid}:" in operation.path]
    assert {operation.name for operation in verbs} >= {"suspend", "resume", "protect", "unprotect"}
    for operation in verbs:
        answer = await face.ask("GET", operation.path.replace("{uuid}", "0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"))
        assert (answer.status, answer.headers["Allow"]) == (405, operation.method), operation.name


UUID = "0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"
SPAN = "?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
WORDS: dict[str, dict[str, object]] = {"ReasonIn": {"reason": "lost"}, "SubjectIn": {"account": "acc-1"}}


def _tries(operation: Operation) -> list[tuple[str, dict[str, Any]]]:
    """(query, what goes with the request): good and bad ones."""
    if operation.method == "GET":
        return [("", {}), ("?limit=x&last=x&state=x&seq=x", {})]
    good = {"json": WORDS.get(operation.body.__name__ if operation.body else "", {})}
    return [("", good), ("", {"data": b"["}), ("", {"json": {"nobody": 1}}), ("", {"data": b"x", "headers": {"Content-Type": "image/png"}})]


async def test_every_answer_is_of_a_status_and_media_type_that_is_described(face: Face) -> None:
    """Each route with good and with bad input; readiness when it is not ready; reports as pages."""
    document = (await face.ask("GET", "/openapi.json")).json
    face.service.checks["libvirt"] = "down"
    asked = [
        (operation, query, more)
        for operation in OPERATIONS
        if operation.name != "events"  # a stream, which ends with its wipe
        for query, more in _tries(operation)
    ]
    of_name = {operation.name: operation for operation in OPERATIONS}
    asked += [(of_name["period_report"], SPAN, {}), (of_name["period_report"], f"{SPAN}&format=html", {})]
    asked.append((of_name["subject_report"], "", {"json": {"account": "acc-1", "format": "html"}}))
    met = set()
    for operation, query, more in asked:
        answer = await face.ask(operation.method, operation.path.replace("{uuid}", UUID).replace("{id}", "W-1") + query, **more)
        described = document["paths"][operation.path][operation.method.lower()]["responses"]
        media = answer.headers["Content-Type"].partition(";")[0]
        assert media in described.get(str(answer.status), {}).get("content", {}), (operation.name, query, more, answer)
        schema = described[str(answer.status)]["content"][media]["schema"]
        assert schema.get("type") != "string" or not media.endswith("json"), operation.name
        met.add((answer.status, media))
        assert answer.status != 500, (operation.name, query, more, answer)
    assert {(200, "text/html"), (200, "application/json"), (422, "application/problem+json"), (400, "application/problem+json")} <= met


async def test_a_method_that_a_route_lacks_is_answered_with_those_that_it_has(face: Face) -> None:
    """405, whose Allow names exactly the document's methods: also beside a route whose last part could be read as a phone's name."""
    paths = (await face.ask("GET", "/openapi.json")).json["paths"]
    for path, methods in paths.items():
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {each.upper() for each in methods}:
            answer = await face.ask(method, path.replace("{uuid}", UUID).replace("{id}", "W-1"))
            assert answer.status == 405, (method, path, answer)
            assert {each.strip() for each in answer.headers["Allow"].split(",")} == {each.upper() for each in methods}, (method, path)


async def test_a_malformed_idempotency_key_is_refused_by_every_route_that_changes(face: Face) -> None:
    """By its name, before the body is read: also where answers are never remembered."""
    for operation in OPERATIONS:
        if operation.changes:
            path = operation.path.replace("{uuid}", UUID).replace("{id}", "W-1")
            answer = await face.ask(operation.method, path, json={}, headers={"Idempotency-Key": "two words"})
            assert answer.status == 422, operation.name
            assert "Idempotency-Key" in answer.json["detail"], operation.name


#: Values that a caller's program makes of a field by mistake, or an attacker on purpose.
ODD: tuple[object, ...] = (
    None, True, 0, -1, 10**30, 1.5, "", " ", "x" * 5000, [], {}, [[]], "never", "NULL", "../../etc/passwd", "a\u0000b", "\u202ea", "\ud800", "e\u0301",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+08:00", "2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z", UUID, UUID.upper(), "0" * 64,
)  # fmt: skip
#: A reason and an account as typed: never in an answer that refuses.
SECRET = "tapir-4711"


def _mistaken(operation: Operation, chance: random.Random) -> dict[str, object]:
    """A body of the route's fields, some with odd values, sometimes one more."""
    names = list(operation.body.model_fields) if operation.body else []
    body: dict[str, object] = {name: SECRET if name in {"account", "reason", "reference"} else chance.choice(ODD) for name in names if chance.random() < 0.8}
    for name in names:
        if chance.random() < 0.3:
            body[name] = chance.choice(ODD)
    if chance.random() < 0.1:
        body[chance.choice(["", "uuid", "__class__", "account "])] = chance.choice(ODD)
    return body


@pytest.mark.parametrize("seed", range(4))
async def test_no_body_and_no_query_is_an_internal_error(face: Face, seed: int) -> None:
    """Each changing route with odd values in each of its fields, each looking one with odd queries: taken, or refused in a problem document that repeats no
    word of a person."""
    chance = random.Random(seed)
    for operation in OPERATIONS:
        if operation.name == "events":
            continue
        for _ in range(12):
            phone, number = chance.choice([UUID, UUID.upper(), "phone-1", "..", "%00", "x" * 200]), chance.choice(["W-1", "%2e%2e", "0"])
            path = operation.path.replace("{uuid}", phone).replace("{id}", number)
            more: dict[str, Any] = {}
            if operation.method == "GET":
                names = ["limit", "after", "last", "state", "seq", "from", "to", "phone", "name", "format", "nobody"]
                more["params"] = {name: str(chance.choice(ODD)).encode("utf-8", "replace").decode()[:1000] for name in chance.sample(names, 2)}
            else:
                more = {"data": json.dumps(_mistaken(operation, chance)).encode(), "headers": {"Content-Type": "application/json"}}
            answer = await face.ask(operation.method, path, **more)
            assert answer.status != 500, (operation.name, path, more, answer)
            if answer.status >= 400 and operation.name != "readyz":
                assert answer.headers["Content-Type"].startswith("application/problem+json"), (operation.name, more, answer)
                assert SECRET.encode() not in answer.body, (operation.name, more, answer)
                assert answer.json["status"] == answer.status
