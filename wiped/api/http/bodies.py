"""Requests read and answers written: bounded bodies, strict JSON, no value of the input in an error; the requester as a person."""

from __future__ import annotations

import asyncio
from typing import TypeVar
from uuid import UUID

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from wiped.api.http.identity import Caller, Role
from wiped.api.http.problems import MalformedError, input_error
from wiped.errors import InputError, NotFoundError
from wiped.model.approvals import Person
from wiped.model.strict_json import RepeatedKeyError, read_json

CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)

#: A JSON body is a few hundred bytes; an import is a host's phones.
MAX_BODY = 64 * 1024
MAX_IMPORT = 64 * 1024 * 1024

#: How long a body may take, seconds.
BODY_SECONDS = 60.0

BodyT = TypeVar("BodyT", bound=BaseModel)


def person_of(caller: Caller) -> Person:
    """The caller as the rules of two people see them: uid 0 never approves (docs/design.md)."""
    return Person(caller.name, caller.uid, Role.APPROVER in caller.roles and caller.uid != 0)


def may_read(caller: Caller) -> bool:
    """Whether the words that people wrote (reasons, references, authorities) may be shown to the caller (R14)."""
    return not caller.roles.isdisjoint({Role.OPERATOR, Role.APPROVER, Role.AUDITOR})


def as_json(document: BaseModel, *, status: int = 200) -> web.Response:
    """Answer with one document."""
    return web.Response(body=document.model_dump_json().encode(), status=status, content_type="application/json")


def as_items(documents: list[BaseModel]) -> web.Response:
    """Answer with a list of documents."""
    return web.json_response({"items": [document.model_dump(mode="json") for document in documents]})


def uuid_of(request: web.Request) -> str:
    """The UUID of the phone in the path. Raises NotFoundError for anything that is not a UUID."""
    try:
        return str(UUID(request.match_info["uuid"]))
    except ValueError:
        raise NotFoundError("is not a UUID", where="phone", hint="find a phone by its name with GET /v1/phones?name=NAME") from None


def number_of(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """The whole number in the query parameter `name`, `default` where it is absent. Raises InputError unless it is from `low` to `high`."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or not low <= int(text) <= high:
        raise InputError(f"must be a whole number from {low} to {high}", where=name)
    return int(text)


async def bytes_of(request: web.Request, limit: int) -> bytes:
    """Read the body, at most `limit` bytes. Raises HTTPRequestEntityTooLarge."""
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.content.iter_chunked(65_536):
                data += piece
                if len(data) > limit:
                    raise web.HTTPRequestEntityTooLarge(limit, len(data))
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason=f"the body did not come within {BODY_SECONDS:g} s") from None
    except (ClientError, HttpProcessingError, OSError):
        raise web.HTTPBadRequest(reason="the body is not as its headers say, or broke off") from None
    return bytes(data)


def parsed(model: type[BodyT], data: bytes) -> BodyT:
    """Read the body as a document of `model`. Raises MalformedError or InputError, which never repeat a value of the body."""
    try:
        value = read_json(data)
    except RepeatedKeyError:
        raise MalformedError("a key is written twice", where="body") from None
    except ValueError:
        raise MalformedError("is not JSON in UTF-8", where="body") from None
    if not isinstance(value, dict):
        raise InputError("must be a JSON object", where="body")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise input_error(error) from None


def check_key(key: str) -> None:
    """Raises InputError for text that cannot be an Idempotency-Key."""
    if not 1 <= len(key) <= 128 or not all("!" <= letter <= "~" for letter in key):
        raise InputError("must be 1 to 128 printable ASCII characters without spaces", where="Idempotency-Key")
