"""Canonical JSON: one byte form for one value, and nothing else is taken for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.errors import InputError
from wiped.model.canonical import canonical_bytes, digest, parse_canonical

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_value_comes_back(value: Any) -> None:
    """What is written is read as the same value, and is the canonical form of it."""
    data = canonical_bytes(value)
    assert parse_canonical(data) == value
    assert canonical_bytes(parse_canonical(data)) == data


@given(st.dictionaries(TEXT, st.integers(), min_size=2, max_size=6))
def test_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    """One value, one form, however the mapping was built."""
    backwards = dict(reversed(list(value.items())))
    assert canonical_bytes(backwards) == canonical_bytes(value)
    assert digest(backwards) == digest(value)


@given(VALUES, st.data())
def test_no_other_bytes_are_taken(value: Any, data: st.DataObject) -> None:
    """A changed byte is refused, or it is the canonical form of another value."""
    good = canonical_bytes(value)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    try:
        read = parse_canonical(bytes(bad))
    except InputError:
        return
    assert canonical_bytes(read) == bytes(bad)
    assert json.dumps(read) != json.dumps(value)


def test_the_form_itself() -> None:
    """Sorted by code point, no white space, UTF-8 unescaped, tuples as lists."""
    assert canonical_bytes({"b": (1, None, True), "a": "é\n", "Z": {}}) == '{"Z":{},"a":"é\\n","b":[1,null,true]}'.encode()


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": 1.0}, "$.a"),
        ({"a": [b"x"]}, "$.a[0]"),
        ({1: "x"}, "$"),
        (["\udc80"], "$[0]"),
        ({"\udc80": 1}, "$ (a key)"),
        ({"a": object()}, "$.a"),
        (float("nan"), "$"),
    ],
)
def test_what_has_no_form_is_named(value: Any, where: str) -> None:
    """Floats, bytes, keys that are not text, lone surrogates: an error that names the place and not the value."""
    with pytest.raises(InputError) as caught:
        canonical_bytes(value)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":NaN}',
        b'{"a":"\\u0061"}',
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'"\xff"',
        b"[1",
        b"",
        b"9" * 5000,
        b"[" * 100_000,
    ],
)
def test_other_forms_are_refused(data: bytes) -> None:
    """Duplicate keys, other order, white space, floats, escapes, depth and length without end: InputError, never another exception."""
    with pytest.raises(InputError):
        parse_canonical(data, what="envelope")


def test_nested_beyond_python() -> None:
    """A value that Python cannot walk is bad input, not a crash."""
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InputError):
        canonical_bytes(value)
    while value:  # taken apart by hand: the interpreter's own way down is recursive too
        value = value.pop()
