"""What is deleted after its period. Over a whole life, with a hold and a crash: `tests/host/test_retention.py`."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.record.rig import ALICE, DAY, PHONE, Rig
from wiped.errors import NotFoundError
from wiped.model.subscription import Hold


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


async def test_people_can_still_say_something_about_a_phone_whose_account_was_anonymised(rig: Rig) -> None:
    """Found by the simulation (R9): a hold, a suspension or a protection of such a phone failed, since its words had no slot."""
    await rig.begun()
    await rig.released("w-1")
    done = await rig.ledger.retention.retain(rig.now + 400 * DAY, snapshots=30 * DAY, audit=365 * DAY, may=lambda: True)
    assert done["anonymised"] == 1
    await rig.ledger.holds.add(Hold("h-1", PHONE, "", "litigation", authority="court", reference="C-1"), rig.now, "anna", reason="asked")
    (hold,) = await rig.ledger.holds.in_force()
    assert (hold.id, (await rig.ledger.words.about("h-1"))["reference"]) == ("h-1", "C-1")
    await rig.ledger.phones.mark(PHONE, protected=True, reason="kept", operator="anna")
