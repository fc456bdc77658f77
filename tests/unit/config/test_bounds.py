"""Bounds of settings: what lies on them is taken, what lies beyond them is refused with a sentence that names them."""

from __future__ import annotations

import pytest

from wiped.config.bounds import OneOf, Span, Whole


@pytest.mark.parametrize("value", [1, 35, "7"])
def test_a_whole_number_within_its_bounds_is_taken(value: object) -> None:
    """The bounds themselves, and text from the environment."""
    assert Whole(1, 35)(value) == int(str(value))


@pytest.mark.parametrize("value", [0, 36, True, 1.0, "1.5", "-1", None])
def test_anything_else_than_such_a_number_names_the_bounds(value: object) -> None:
    """A truth value and a fraction are no whole numbers."""
    with pytest.raises(ValueError, match="from 1 to 35"):
        Whole(1, 35)(value)


def test_a_span_names_its_bounds_as_an_operator_writes_them() -> None:
    """Both bounds included; a sentence of its own where there is one."""
    assert [Span("1s", "1h")(seconds) for seconds in (1, 3_600)] == [1, 3_600]
    for seconds in (0, 3_601):
        with pytest.raises(ValueError, match="must be from 1s to 1h"):
            Span("1s", "1h")(seconds)
    assert Span("1m")(10**9) == 10**9
    with pytest.raises(ValueError, match="must be at least 1m"):
        Span("1m")(59)
    with pytest.raises(ValueError, match="six months"):
        Span("4380h", why="six months")(0)


def test_a_word_of_a_later_version_is_told_apart_from_an_unknown_one() -> None:
    """The operator learns whether to wait or to correct a typing error."""
    known = OneOf(("release",), "known here", planned=("recycle",))
    assert known("release") == "release"
    with pytest.raises(ValueError, match='not in this version; use "release"'):
        known("recycle")
    with pytest.raises(ValueError, match='not known here; this version has "release"'):
        known("relase")
