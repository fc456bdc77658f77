"""Bounds of settings, as values: what checks a setting and what documents the setting read the same ones.

Standard library only, since the root helpers load this.
"""

from __future__ import annotations

from dataclasses import dataclass

from wiped.config.units import parse_duration


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`, both included; from the environment as text."""

    low: int
    high: int

    def __call__(self, value: object) -> int:
        """The number. Raises ValueError."""
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise ValueError(f"must be a whole number from {self.low} to {self.high}")
        return value


@dataclass(frozen=True, slots=True)
class Span:
    """A duration from `low` to `high`, as an operator writes them, both included; `high` "": no upper bound. `why`: the sentence for another one."""

    low: str
    high: str = ""
    why: str = ""

    def __call__(self, seconds: int) -> int:
        """`seconds`. Raises ValueError."""
        if seconds < parse_duration(self.low) or (self.high and seconds > parse_duration(self.high)):
            raise ValueError(self.why or (f"must be from {self.low} to {self.high}" if self.high else f"must be at least {self.low}"))
        return seconds


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of `words`. `planned`: words of a later version, which are refused by that name. `what`: what the setting is; `why`: the sentence in place of it."""

    words: tuple[str, ...]
    what: str = ""
    planned: tuple[str, ...] = ()
    why: str = ""

    def __call__(self, value: str) -> str:
        """`value`. Raises ValueError."""
        known = " or ".join(f'"{word}"' for word in self.words)
        if value in self.planned:
            raise ValueError(f"{value!r} is not in this version; use {known}")
        if value not in self.words:
            raise ValueError(self.why or f"{value!r} is not {self.what}; this version has {known}")
        return value
