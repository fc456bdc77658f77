"""JSON that others wrote: read in one sense or not at all."""

from __future__ import annotations

import json

import pytest

from wiped.model.strict_json import RepeatedKeyError, read_json


def test_values_are_read_from_bytes_and_text() -> None:
    """UTF-8, as it stands."""
    assert read_json('{"a": [1, null, "ü"]}'.encode()) == read_json('{"a": [1, null, "ü"]}') == {"a": [1, None, "ü"]}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "a": 2}}]'])
def test_a_repeated_key_is_refused_at_any_depth_and_not_named(text: str) -> None:
    """Two readers would read two things; the key may be personal."""
    with pytest.raises(RepeatedKeyError) as caught:
        read_json(text)
    assert not {'"a"', "'a'"} & set(str(caught.value).split())


@pytest.mark.parametrize("data", [b"\xff{}", b"", b"{", b"[" * 100_000, b"9" * 100_000, b"{} {}"])
def test_everything_else_that_is_no_json_is_a_value_error(data: bytes) -> None:
    """Not UTF-8, cut off, nested without end, a number of thousands of digits, two values."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words are json's own
        read_json(data)


def test_where_a_line_is_wrong_is_told() -> None:
    """A person mends a file by its column."""
    with pytest.raises(json.JSONDecodeError) as caught:
        read_json('{"a": 1,}')
    assert caught.value.colno == 9
