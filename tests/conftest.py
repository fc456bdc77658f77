"""For every test: a host test that cannot run here is skipped with its reason, or fails where WIPED_REQUIRE_HOST is set; no test asserts a speed."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, settings

from tests.lab import needs
from tests.lab.guest import CACHE

#: No example and no making of one fails because the machine is slow; a failing example is printed so that it can be run again anywhere.
settings.register_profile("wiped", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wiped")


def pytest_configure() -> None:
    """pytest-asyncio asks for "the event loop from before"; where none was ever set, asyncio would make one that nobody closes (a ResourceWarning)."""
    asyncio.set_event_loop(None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop a host test before its fixtures where this machine is no laboratory."""
    if item.get_closest_marker("vm") is not None:
        reason = needs.missing_for_vm(CACHE)
    elif item.get_closest_marker("host") is not None or item.get_closest_marker("long") is not None:
        reason = needs.missing()
    else:
        return
    if reason:
        if needs.required():
            pytest.fail(f"{reason} ({needs.REQUIRE} is set, so this is no skip)", pytrace=False)
        pytest.skip(reason)
