"""What one record does to one phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from tests.fakes.clock import START
from tests.unit.record.rig import DAY, OTHER, PHONE, Rig, record
from wiped.errors import InputError
from wiped.model.plan import RefusalCode
from wiped.model.subscription import AccountReference, Subscription
from wiped.record.subscription_rules import Change, Standing, weigh

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


def _wiped(**term: object) -> Standing:
    """A phone whose generation ended ten days after its term's end."""
    values = {"starts_at": START - 60 * DAY, "expires_at": START - 20 * DAY, "first_recorded_at": START - 60 * DAY, "feed_revision": 9, **term}
    last = Subscription(uuid=PHONE, generation=1, subscription_id="s-1", account="acct-1", **values)  # type: ignore[arg-type]
    return Standing(PHONE, 1, last, ended=True, committed=False, occupied=False, ended_at=START - 10 * DAY)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"revision": 9}, RefusalCode.REVISION_OLD),
        ({"revision": 7}, RefusalCode.REVISION_OLD),
        ({"revision": 10}, Change.BEGIN),
        ({}, Change.BEGIN),
        # A row of the past, played again: it began before the generation ended, and is over.
        ({"starts_at": START - 30 * DAY, "expires_at": START - DAY}, RefusalCode.REVISION_OLD),
        ({"starts_at": START - 30 * DAY, "expires_at": START + DAY}, Change.BEGIN),
        ({"starts_at": START - 9 * DAY, "expires_at": START - DAY}, Change.BEGIN),
    ],
)
@pytest.mark.parametrize("same_account", [False, True])
def test_what_ended_is_not_begun_again_by_an_older_record(changes: dict[str, object], found: object, same_account: bool) -> None:
    """I14, K8: revisions only go forward whatever ended; whose account it was cannot be asked once that is anonymised."""
    told = replace(record(number="s-2"), **changes)  # type: ignore[arg-type]
    assert weigh(_wiped(), told, same_account=same_account, source="http", now=START) == found
