"""Maintenance windows: cron's five fields and a time zone, such as `* 1-4 * * 1-5 Europe/Berlin`: any minute from 01:00 to 04:59, Monday to Friday. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from wiped.model.policy import Window

#: (name, lowest, highest) of each field; a day of week may be 7, which is Sunday too.
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: How far ahead an opening is looked for, days: 29 February comes within eight years.
_HORIZON = 8 * 366 + 1


def _number(word: str, name: str, low: int, high: int) -> int:
    names = {"month": _MONTHS, "day of week": _WEEKDAYS}.get(name, ())
    if word.lower() in names:
        return names.index(word.lower()) + (1 if name == "month" else 0)
    if not (word.isascii() and word.isdigit()) or not low <= int(word) <= high:
        raise ValueError(f"{name}: {word!r} is not a number from {low} to {high}")
    return int(word)


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if step and (not (step.isascii() and step.isdigit()) or int(step) == 0):
            raise ValueError(f"{name}: the step {step!r} is not a number above zero")
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = low, 6 if name == "day of week" else high
        else:
            begin = _number(first, name, low, high)
            end = _number(last, name, low, high) if dash else (high if step else begin)
        if end < begin:
            raise ValueError(f"{name}: {span!r} ends before it begins")
        found.update(range(begin, end + 1, int(step) if step else 1))
    return frozenset(found)


def parse(fields: str, zone: tzinfo, text: str = "") -> Window:
    """The window of five cron fields, separated by blanks. Raises ValueError that says which field is wrong, and for one that never opens."""
    words = fields.split()
    if len(words) != len(_FIELDS):
        raise ValueError("write five fields (minute hour day-of-month month day-of-week) and a time zone, such as '* 1-4 * * * Europe/Berlin'")
    minutes, hours, days, months, weekdays = (_field(word, *field) for word, field in zip(words, _FIELDS, strict=True))
    window = Window(
        text=text or fields,
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        zone=zone,
        either_day=not words[2].startswith("*") and not words[4].startswith("*"),
    )
    if opens_at(window, datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise ValueError("this window never opens")
    return window


def _day_matches(window: Window, day: datetime) -> bool:
    if day.month not in window.months:
        return False
    of_month, of_week = day.day in window.days, day.isoweekday() % 7 in window.weekdays
    return (of_month or of_week) if window.either_day else (of_month and of_week)


def is_open(window: Window | None, now: datetime) -> bool:
    """Whether a wipe may begin at `now` (aware)."""
    if window is None:
        return True
    local = now.astimezone(window.zone)
    return _day_matches(window, local) and local.hour in window.hours and local.minute in window.minutes


def opens_at(window: Window, now: datetime) -> datetime | None:
    """The first instant from `now` on (UTC, whole minutes after `now` itself) at which the window is open; None if that never comes.

    Hours that a change of clocks skips are not there; of hours that come twice both are open.
    """
    if is_open(window, now):
        return now
    start = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    local_day = start.astimezone(window.zone).replace(hour=0, minute=0)
    for offset in range(_HORIZON):
        day = local_day + timedelta(days=offset)
        if not _day_matches(window, day):
            continue
        midnight = day.replace(fold=0).astimezone(UTC)
        # A day has up to 25 hours; walked in UTC, so that skipped and repeated hours are what they are.
        for minute in range(26 * 60):
            at = midnight + timedelta(minutes=minute)
            if at >= start and at.astimezone(window.zone).date() == day.date() and is_open(window, at):
                return at
    return None
