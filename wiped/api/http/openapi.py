"""OpenAPI 3.1 from the pydantic documents and one table of routes. The server routes by the same table, so that no route can be missing here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import wiped
from wiped.api.http.identity import Role


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `roles`: any of them, () for everyone who can connect. `media`: of the answer. `lists`: the answer is {"items": [answer...]}."""

    name: str
    method: str
    path: str
    summary: str
    roles: tuple[Role, ...]
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_media: str = "application/json"
    media: str = "application/json"
    lists: bool = False
    status: int = 200
    unready: int = 0
    """A further status with which the same document is answered."""
    query: tuple[tuple[str, str, str], ...] = ()
    """(name, JSON type, what it does); a type `array` means text that may be repeated."""

    @property
    def changes(self) -> bool:
        """Whether it takes an Idempotency-Key."""
        return self.method in {"POST", "PUT", "DELETE"}


class Problem(BaseModel):
    """RFC 9457, with our stable `code`; `codes` are refusal codes, `faults` the places of bad input, `approval` the id of what waits for another person,
    `hint` what to do next."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    codes: list[str] = []
    reasons: list[str] = []
    faults: list[dict[str, str]] = []
    approval: str = ""
    hint: str = ""


_ERRORS = {
    "400": "malformed body",
    "403": "the caller has not the role",
    "404": "no such phone, wipe or certificate",
    "408": "the body did not come in time",
    "409": "refused by a guard: `codes` says which",
    "413": "the body is too large",
    "415": "the body is of another media type",
    "422": "bad input: `faults` says where",
    "500": "a fault of the program's own: the daemon's log says more",
    "503": "libvirt, a helper or the ledger failed; try again",
}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string", "maxLength": 128}}
        for part in re.findall(r"\{[a-z]+\}", operation.path)
    ]
    for name, kind, what in operation.query:
        schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}} if kind == "array" else {"type": kind}
        parameters.append({"name": name, "in": "query", "required": False, "description": what, "schema": schema})
    if operation.changes:
        schema = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}
        what = "the same key with the same request answers the same, and does nothing twice"
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": False, "description": what, "schema": schema})
    return parameters


def _answer(operation: Operation) -> dict[str, Any]:
    if operation.answer is None:
        schema: dict[str, Any] = {"type": "object"}
    else:
        schema = {"$ref": f"#/components/schemas/{operation.answer.__name__}"}
    if operation.lists:
        schema = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": schema}}}
    # What is no JSON has no form but that of text.
    content = {media: {"schema": schema if media.endswith("json") else {"type": "string"}} for media in operation.media.split(",")}
    return {"description": operation.summary, "content": content}


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole description of `operations`."""
    models = {operation.answer for operation in operations if operation.answer is not None} | {Problem}
    bodies = {operation.body for operation in operations if operation.body is not None}
    _, definitions = models_json_schema(
        [*((model, "serialization") for model in sorted(models, key=lambda model: model.__name__)),
         *((model, "validation") for model in sorted(bodies, key=lambda model: model.__name__))],
        ref_template="#/components/schemas/{model}",
    )  # fmt: skip
    paths: dict[str, Any] = {}
    refused = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for operation in operations:
        described: dict[str, Any] = {
            "operationId": operation.name,
            "summary": operation.summary,
            "parameters": _parameters(operation),
            "responses": {
                str(operation.status): _answer(operation),
                **{status: {"description": what, **refused} for status, what in _ERRORS.items()},
                **({str(operation.unready): _answer(operation)} if operation.unready else {}),
            },
        }
        if operation.roles:
            described["x-roles"] = [str(role) for role in operation.roles]
        if operation.body is not None:
            schema = {"$ref": f"#/components/schemas/{operation.body.__name__}"}
            described["requestBody"] = {"required": True, "content": {operation.body_media: {"schema": schema}}}
        elif operation.body_media != "application/json":
            content = {media: {"schema": {"type": "string"}} for media in operation.body_media.split(",")}
            described["requestBody"] = {"required": True, "content": content}
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wiped",
            "version": wiped.__version__,
            "description": "On the Unix socket; identity and roles come from the peer's credentials. Errors are application/problem+json.",
        },
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }
