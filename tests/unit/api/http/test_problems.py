"""Problem documents: every error has one, with our code and never the caller's input."""

from __future__ import annotations

import pytest

from tests.fakes.service import APPROVAL_ID, UUID_ONE, UUID_TWO
from tests.unit.api.conftest import Face
from wiped.api.http.problems import MEDIA_TYPE
from wiped.errors import (
    ConfigError,
    HelperError,
    HypervisorError,
    InputError,
    LedgerError,
    NotAuthorisedError,
    NotFoundError,
    NotSanitizedError,
    RefusedError,
    StorageError,
    VerificationError,
    WipedError,
)

ACCOUNT = "customer-4711@example.org"


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


async def test_needs_approval_of_any_route_names_the_approval(face: Face) -> None:
    """So that the face can say what the second person types."""
    face.service.fails["request_wipe"] = RefusedError("takes two", codes=("subscription-active", "needs-approval"), approval=APPROVAL_ID)
    answer = await face.ask("POST", "/v1/wipes", json={"phone": UUID_ONE, "reason": "r", "confirm": "phone-one"})
    assert (answer.status, answer.json["approval"]) == (409, APPROVAL_ID)


@pytest.mark.parametrize(
    "error",
    [
        InputError("no such state", where="state", hint="states are a, b"),
        NotFoundError("no such phone", hint="look it up"),
        RefusedError("held", codes=("legal-hold",), hint="release the hold first"),
        NotSanitizedError("unproven", reasons=("io-error",), hint="see the quarantine"),
        StorageError("bad sector", hint="replace the disk"),
        HelperError("the eraser died", hint="look into the log"),
    ],
)
async def test_what_to_do_next_is_a_field_of_its_own(face: Face, error: WipedError) -> None:
    """Beside the sentence that says what is wrong; absent where there is nothing to say."""
    face.service.fails["plan"] = error
    answer = (await face.ask("GET", f"/v1/phones/{UUID_ONE}/plan")).json
    assert (answer["hint"], answer["detail"]) == (error.hint, str(error))
    face.service.fails["plan"] = HelperError("the eraser died")
    assert "hint" not in (await face.ask("GET", f"/v1/phones/{UUID_ONE}/plan")).json
