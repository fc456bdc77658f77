"""Reading JSON that others wrote: UTF-8, each key once, nested no deeper than Python can follow. A key that comes twice means two different things to two
readers (RFC 8259, 4), so nothing of ours takes the last one silently."""

from __future__ import annotations

import json
from typing import Any


class RepeatedKeyError(ValueError):
    """An object has a key twice. Its text never says which: the key may be personal."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RepeatedKeyError("a key stands twice in one object")
    return found


def read_json(data: bytes | str) -> Any:
    """Read one JSON value. Raises RepeatedKeyError; ValueError (with json's own column, where it has one) for everything else that is no JSON in UTF-8."""
    try:
        return json.loads(data.decode("utf-8") if isinstance(data, bytes) else data, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_truth(value: Any) -> bool | None:
    """JSON's booleans and the words true and false; None for anything else (1 and 0 too: they would be read differently elsewhere)."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None
