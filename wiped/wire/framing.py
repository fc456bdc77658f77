"""Bytes of the wire: one message a line, JSON in UTF-8 with a `type`; strict in what is accepted."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wiped.errors import HelperError
from wiped.model.strict_json import read_json
from wiped.wire.messages import MAX_LINE, MESSAGES, Message

_BY_TYPE: dict[str, type[Message]] = {message.type: message for message in MESSAGES}


_ADAPTERS: dict[str, TypeAdapter[Any]] = {message.type: TypeAdapter(message) for message in MESSAGES}


def encode(message: Message) -> bytes:
    """The line of `message`, newline included; what has its default is left out. Raises HelperError if it would be longer than MAX_LINE bytes."""
    body: dict[str, Any] = _ADAPTERS[message.type].dump_python(message, mode="json", exclude_defaults=True)
    line = json.dumps({"type": message.type, **body}, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > MAX_LINE:
        raise HelperError(f"a {message.type} message of {len(line)} bytes is longer than the wire takes ({MAX_LINE})")
    return line


def decode(line: bytes) -> Message:
    """The message in `line`. Raises HelperError for anything else than one known message with exactly its fields."""
    if len(line) > MAX_LINE:
        raise HelperError(f"a line of more than {MAX_LINE} bytes")
    try:
        value = read_json(line)
    except ValueError as error:  # not UTF-8, not JSON, a number of thousands of digits, nested without end
        raise HelperError("a line that is not JSON") from error
    if not isinstance(value, dict):
        raise HelperError("a line that is not an object")
    name = value.pop("type", "")
    kind = _BY_TYPE.get(name) if isinstance(name, str) else None
    if kind is None:
        raise HelperError("a message of unknown type")
    unknown = set(value) - {field.name for field in fields(kind)}
    if unknown:
        raise HelperError(f"a {kind.type} message with unknown fields")
    try:
        message: Message = _ADAPTERS[kind.type].validate_python(value)
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in fault["loc"]) for fault in error.errors(include_input=False)[:5])
        raise HelperError(f"a malformed {kind.type} message at: {places}") from error
    return message
