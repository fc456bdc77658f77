"""The tree of errors: one code each, and room for what to do next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wiped.errors import ConfigError, InputError, InvariantError, NotSanitizedError, RefusedError, StorageError, TransientError, WipedError


def _kinds(kind: type[WipedError]) -> Iterator[type[WipedError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


OURS = [kind for kind in _kinds(WipedError) if kind.__module__ == "wiped.errors"]


def test_no_two_errors_have_one_code() -> None:
    """Scripts tell them apart by it."""
    assert len({kind.code for kind in OURS}) == len(OURS)


@pytest.mark.parametrize(
    "error",
    [
        WipedError("wrong", hint="do this"),
        InputError("wrong", where="key", hint="do this"),
        RefusedError("wrong", codes=("legal-hold",), hint="do this"),
        NotSanitizedError("wrong", reasons=("io-error",), hint="do this"),
        TransientError("wrong", hint="do this"),
        StorageError("wrong", hint="do this"),
        ConfigError("wrong", hint="do this"),
    ],
)
def test_a_hint_stands_apart_from_the_message(error: WipedError) -> None:
    """It is no part of the text."""
    assert error.hint == "do this"
    assert str(error) in ("wrong", "key: wrong")


def test_without_a_hint_there_is_none() -> None:
    """An empty text, never None."""
    assert (WipedError("wrong").hint, InvariantError("I1", "wrong").hint, InputError("wrong").hint) == ("", "", "")
