"""Errors of ours as `application/problem+json` (RFC 9457): one stable `code`, the same in log, API and CLI; never the caller's input."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from wiped.errors import (
    InputError,
    NotAuthorisedError,
    NotFoundError,
    NotSanitizedError,
    RefusedError,
    StorageError,
    TransientError,
    UnreachableError,
    WipedError,
)

MEDIA_TYPE = "application/problem+json"

#: The first class that fits decides. What is not here is a fault of ours: 500.
STATUS: tuple[tuple[type[WipedError], int], ...] = (
    (NotFoundError, 404),
    (InputError, 422),
    (RefusedError, 409),
    (NotSanitizedError, 409),
    (NotAuthorisedError, 403),
    (TransientError, 503),
    (UnreachableError, 503),
)

#: Codes of the API itself, for what never reaches the service: HTTP status -> code.
HTTP_CODES = {400: "malformed", 404: "no-such-route", 405: "method-not-allowed", 411: "malformed", 413: "too-large", 415: "unsupported-media-type"}


class MalformedError(InputError):
    """The body is not what the route reads (no JSON, wrong encoding)."""

    code = "malformed"


def problem(status: int, code: str, detail: str, **more: Any) -> web.Response:
    """One problem document. `more`: extension members such as `codes` or `faults`."""
    document = {"type": f"urn:wiped:problem:{code}", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail, **more}
    headers = {"Retry-After": "5"} if status == 503 else {}
    response = web.json_response(document, status=status, headers=headers)
    response.content_type = MEDIA_TYPE
    return response


def from_error(error: WipedError) -> web.Response:
    """The problem document for an error of ours."""
    status = 400 if isinstance(error, MalformedError) else next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    more: dict[str, Any] = {}
    if isinstance(error, RefusedError):
        more["codes"] = list(error.codes)
        if error.approval:
            more["approval"] = error.approval
    if isinstance(error, NotSanitizedError):
        more["reasons"] = list(error.reasons)
    if isinstance(error, StorageError):
        more["reasons"] = [error.reason]
    if isinstance(error, InputError) and error.faults:
        more["faults"] = [{"where": where, "reason": reason} for where, reason in error.faults]
    if error.hint:
        more["hint"] = error.hint
    return problem(status, error.code, str(error), **more)


def from_http(error: web.HTTPException) -> web.Response:
    """The problem document for what aiohttp itself refused."""
    code = HTTP_CODES.get(error.status, "malformed" if error.status < 500 else "unexpected")
    response = problem(error.status, code, error.reason)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def input_error(error: ValidationError) -> InputError:
    """pydantic's faults without any value of the input: only places that the model knows, and pydantic's own sentences."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            # The key itself is the caller's text: someone may have put a customer where a key belongs.
            faults.append(("body", "an unknown key"))
        else:
            faults.append((where or "body", fault["msg"].removeprefix("Value error, ")))
    faults = list(dict.fromkeys(faults))
    # Without `from`: the cause holds the input.
    return InputError("; ".join(f"{where}: {reason}" for where, reason in faults), faults=faults)
