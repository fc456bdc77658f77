"""Maintenance windows: what they mean, across changes of clocks, and that the next opening is the next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.decide.window import is_open, opens_at, parse

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """RFC 3339 to UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("fields", "now", "opens"),
    [
        ("* 1-4 * * *", "2026-11-24T03:59:59+01:00", "2026-11-24T03:59:59+01:00"),
        ("* 1-4 * * *", "2026-11-24T05:00:00+01:00", "2026-11-25T01:00:00+01:00"),
        ("* 1-4 * * mon-fri", "2026-11-27T05:00:00+01:00", "2026-11-30T01:00:00+01:00"),
        ("* 1-4 * * 7", "2026-11-27T05:00:00+01:00", "2026-11-29T01:00:00+01:00"),
        ("*/20 2 1,15 * *", "2026-11-24T05:00:00+01:00", "2026-12-01T02:00:00+01:00"),
        ("0 2 13 * fri", "2026-11-24T05:00:00+01:00", "2026-11-27T02:00:00+01:00"),  # crontab(5): either day suffices
        ("30 2 29 mar *", "2026-03-29T00:00:00+01:00", "2027-03-29T02:30:00+02:00"),  # 02:30 is not there on that night
        ("30 2 25 10 *", "2026-10-25T02:31:00+02:00", "2026-10-25T02:30:00+01:00"),  # and comes twice on this one
        ("0 0 29 2 *", "2026-11-24T05:00:00+01:00", "2028-02-29T00:00:00+01:00"),
    ],
)
def test_a_window_opens_when_its_fields_say(fields, now, opens):
    """In the local time of its zone."""
    assert opens_at(parse(fields, BERLIN), at(now)) == at(opens)


@pytest.mark.parametrize(
    ("fields", "part"),
    [("* * * *", "five fields"), ("60 * * * *", "minute"), ("* 5-1 * * *", "ends before"), ("*/0 * * * *", "step"), ("* * 31 2 *", "never opens"),
     ("a * * * *", "minute")],
)  # fmt: skip
def test_what_is_no_window_is_refused(fields, part):
    """With the field that is wrong."""
    with pytest.raises(ValueError, match=part):
        parse(fields, BERLIN)


@given(
    st.integers(0, 3 * 366 * 24 * 60).map(lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.sampled_from(["* 1-4 * * *", "30 2 * * *", "0 3 * * sun", "* 23,0 * * 1-5", "15 2 28-31 3,10 *"]),
    st.sampled_from([BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia"), ZoneInfo("UTC")]),
)
def test_the_next_opening_is_open_and_nothing_before_it_is(now, fields, zone):
    """Walked minute by minute."""
    window = parse(fields, zone)
    opens = opens_at(window, now)
    assert opens is not None
    assert is_open(window, opens)
    minute = now
    while minute < min(opens, now + timedelta(days=8)):
        assert not is_open(window, minute)
        minute += timedelta(minutes=1)
