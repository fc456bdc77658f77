"""Freed blocks, through the whole inside of the daemon: asked for after the last removal, once per filesystem and batch, and never at a wipe's cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.ports import PowerCut
from tests.unit.conduct.rig import Rig
from wiped.attest.signing import open_envelope
from wiped.conduct.results import Ending
from wiped.errors import HelperError, InvariantError, RefusedError
from wiped.model.records import WipeStep
from wiped.wire.messages import Trimmed


async def residuals(rig: Rig, uuid: str) -> tuple[str, ...]:
    """Of the phone's newest wipe, which must say the same as its certificate."""
    wipe = await rig.wipe_of(uuid)
    record = await rig.ledger.certificates.get(wipe.id)
    assert record is not None
    body = open_envelope(record.envelope, rig.world.signer.public_pem)
    assert tuple(body["predicate"]["residuals"]) == wipe.residuals
    return wipe.residuals


async def test_a_filesystem_that_was_made_unreadable_changes_the_residual() -> None:
    """In the ledger and in the certificate; the audit log tells how."""
    rig = Rig()
    rig.eraser.trims = "fitrim"
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    assert await rig.drain() == [Ending.RELEASED]
    found = await residuals(rig, uuid)
    assert "freed-blocks-reallocated" in found
    assert "freed-blocks-untraced" not in found
    assert rig.eraser.trimmed == ["/phones"]
    assert [entry.body["method"] for entry in await rig.ledger.audit.entries() if entry.kind == "trimmed"] == ["fitrim"]
    assert rig.milestones.seen.index("removing") < rig.milestones.seen.index("trimming") < rig.milestones.seen.index("trimmed")
    assert rig.milestones.seen.index("trimmed") < rig.milestones.seen.index("judged")


@pytest.mark.parametrize("failure", ["unproven", "refused", "dies", "never answers"])
async def test_whatever_goes_wrong_costs_the_residual_and_nothing_else(failure: str) -> None:
    """The wipe is proven, released and certified all the same."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    if failure != "unproven":
        rig.eraser.trim_fails = {
            "refused": RefusedError("not a directory of ours", codes=("outside-roots",)),
            "dies": HelperError("the eraser is gone"),
            "never answers": TimeoutError(),
        }[failure]
    assert await rig.drain() == [Ending.RELEASED]
    assert "freed-blocks-untraced" in await residuals(rig, uuid)


async def test_it_is_not_asked_for_where_the_rules_forbid_it() -> None:
    """Neither trimming nor filling."""
    rig = Rig()
    rig.eraser.trims = "fitrim"
    object.__setattr__(rig.world, "rules", replace(rig.world.rules, trim=False))
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    assert await rig.drain() == [Ending.RELEASED]
    assert (rig.eraser.trimmed, "freed-blocks-untraced" in await residuals(rig, uuid)) == ([], True)


async def test_the_last_of_a_batch_does_it_for_its_filesystem() -> None:
    """A wipe that ends while another one still frees blocks there leaves it to that one; one on another device is nobody's affair."""
    rig = Rig(parallel=3)
    rig.eraser.trims = "fitrim"
    first, second = rig.host.add_phone(1), rig.host.add_phone(2)
    elsewhere = rig.host.add_phone(3, device=9)
    await rig.due(first, second, elsewhere)

    async def meanwhile() -> None:
        assert await rig.run((await rig.wipe_of(second)).id) is Ending.RELEASED
        assert await rig.run((await rig.wipe_of(elsewhere)).id) is Ending.RELEASED

    rig.milestones.when[WipeStep.ERASING] = meanwhile
    assert await rig.run((await rig.wipe_of(first)).id) is Ending.RELEASED
    assert "freed-blocks-untraced" in await residuals(rig, second)
    for uuid in (first, elsewhere):
        assert "freed-blocks-untraced" not in await residuals(rig, uuid)


async def test_two_that_end_together_do_not_leave_it_to_each_other() -> None:
    """Both are empty: the later one does it in any case."""
    rig = Rig(parallel=2)
    rig.eraser.trims = "fitrim"
    first, second = rig.host.add_phone(1), rig.host.add_phone(2)
    await rig.due(first, second)

    async def meanwhile() -> None:
        assert await rig.run((await rig.wipe_of(second)).id) is Ending.RELEASED

    rig.milestones.when["trimming"] = meanwhile
    assert await rig.run((await rig.wipe_of(first)).id) is Ending.RELEASED
    for uuid in (first, second):
        assert "freed-blocks-reallocated" in await residuals(rig, uuid)


@pytest.mark.parametrize("at", ["trimming", "trimmed", "verdict"])
async def test_a_power_cut_around_it_is_made_good(at: str) -> None:
    """It is asked for again, or was recorded."""
    rig = Rig()
    rig.eraser.trims = "fitrim"
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    rig.milestones.when[at] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run((await rig.wipe_of(uuid)).id)
    assert await rig.survive((await rig.wipe_of(uuid)).id) is Ending.RELEASED
    assert "freed-blocks-reallocated" in await residuals(rig, uuid)
    assert len(rig.eraser.trimmed) == 1


async def test_what_is_still_in_place_keeps_it_for_the_retry() -> None:
    """A quarantined attempt has freed nothing yet."""
    rig = Rig()
    rig.eraser.trims = "fitrim"
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    rig.observer.mismatches = [3]
    assert await rig.drain() == [Ending.QUARANTINED]
    assert rig.eraser.trimmed == []
    await rig.service.quarantine.retry(uuid, "op")
    assert await rig.drain() == [Ending.RELEASED]
    assert "freed-blocks-reallocated" in await residuals(rig, uuid)


async def test_only_a_running_wipe_records_it() -> None:
    """Both ledgers refuse it for one that has not spoken its last word."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    with pytest.raises(InvariantError):
        await rig.ledger.free_space.record(wipe.id, 1, Trimmed("/phones", "fitrim"))
