"""Instants as text: one form in the ledger, sortable; a shorter form and many spellings in the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.errors import InputError
from wiped.model.instants import EARLIEST, NEVER, end_text, instant_text, parse_instant, read_end, read_rfc3339, rfc3339_text, within_bounds

INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(INSTANTS)
def test_roundtrip(at: datetime) -> None:
    """Every instant comes back, to the microsecond."""
    assert parse_instant(instant_text(at)) == at


@given(INSTANTS, INSTANTS)
def test_texts_sort_as_instants(left: datetime, right: datetime) -> None:
    """The ledger's index relies on it."""
    assert (instant_text(left) < instant_text(right)) == (left < right)


def test_other_zones_become_utc() -> None:
    """The same instant, the same text."""
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert instant_text(at.astimezone(timezone(timedelta(hours=8)))) == "2026-03-01T12:00:00.000000Z"


def test_no_zone_is_refused() -> None:
    """A naive time means nothing."""
    with pytest.raises(InputError):
        instant_text(datetime(2026, 3, 1))  # noqa: DTZ001  # that is the point


OTHERS = [
    "",
    "2026-03-01T12:00:00Z",
    "2026-03-01T12:00:00.000000+00:00",
    "2026-02-30T12:00:00.000000Z",
    "\N{FULLWIDTH DIGIT TWO}026-03-01T12:00:00.000000Z",
]


@pytest.mark.parametrize("text", OTHERS)
def test_other_texts_are_refused(text: str) -> None:
    """One form only."""
    with pytest.raises(InputError):
        parse_instant(text)


@given(st.datetimes(EARLIEST.replace(tzinfo=None), NEVER.replace(tzinfo=None) - timedelta(microseconds=1), timezones=st.just(UTC)))
def test_the_short_form_comes_back(at: datetime) -> None:
    """To the microsecond, from the form that has fewer digits where the instant has no fraction."""
    assert read_rfc3339(rfc3339_text(at)) == at
    assert (len(rfc3339_text(at)) == 20) == (at.microsecond == 0)


@pytest.mark.parametrize("text", ["2026-01-31t23:59:59z", "2026-01-31 23:59:59Z", "2026-02-01T07:59:59+08:00", "2026-01-31T23:59:59.000000000Z"])
def test_every_spelling_with_a_zone_is_read(text: str) -> None:
    """Lower case, a space, an offset, nine digits."""
    assert rfc3339_text(read_rfc3339(text)) == "2026-01-31T23:59:59Z"


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-31", "2026-01-31T23:59:59", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+08:00",
     "1999-12-31T23:59:59Z", "2000-01-01T00:00:00+00:01", "9000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "2026-01-31T23:59:60Z",
     "2026-01-31T23:59:59+24:00", "2026-01-31T23:59:59+23:60", "2026-W05-6T00:00:00Z", "2026-031T00:00:00Z", "2026-01-31T23:59:59,5Z", "never", "secret-4711"],
)  # fmt: skip
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    """No zone, no such day or second, another form, before 2000 or from 9000 on in UTC; in our words, not in Python's."""
    with pytest.raises(ValueError, match=r"^(must be an? (RFC|day)|must lie|has no time zone)") as caught:
        read_rfc3339(text)
    assert "secret-4711" not in str(caught.value)


def test_a_term_without_an_end_has_a_word_of_its_own() -> None:
    """`never` is read and written as the end of a term; an instant of the far future is refused, with that word."""
    assert (read_end("never"), end_text(NEVER)) == (NEVER, "never")
    assert end_text(read_end("2026-01-31T23:59:59Z")) == "2026-01-31T23:59:59Z"
    with pytest.raises(ValueError, match="a term without an end is written never"):
        read_end("9999-12-31T23:59:59Z")
    with pytest.raises(ValueError, match=r"calendar$"):
        read_end("2026-02-30T00:00:00Z")


@given(INSTANTS)
def test_what_an_older_program_kept_is_read_within_the_bounds(at: datetime) -> None:
    """Ten years before and after it still lie in the calendar."""
    found = within_bounds(at)
    assert EARLIEST <= found <= NEVER
    assert found == at or not EARLIEST <= at <= NEVER
    assert found - timedelta(days=3_660) < found < found + timedelta(days=3_660)


@pytest.mark.parametrize("word", ["Never", "NEVER", "unlimited", "-", "9999-12-31T23:59:59Z"])
def test_another_word_for_no_end_is_refused_with_the_right_one(word: str) -> None:
    """Not guessed: told."""
    with pytest.raises(ValueError, match="a term without an end is written never"):
        read_end(word)
