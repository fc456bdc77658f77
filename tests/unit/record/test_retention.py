"""What is deleted after its period. Over a whole life, with a hold and a crash: `tests/host/test_retention.py`."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.record.rig import ALICE, DAY, PHONE, Rig
from wiped.errors import NotFoundError


async def test_snapshots_and_pseudonyms_go_after_their_periods(rig: Rig) -> None:
    """Each once; the audit log still verifies, and the words about the account open for nobody."""
    await rig.begun()
    await rig.ledger.phones.mark(PHONE, protected=True, reason="asked by phone", operator="op")
    await rig.ledger.verdicts.finish("w-1", "cancelled", rig.now)  # type: ignore[arg-type]
    term = await rig.ledger.subscriptions.get(PHONE)
    assert term is not None
    periods = {"snapshots": 30 * DAY, "audit": 365 * DAY}
    assert await rig.ledger.retention.retain(rig.now, **periods, may=lambda: True) == {"snapshots": 0, "anonymised": 0, "unproven": 0}
    done = await rig.ledger.retention.retain(rig.now + timedelta(days=31), **periods, may=lambda: True)
    assert (done["snapshots"], done["anonymised"]) == (1, 0)
    wipe = await rig.ledger.wipes.get("w-1")
    assert wipe is not None
    assert (wipe.snapshot, len(wipe.snapshot_digest)) == (None, 64)
    await rig.released("w-2")
    assert await rig.salts.knows([term.account]) == {term.account}
    done = await rig.ledger.retention.retain(rig.now + timedelta(days=400), **periods, may=lambda: True)
    assert (done["snapshots"], done["anonymised"]) == (1, 1)
    assert await rig.salts.knows([term.account]) == frozenset()
    assert await rig.ledger.subscriptions.of_account(ALICE) == ()
    try:
        words = await rig.ledger.words.reason("")
    except NotFoundError:
        words = ""
    assert words == ""
    assert (await rig.ledger.audit.verify()).seq == len(await rig.ledger.audit.entries(limit=10_000))
