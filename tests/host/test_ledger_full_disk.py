"""A full disk under the ledger: an error of ours, nothing half-recorded, and usable again when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.rawdevice import MIB, RawFilesystem
from tests.unit.record.rig import PHONE, Rig, domain, record, rig_in, uuid_of, yes
from wiped.errors import LedgerError
from wiped.model.records import WipeStep

MakeFs = Callable[..., RawFilesystem]


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Every block of the filesystem is taken, for as long as this lasts."""
    ballast = folder / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (MIB, 65_536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while os.write(fd, os.urandom(size)):
                    pass
        os.fsync(fd)
        yield
    finally:
        os.close(fd)
        ballast.unlink()
        os.sync()


async def everything(rig: Rig) -> object:
    """What the ledger says, for a comparison."""
    return (
        await rig.ledger.phones.find(),
        await rig.ledger.subscriptions.current(),
        await rig.ledger.wipes.find(),
        await rig.ledger.audit.entries(limit=100_000),
    )


async def _refused_for_want_of_room(rig: Rig) -> int:
    """Writes until there is no room left in what was preallocated; how many writes were taken whole before."""
    for taken in range(10_000):
        try:
            await rig.ledger.audit.note("filler", {"text": "x" * 500, "n": taken}, rig.now)
        except LedgerError:
            return taken
    raise AssertionError("the disk never filled")


async def _story(folder: Path) -> None:
    async with rig_in(folder) as rig:
        await rig.begun()
        with full(folder):
            taken = await _refused_for_want_of_room(rig)
            before = await everything(rig)
            entries = await rig.ledger.audit.entries(limit=100_000)
            assert [entry.body["n"] for entry in entries if entry.kind == "filler"] == list(range(taken))
            many = [domain(uuid_of(number), f"p{number}") for number in range(100, 900)]
            for call in (
                lambda: rig.ledger.phones.see(many, rig.now),
                lambda: rig.bind(*(record(uuid_of(number)) for number in range(1000, 1200))),
                lambda: rig.ledger.artefacts.save_ranges("w-1", "a1", [b"x" * 400_000], "00" * 32),
                lambda: rig.ledger.wipes.last_word("w-1", rig.now, yes),
            ):
                try:
                    await call()
                except LedgerError:
                    continue
                raise AssertionError("a write was taken on a full disk")
            assert await everything(rig) == before
            assert "full" in rig.ledger.fault
        # There is room again: the same ledger, not opened anew, goes on.
        await rig.ledger.wipes.last_word("w-1", rig.now, yes)
        assert rig.ledger.fault == ""
        await rig.ledger.phones.see(many, rig.now)
        wipe = await rig.ledger.wipes.get("w-1")
        assert wipe is not None
        assert wipe.step is WipeStep.ERASING
        assert wipe.artefacts[0].map_digest != "00" * 32
        head = await rig.ledger.audit.verify()
    async with rig_in(folder) as again:
        assert await again.ledger.audit.verify() == head
        assert await again.ledger.phones.get(PHONE) is not None


def test_a_full_disk_under_the_ledger(raw_fs: MakeFs) -> None:
    """LedgerError (75) for each write; reads go on; not one of the refused writes left a trace; then it works again, without a restart."""
    filesystem = raw_fs("ext4", size=24 * MIB, mkfs_options=("-m", "0"))
    assert filesystem.mount_point is not None
    asyncio.run(_story(filesystem.mount_point))


async def _no_room_for_salts(folder: Path) -> None:
    async with rig_in(folder) as rig:
        size = (folder / "salts").stat().st_size
        with full(folder):
            try:
                for number in range(300):
                    await rig.salts.pseudonym(record().account, number)
            except LedgerError:
                pass
            else:
                raise AssertionError("the salt file grew on a full disk")
            assert (folder / "salts").stat().st_size == size
        known = await rig.salts.find(record().account, range(300))
        assert len(known) == 255
        await rig.salts.pseudonym(record().account, 299)
    async with rig_in(folder) as again:
        assert await again.salts.find(record().account, range(255)) == known
        assert again.salts.damaged == 0


def test_a_full_disk_under_the_salt_file(raw_fs: MakeFs) -> None:
    """Preallocated slots are still given out; growing is refused, whole; then it works again."""
    filesystem = raw_fs("ext4", size=24 * MIB, mkfs_options=("-m", "0"))
    assert filesystem.mount_point is not None
    asyncio.run(_no_room_for_salts(filesystem.mount_point))
