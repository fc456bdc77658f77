"""Instants as text (RFC 3339, UTC): with microseconds in one form only, so that texts sort as instants do; in whole seconds for sentences.

What comes in from outside lies from 2000 to before 9000, so that no sum of an instant and a duration (ten years at most) leaves the calendar. A term
without an end has a word of its own, `never`; inside the program it is the instant `NEVER`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from wiped.errors import InputError

#: The first instant that is taken from outside: an earlier one is a slip (a cell that was empty, a clock that was never set).
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: The end of a term that has none, and the first instant that is not taken from outside.
NEVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
#: How the end of such a term is written, and read.
NEVER_WORD: Final = "never"

#: Other words for it, which get a hint.
_ENDLESS: Final = frozenset({NEVER_WORD, "none", "unlimited", "forever", "lifetime", "permanent", "infinity", "infinite", "endless", "-"})

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)


def instant_text(instant: datetime) -> str:
    """`instant` as `2026-01-31T23:59:59.000000Z`. Raises InputError when it has no time zone."""
    if instant.tzinfo is None:
        raise InputError("an instant without a time zone")
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def second_text(instant: datetime) -> str:
    """An instant in UTC as `2026-01-31T23:59:59Z`: whole seconds, for sentences that people read."""
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


def millisecond_text(instant: datetime) -> str:
    """An instant in UTC as `2026-01-31T23:59:59.123Z`: when the observer read something back."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """The aware UTC instant of the one form that `instant_text` writes. Raises InputError for any other."""
    if not _FORM.fullmatch(text):
        raise InputError("not an RFC 3339 instant in UTC with microseconds")
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError("no such instant in the calendar") from error


def rfc3339_text(instant: datetime) -> str:
    """`instant` for people and JSON: RFC 3339, UTC, `Z`; whole seconds unless it has a fraction."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds" if instant.microsecond else "seconds").replace("+00:00", "Z")


def read_rfc3339(text: str) -> datetime:
    """The aware instant of any RFC 3339 text with a zone, in the zone that it names, from `EARLIEST` to before `NEVER`.

    Raises ValueError with a sentence that does not repeat the text.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("must be an RFC 3339 instant such as 2026-01-31T23:59:59Z")
    if match.group(2) is None:
        raise ValueError("has no time zone; write Z or an offset such as +08:00")
    try:
        found = datetime.fromisoformat(text.upper().replace(" ", "T"))
    except ValueError:
        raise ValueError("must be a day and time of the calendar") from None
    if not EARLIEST <= found < NEVER:  # compared in UTC, whatever the zone
        raise ValueError("must lie in the years 2000 to 8999, in UTC")
    return found


def read_end(text: str) -> datetime:
    """The end of a term: `NEVER` for the word `never`, else as `read_rfc3339`. Raises ValueError."""
    if text == NEVER_WORD:
        return NEVER
    try:
        return read_rfc3339(text)
    except ValueError as error:
        endless = f"; a term without an end is written {NEVER_WORD}" if text.startswith("9") or text.lower() in _ENDLESS else ""
        raise ValueError(f"{error}{endless}") from None


def end_text(instant: datetime) -> str:
    """The end of a term for people and JSON: `never`, or as `rfc3339_text`."""
    return NEVER_WORD if instant >= NEVER else rfc3339_text(instant)


def within_bounds(instant: datetime) -> datetime:
    """`instant`, or the bound that it lies beyond: for what an older program kept, which took any year of the calendar."""
    return min(max(instant, EARLIEST), NEVER)
