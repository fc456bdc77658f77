"""Destroyed slots on the raw device: there before, gone after, or said not to be (docs/design.md, "Memory"; R11)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.rawdevice import RawFilesystem, occurrences
from tests.unit.record.rig import ALICE, BOB, PHONE, Rig, rig_in
from wiped.keys.salts import SaltFile
from wiped.keys.slots import SLOT, Slot, slot_of
from wiped.model.subscription import WipeRequest
from wiped.record.sql.migrate import refers_to_accounts

MakeFs = Callable[..., RawFilesystem]


def slots_of(folder: Path) -> list[Slot]:
    """What the used slots of a salt file hold."""
    data = (folder / "salts").read_bytes()
    return [slot for at in range(0, len(data), SLOT) if (slot := slot_of(data[at : at + SLOT]))]


def needles(slot: Slot) -> list[bytes]:
    """A long piece without zero bytes of each secret of a slot."""
    return [max(secret.split(b"\0"), key=len)[:16] for secret in (slot.lookup, slot.pseudonym, slot.salt, slot.key)]


def copies(filesystem: RawFilesystem, slot: Slot) -> list[int]:
    """How often each secret stands on the raw device; unmounts it."""
    filesystem.unmount()
    return [occurrences(filesystem.image, needle) for needle in needles(slot)]


async def _two_accounts(folder: Path) -> tuple[str, Slot, Slot]:
    """Alice's pseudonym, her slot, Bob's slot; written over two openings, after a chunk's worth of others."""
    salts = SaltFile.open(str(folder), refers_to_accounts)
    for number in range(10, 300):
        await salts.pseudonym(BOB, number)
    name = await salts.pseudonym(ALICE, 1)
    salts.close()
    alice = slots_of(folder)[-1]
    salts = SaltFile.open(str(folder), refers_to_accounts)
    await salts.pseudonym(BOB, 1)
    salts.close()
    bob = next(slot for slot in slots_of(folder)[-2:] if slot != alice)
    return name, alice, bob


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_destroyed_slot_is_gone_from_the_raw_device(raw_fs: MakeFs, kind: str) -> None:
    """Each secret stands there once before (no copy was ever made), nowhere after; a neighbour's slot stays."""
    filesystem = raw_fs(kind)
    folder = filesystem.mount_point
    assert folder is not None
    name, alice, bob = asyncio.run(_two_accounts(folder))
    assert copies(filesystem, alice) == [1, 1, 1, 1]
    filesystem.mount(folder)
    salts = SaltFile.open(str(folder), refers_to_accounts)
    assert asyncio.run(salts.destroy(name)) == ()
    salts.close()
    assert copies(filesystem, alice) == [0, 0, 0, 0]
    assert copies(filesystem, bob) == [1, 1, 1, 1]
    filesystem.mount(folder)
    salts = SaltFile.open(str(folder), refers_to_accounts)
    assert asyncio.run(salts.find(ALICE, (1,))) == ()
    assert salts.damaged == 0
    salts.close()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("btrfs", "cow-filesystem"), ("ext4-journal", "journaled-data"), ("ext4-journal-default", "journaled-data")],
)
def test_where_nothing_is_written_in_place_that_is_said(raw_fs: MakeFs, kind: str, reason: str) -> None:
    """The slot is destroyed as well as can be, and the reason says that its old bytes may still be there."""
    filesystem = raw_fs(kind)
    folder = filesystem.mount_point
    assert folder is not None
    name, alice, _ = asyncio.run(_two_accounts(folder))
    salts = SaltFile.open(str(folder), refers_to_accounts)
    reasons = asyncio.run(salts.destroy(name))
    salts.close()
    assert reason in reasons
    assert alice not in slots_of(folder)


async def _life(rig: Rig) -> None:
    await rig.released()
    for number in range(40):
        request = WipeRequest(f"r-{number}", "manual", "", rig.now)
        await rig.ledger.requests.add(PHONE, request, reference="T-1", reason="Li-Wei-asked-for-it", operator="op")


@pytest.mark.parametrize("kind", ["ext4", "ext4-journal", "xfs", "btrfs"])
def test_a_reference_never_reaches_the_device(raw_fs: MakeFs, kind: str) -> None:
    """Not in the ledger, its log, a journal or a freed block: searched on the raw device after a whole life, where the phone's UUID is found."""
    filesystem = raw_fs(kind)
    folder = filesystem.mount_point
    assert folder is not None

    async def story() -> None:
        async with rig_in(folder) as rig:
            await _life(rig)

    asyncio.run(story())
    filesystem.unmount()
    assert occurrences(filesystem.image, PHONE.encode()) > 0
    for text in (ALICE.value, "alice", "customers.example", "asked-for-it"):
        assert occurrences(filesystem.image, text.encode()) == 0, text
