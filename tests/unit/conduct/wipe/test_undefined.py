"""A phone that somebody undefines while its bytes go is finished by its own record (K15, I8); what memory alone never erases is told and left."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.decide.verdict import reasons_of_refusal, retry_after
from wiped.errors import StorageError
from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import ReasonCode
from wiped.model.records import WipeStep

LATE = ("erasing", "erase-progress", "overwritten", "erased", "verifying", "read-back-progress", "read-back", "removing", "unlinked", "removed", "verdict")


async def finished(rig: Rig, wipe_id: str) -> Ending | None:
    """Run it again and again, as the queue does, with pauses."""
    ending: Ending | None = None
    for _ in range(6):
        endings: list[Ending | None] = []
        with suppress(StorageError):
            endings = await rig.drain()
        ending = endings[-1] if endings else ending
        if ending in {Ending.RELEASED, Ending.QUARANTINED}:
            break
        rig.clock.move(60)
        await rig.reconciler.sweep()
    return ending


@pytest.mark.parametrize("step", LATE)
async def test_undefined_while_its_bytes_go_is_finished(step: str) -> None:
    """At whatever moment: every byte gone, every name gone, a certificate, and no fence left."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)

    async def undefine() -> None:
        rig.host.destroy(uuid)
        rig.host.undefine(uuid)

    rig.milestones.when[step] = undefine
    assert await finished(rig, wipe.id) is Ending.RELEASED
    assert step not in rig.milestones.when
    assert rig.host.remains("SECRET of phone-1") == 0
    wipe = await rig.wipe_of(uuid)
    assert (wipe.step, wipe.outcome, wipe.reasons) == (WipeStep.RELEASED, "clear", ())
    assert not [path for path in rig.host.names if path.startswith("/phones/phone-1")]
    assert uuid not in rig.host.fences


async def test_undefined_before_the_last_word_is_called_off() -> None:
    """Nothing was written: it is a vanished phone, whose record is wiped when the sweep has seen it gone."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)

    async def undefine() -> None:
        rig.host.destroy(uuid)
        rig.host.undefine(uuid)

    rig.milestones.when["stopped"] = undefine
    await rig.run(wipe.id)
    assert rig.host.remains("SECRET of phone-1") == 5
    assert not rig.eraser.erased


async def test_a_record_that_does_not_name_the_files_finishes_nothing() -> None:
    """The guard: without what was noted under the locks an undefined phone's files are nobody's. Told as what it is, and tried again later."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)

    async def undefine() -> None:
        rig.host.destroy(uuid)
        rig.host.undefine(uuid)
        rig.sheets.phones.clear()

    rig.milestones.when["erasing"] = undefine
    assert await finished(rig, wipe.id) is Ending.QUARANTINED
    told = await rig.wipe_of(uuid)
    assert told.reasons == ("ambiguous-base", "readback-impossible")
    assert told.retry_at is not None
    assert rig.host.remains("SECRET of phone-1") == 5


async def test_a_device_of_an_undefined_phone_is_told_and_left() -> None:
    """Its files go; the device, which the next phone may have by now, is not touched, and the record says that a copy was not reached."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)

    async def cut() -> None:
        rig.host.destroy(uuid)
        rig.host.undefine(uuid)

    rig.milestones.when["erasing"] = cut
    real = rig.ledger.wipes.get

    async def with_a_device(wipe_id: str):  # type: ignore[no-untyped-def]
        """The frozen plan, with the NVRAM as if it were a device."""
        found = await real(wipe_id)
        if found is None or found.plan is None:
            return found
        steps = tuple(replace(step, kind=ArtefactKind.BLOCK_DEVICE) if step.kind is ArtefactKind.NVRAM else step for step in found.plan.steps)
        return replace(found, plan=replace(found.plan, steps=steps))

    rig.ledger.wipes.get = with_a_device  # type: ignore[method-assign]
    assert await finished(rig, wipe.id) is Ending.QUARANTINED
    told = await rig.wipe_of(uuid)
    assert told.reasons == (str(ReasonCode.COPY_NOT_REACHED),)
    assert rig.host.remains("SECRET of phone-1 nvram") == 1
    assert rig.host.remains("SECRET of phone-1 block") == 0


@pytest.mark.parametrize(
    ("codes", "reasons", "again"),
    [
        (("in-use",), ("image-in-use",), True),
        (("unreadable",), ("unreadable",), True),
        (("shared-by-domain", "hard-link"), ("hard-link", "shared-by-domain"), True),
        (("identity-changed",), ("identity-changed",), True),
        ((), ("copy-not-reached",), False),
        (("no-such-word",), ("copy-not-reached",), False),
    ],
)
def test_what_a_guard_said_is_the_reason(codes: tuple[str, ...], reasons: tuple[str, ...], again: bool) -> None:
    """In a signed record the reason is what happened (K15), and what may pass by itself is tried again."""
    assert reasons_of_refusal(codes) == reasons
    assert (retry_after(reasons, 1) is not None) is again
