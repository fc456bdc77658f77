"""The types of the ledger's columns, and the `metadata` that all tables stand in.

Instants are texts of one form that sort as instants do; structured values are JSON texts; secrets and sealed texts are bytes.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect, MetaData, String, Text
from sqlalchemy.types import TypeDecorator

from wiped.model.instants import instant_text, parse_instant, within_bounds

metadata = MetaData()


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as sortable text."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From text. An older program kept any year of the calendar: what lies beyond the bounds of today is read as the bound."""
        return None if value is None else within_bounds(parse_instant(value))


class Json(TypeDecorator[Any]):
    """A JSON value as ASCII text: file names that are not UTF-8 (lone surrogates) survive it."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From text."""
        return None if value is None else json.loads(value)
