"""What one record does to one phone."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.fakes.clock import START
from tests.unit.record.rig import DAY, OTHER, PHONE, Rig, record
from wiped.errors import InputError
from wiped.model.subscription import AccountReference

BAD = {
    "naive start": {"starts_at": datetime(2026, 1, 1)},  # noqa: DTZ001  # that is the point
    "naive end": {"expires_at": datetime(2026, 9, 1)},  # noqa: DTZ001
    "ends before it starts": {"expires_at": START - 2 * DAY},
    "ends as it starts": {"expires_at": START - DAY},
    "upper case": {"uuid": PHONE.upper()},
    "no uuid": {"uuid": "phone-1"},
    "no account": {"account": AccountReference("")},
    "no subscription": {"subscription_id": ""},
    "no policy": {"policy": ""},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
async def test_what_cannot_be_meant_is_bad_input(rig: Rig, changes: dict[str, object]) -> None:
    """The record's number is told, nothing of the batch is recorded."""
    with pytest.raises(InputError, match="record 2"):
        await rig.bind(record(OTHER), record(**changes))  # type: ignore[arg-type]
    assert await rig.ledger.subscriptions.current() == ()


async def test_a_phone_twice_in_a_batch_is_bad_input(rig: Rig) -> None:
    """Which one is meant cannot be known."""
    with pytest.raises(InputError, match="twice"):
        await rig.bind(record(), record(days=40))
