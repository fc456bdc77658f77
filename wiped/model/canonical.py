"""Canonical JSON: one byte form for one value (a subset of RFC 8785 without floating point).

Keys sorted by code point, no white space, UTF-8, integers only; `bool`, `None`, `str`, `int`, sequences and mappings of these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from wiped.errors import InputError
from wiped.model.strict_json import RepeatedKeyError, read_json


def _check(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        # Lone surrogates (file names that are not UTF-8) have no canonical UTF-8 form.
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError("text with lone surrogates has no canonical form", where=where) from error
        return str(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError("keys must be text", where=where)
            _check(key, f"{where} (a key)")
        return {str(key): _check(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_check(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise InputError(f"{type(value).__name__} has no canonical form", where=where)


def canonical_bytes(value: Any) -> bytes:
    """The one byte form of `value`, UTF-8.

    Raises InputError for floats, bytes, non-text keys and lone surrogates, naming the place, and for what is nested or long beyond Python's limits.
    """
    try:
        checked = _check(value, "$")
        text = json.dumps(checked, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (RecursionError, ValueError) as error:
        raise InputError("is nested too deep, or holds a number too long") from error
    return text.encode("utf-8")


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, 64 lower-case hex digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def parse_canonical(data: bytes, *, what: str = "document") -> Any:
    """Parses `data` and insists that it *is* the canonical form of what it says.

    Raises InputError for malformed JSON, duplicate keys, floats, or any other byte form.
    """

    try:
        value = read_json(data)
    except RepeatedKeyError as error:
        raise InputError("a key stands twice", where=what) from error
    except ValueError as error:  # not UTF-8, not JSON, a number of thousands of digits, nested without end
        raise InputError("is not JSON in UTF-8", where=what) from error
    if canonical_bytes(value) != data:
        raise InputError("is not in canonical form", where=what)
    return value
