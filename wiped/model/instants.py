"""Instants as text (RFC 3339, UTC): with microseconds in one form only, so that texts sort as instants do; in whole seconds for sentences."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from wiped.errors import InputError

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)


def instant_text(instant: datetime) -> str:
    """`instant` as `2026-01-31T23:59:59.000000Z`. Raises InputError when it has no time zone."""
    if instant.tzinfo is None:
        raise InputError("an instant without a time zone")
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def second_text(instant: datetime) -> str:
    """An instant in UTC as `2026-01-31T23:59:59Z`: whole seconds, for sentences that people read."""
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """The aware UTC instant of the one form that `instant_text` writes. Raises InputError for any other."""
    if not _FORM.fullmatch(text):
        raise InputError("not an RFC 3339 instant in UTC with microseconds")
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError("no such instant in the calendar") from error
