"""Instants as text: one form in the ledger, sortable; a shorter form and many spellings in the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.errors import InputError
from wiped.model.instants import instant_text, parse_instant, read_rfc3339, rfc3339_text

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


@given(INSTANTS)
def test_the_short_form_comes_back(at: datetime) -> None:
    """To the microsecond, from the form that has fewer digits where the instant has no fraction."""
    assert read_rfc3339(rfc3339_text(at)) == at
    assert (len(rfc3339_text(at)) == 20) == (at.microsecond == 0)


@pytest.mark.parametrize("text", ["2026-01-31t23:59:59z", "2026-01-31 23:59:59Z", "2026-02-01T07:59:59+08:00", "2026-01-31T23:59:59.000000000Z"])
def test_every_spelling_with_a_zone_is_read(text: str) -> None:
    """Lower case, a space, an offset, nine digits."""
    assert rfc3339_text(read_rfc3339(text)) == "2026-01-31T23:59:59Z"


@pytest.mark.parametrize("text", ["", "2026-01-31", "2026-01-31T23:59:59", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+08:00", "secret-4711"])
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    """No zone, no such day, before the calendar's first year in UTC."""
    with pytest.raises(ValueError, match=r"^(must|has|day|.*range)") as caught:
        read_rfc3339(text)
    assert "secret-4711" not in str(caught.value)
