"""A file behind a loop device is not destroyed through that device: the victim's digest stays, and the refusal names its code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage, digest, random_file
from tests.host.test_eraser_devices import SIZE, BlockDisk, Loops, plan, wipe
from tests.lab.libvirtfiles import Disk


@pytest.fixture
def loops() -> Iterator[Loops]:
    made = Loops()
    yield made
    made.close()


@pytest.fixture
def stage(scratch: Path) -> Stage:
    return Stage(scratch)


async def test_a_golden_file_in_a_protected_root_is_not_erased_through_a_loop_device(stage: Stage, loops: Loops) -> None:
    """The device is under a root, the file that it shows is under a protected one."""
    victim = random_file(stage.golden / "base.raw", SIZE)
    device = loops.show(victim)
    uuid = stage.files.define("mine", [BlockDisk(device)])
    before = digest(victim)
    assert "protected-root" in await wipe(stage, plan(uuid, device), device)
    os.sync()
    assert digest(victim) == before


async def test_a_golden_file_is_not_erased_through_a_partition_of_its_loop_device(stage: Stage, loops: Loops) -> None:
    """The same for what stands on the loop device."""
    victim = stage.golden / "base.raw"
    _, one, _ = loops.parts(victim)
    uuid = stage.files.define("mine", [BlockDisk(one)])
    before = digest(victim)
    assert "protected-root" in await wipe(stage, plan(uuid, one), one)
    os.sync()
    assert digest(victim) == before


async def test_a_file_classified_golden_is_not_erased_through_a_loop_device(stage: Stage, loops: Loops) -> None:
    """Golden by its inode is golden behind a device too."""
    victim = random_file(stage.images / "base.raw", SIZE)
    stage.files.classify(victim, "golden")
    device = loops.show(victim)
    uuid = stage.files.define("mine", [BlockDisk(device)])
    before = digest(victim)
    assert "protected-root" in await wipe(stage, plan(uuid, device), device)
    os.sync()
    assert digest(victim) == before


async def test_media_lent_to_the_phone_are_not_erased_through_a_loop_device(stage: Stage, loops: Loops) -> None:
    """A CD that the phone only reads, and a loop device on it that its XML gives as a disk."""
    victim = random_file(stage.images / "install.iso", SIZE)
    device = loops.show(victim)
    uuid = stage.files.define("mine", [BlockDisk(device), Disk(str(victim), "raw", "cdrom", "<readonly/>")])
    before = digest(victim)
    assert await wipe(stage, plan(uuid, device), device) != ()
    os.sync()
    assert digest(victim) == before


async def test_a_file_with_a_second_name_is_not_erased_through_a_loop_device(stage: Stage, loops: Loops) -> None:
    """A hard link into the protected root, shown by its name outside."""
    victim = random_file(stage.golden / "base.raw", SIZE)
    os.link(victim, stage.images / "link.raw")
    device = loops.show(stage.images / "link.raw")
    uuid = stage.files.define("mine", [BlockDisk(device)])
    before = digest(victim)
    assert "hard-link" in await wipe(stage, plan(uuid, device), device)
    os.sync()
    assert digest(victim) == before
