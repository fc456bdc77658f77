"""Instants and JSON values in columns."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.dialects.sqlite import dialect

from tests.fakes.clock import START
from wiped.record.sql.columns import Instant, Json


def test_an_instant_comes_back_and_sorts_as_text() -> None:
    """None stays None."""
    column, sqlite = Instant(), dialect()
    instants = [START, START + timedelta(microseconds=1), START + timedelta(days=400)]
    texts = [column.process_bind_param(instant, sqlite) for instant in instants]
    assert texts == sorted(text for text in texts if text is not None)
    assert [column.process_result_value(text, sqlite) for text in texts] == instants
    assert (column.process_bind_param(None, sqlite), column.process_result_value(None, sqlite)) == (None, None)


def test_a_json_value_is_ascii_and_comes_back() -> None:
    """File names that are not UTF-8 too."""
    column, sqlite = Json(), dialect()
    value = {"b": ["\udcff", "Köln"], "a": None}
    text = column.process_bind_param(value, sqlite)
    assert text is not None
    assert text.isascii()
    assert column.process_result_value(text, sqlite) == value
    assert (column.process_bind_param(None, sqlite), column.process_result_value(None, sqlite)) == (None, None)
