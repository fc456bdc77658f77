"""Instants as text: one form, sortable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.errors import InputError
from wiped.model.instants import instant_text, parse_instant

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
