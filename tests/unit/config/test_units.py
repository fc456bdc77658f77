"""Durations, sizes, shares and addresses as operators write them."""

from __future__ import annotations

import pytest

from wiped.config.units import parse_duration, parse_listen, parse_rate, parse_verify


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600), ("1h30m", 5_400), ("0", 0)])
def test_durations_are_read(text: str, seconds: int) -> None:
    """docs/contract.md: strings with a unit."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("value", ["", "h", "1", "1.5h", "-1h", "1 h", "1y", "1H", 5, None, True, "९s"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    """No unit, no sign, no fraction, no guess."""
    with pytest.raises(ValueError, match=r"."):
        parse_duration(value)


def test_rates_shares_and_addresses_are_read() -> None:
    """Decimal and binary units; IPv6 in brackets."""
    assert [parse_rate(text) for text in ("0", "200MiB/s", "1GB", "5kB/s")] == [0, 209_715_200, 10**9, 5_000]
    assert [parse_verify(text) for text in ("full", "sample:0.1")] == ["full", "sample:0.1"]
    assert [parse_listen(text) for text in ("127.0.0.1:9477", "[::1]:1")] == [("127.0.0.1", 9477), ("::1", 1)]
