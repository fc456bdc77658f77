"""Durations, sizes and shares as operators write them; each parser raises ValueError with a reason and a hint."""

from __future__ import annotations

import re

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_BYTES = {
    "": 1, "B": 1,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_PART = re.compile(r"(\d{1,9})([a-zA-Z]*)", re.ASCII)

#: Ten years: anything longer is a wrong unit.
LONGEST = 3_660 * 86_400


def parse_duration(value: object) -> int:
    """Whole seconds of "90s", "15m", "24h", "7d", "2w" or a row of them such as "1h30m"; "0" needs no unit."""
    if not isinstance(value, str):
        raise ValueError('must be a duration in quotes, such as "90s", "15m", "24h" or "7d"')
    text = value.strip()
    if text == "0":
        return 0
    total, position = 0, 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            raise ValueError(f'{value!r} is not a duration; write "90s", "15m", "24h" or "7d"')
        number, unit = match.groups()
        if unit == "":
            raise ValueError(f'{value!r} has no unit; write "{number}s" for seconds, or m, h, d, w')
        if unit not in _SECONDS:
            hint = "whole seconds are the finest" if unit in {"ms", "us", "ns"} else "units are s, m, h, d, w"
            raise ValueError(f"{value!r} has the unknown unit {unit!r}; {hint}")
        total += int(number) * _SECONDS[unit]
        position = match.end()
    if not text:
        raise ValueError('must not be empty; write "0s" for none')
    if total > LONGEST:
        raise ValueError(f"{value!r} is longer than ten years; is the unit right?")
    return total


def parse_rate(value: object) -> int:
    """Bytes per second of "200MiB", "200MiB/s" or "0" for no limit."""
    if not isinstance(value, str):
        raise ValueError('must be a rate in quotes, such as "200MiB/s", or "0" for none')
    match = re.fullmatch(r"\s*(\d{1,15})\s*([A-Za-z]*?)(?:/s)?\s*", value, re.ASCII)
    if match is None or match.group(2) not in _BYTES:
        raise ValueError(f'{value!r} is not a rate; write "200MiB/s", "1GB/s" or "0"')
    return int(match.group(1)) * _BYTES[match.group(2)]


def parse_size(value: object) -> int:
    """Bytes of "10GiB", "500MB" or "0"."""
    if not isinstance(value, str):
        raise ValueError('must be a size in quotes, such as "10GiB", or "0"')
    match = re.fullmatch(r"\s*(\d{1,15})\s*([A-Za-z]*)\s*", value, re.ASCII)
    if match is None or match.group(2) not in _BYTES:
        raise ValueError(f'{value!r} is not a size; write "10GiB", "500MB" or "0"')
    return int(match.group(1)) * _BYTES[match.group(2)]


def parse_verify(value: object) -> str:
    """`full`, or `sample:F` with a share 0 < F < 1."""
    if value == "full":
        return "full"
    if isinstance(value, str) and re.fullmatch(r"sample:0?\.\d{1,6}", value) and float(value[7:]) > 0:
        return value
    raise ValueError(f'{value!r} is neither "full" nor a share such as "sample:0.1"')


def parse_listen(value: object) -> tuple[str, int]:
    """(host, port) of "127.0.0.1:9477" or "[::1]:9477"."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):(\d{1,5})", value) if isinstance(value, str) else None
    if match is None or not 0 <= int(match.group(2)) <= 65_535:
        raise ValueError(f'{value!r} is not an address and port; write "127.0.0.1:9477" or "[::1]:9477"')
    return match.group(1).strip("[]"), int(match.group(2))
