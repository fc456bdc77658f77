"""The tree of errors: one code each, an exit code, whether a retry helps."""

from __future__ import annotations

from collections.abc import Iterator

from wiped import errors
from wiped.errors import InputError, RefusedError, StorageError, TransientError, WipedError


def tree(kind: type[WipedError] = WipedError) -> Iterator[type[WipedError]]:
    """A class and everything below it."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_the_drawing_names_every_error() -> None:
    """The docstring draws the whole tree, and nothing that is not there."""
    drawn = {word for line in (errors.__doc__ or "").splitlines() for word in line.split() if word.endswith("Error")}
    assert drawn == {kind.__name__ for kind in tree()}


def test_codes_are_stable_words_and_only_transient_errors_are_retried() -> None:
    """Lower case with dashes; exit code 75 is what `wipectl` says of what is retried."""
    for kind in tree():
        assert kind.code == kind.code.lower()
        assert kind.code.replace("-", "").isalnum()
        assert (kind.exit_code == 75) is issubclass(kind, TransientError), kind
        assert kind.retry or not issubclass(kind, TransientError), kind


def test_an_error_carries_what_to_do_next() -> None:
    """A hint apart from the message; the place of bad input; codes and reasons as data."""
    refused = RefusedError("no", codes=["mounted"], hint="unmount it")
    assert (str(refused), refused.hint, refused.codes) == ("no", "unmount it", ("mounted",))
    assert InputError("bad", where="line 3").where == "line 3"
    assert StorageError("failed", reason="vanished").reason == "vanished"
