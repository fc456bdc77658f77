"""The race: a hostile process exchanges files, links and directories as fast as the kernel lets it, while the eraser wipes phone after phone.

Every plan is honest: made before the exchanging begins. So whatever stands under the phone's name at any later moment, the victims (a golden image,
another phone's disk, a file of the host) must end with every byte, under their own names.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.host.eraser_stage import Stage, digest, erase, map_digest, random_file, step
from tests.lab.libvirtfiles import Disk
from wiped.errors import RefusedError, StorageError
from wiped.model.outcome import Evidence, Via
from wiped.wire.messages import Lock, LockStep

SIZE = 64 << 10
MOMENTS = ("before the lock", "after the lock", "after the erasing")
PAIRS = ("theirs", "golden", "host-file", "symlink", "fifo", "directories", "linked-directory", "rename-target", "golden-at-rename-target")


@dataclass
class Tally:
    """What a race came to."""

    attempts: int = 0
    wiped: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    exchanged: int = 0

    def __str__(self) -> str:
        codes = ", ".join(f"{count} {code}" for code, count in self.refused.most_common())
        return f"{self.attempts} wipes raced: {self.wiped} done, refused: {codes or 'none'}; {self.tried} exchanges tried, {self.exchanged} done"


def build_exchanger(where: Path) -> Path:
    """Compile exchanger.c."""
    program = where / "exchanger"
    subprocess.run(["gcc", "-O2", "-o", str(program), str(Path(__file__).with_name("exchanger.c"))], check=True)
    return program


class Arena:
    """One phone with a disk in a directory of its own, and everything that it may be exchanged with."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.theirs = random_file(stage.images / "theirs.raw", SIZE)
        stage.files.define("theirs", [Disk(str(self.theirs), "raw")])
        self.golden = random_file(stage.golden / "disk.raw", SIZE)
        self.host_file = random_file(stage.outside / "disk.raw", SIZE)
        self.victims = {path: digest(path) for path in (self.theirs, self.golden, self.host_file)}
        self.link = stage.images / "a-link"
        self.link.symlink_to(self.golden)
        self.linked = stage.images / "a-linked-directory"
        self.linked.symlink_to(stage.golden)
        self.fifo = stage.images / "a-fifo"
        os.mkfifo(self.fifo)
        self.numbers = itertools.count()

    def phone(self) -> tuple[Lock, LockStep, Path]:
        """A new phone and its honest plan."""
        name = f"phone-{next(self.numbers)}"
        directory = self.stage.images / name
        directory.mkdir()
        disk = random_file(directory / "disk.raw", SIZE)
        uuid = self.stage.files.define(name, [Disk(str(disk), "raw")])
        only = step(disk)
        return Lock("w", uuid, name, (only,)), only, disk

    def pairs(self, chosen: list[str], disk: Path, rename_to: str) -> list[str]:
        """Paths for the exchanger."""
        partner = {
            "theirs": (disk, self.theirs),
            "golden": (disk, self.golden),
            "host-file": (disk, self.host_file),
            "symlink": (disk, self.link),
            "fifo": (disk, self.fifo),
            "directories": (disk.parent, self.stage.golden),
            "linked-directory": (disk.parent, self.linked),
            "rename-target": (disk.parent / rename_to, self.theirs),
            "golden-at-rename-target": (disk.parent / rename_to, self.golden),
        }
        return [str(path) for name in chosen for path in partner[name]]

    def harmed(self) -> list[str]:
        """Victims that are not what and where they were."""
        return [str(path) for path, before in self.victims.items() if path.is_symlink() or digest(path) != before]

    def put_back(self) -> None:
        """Two pairs that are exchanged around the eraser's own renames do not always end where they began: what stands elsewhere now gets its name again.
        What is lost stays lost."""
        homeless = {self.victims[Path(path)]: Path(path) for path in self.harmed()}
        if homeless:
            files = [path for path in self.stage.base.rglob("*") if path.is_file() and not path.is_symlink()]
            for path, found in [(path, digest(path)) for path in files]:
                if found in homeless:
                    path.rename(homeless[found].with_name(homeless[found].name + ".found"))
            for home in homeless.values():
                aside = home.with_name(home.name + ".found")
                if aside.exists():
                    aside.rename(home)


async def race(stage: Stage, where: Path, wipes: int, exchanges: int, seed: int = 0, *, wiped: int = 0) -> Tally:
    """Race at least so many wipes, until so many exchanges were done and so many phones `wiped`, however long that takes; ten times as many wipes at most.

    Raises AssertionError as soon as a victim is harmed."""
    chance, tally = random.Random(seed), Tally()
    exchanger, arena = build_exchanger(where), Arena(stage)
    while tally.attempts < wipes or (tally.attempts < 10 * wipes and (tally.exchanged <= exchanges or tally.wiped <= wiped)):
        request, only, disk = arena.phone()
        # Two pairs at once share no name; directories take what is in them along, so they race alone.
        chosen = chance.choice([*([name] for name in PAIRS), ["rename-target", "symlink"], ["rename-target", "golden"], ["golden-at-rename-target", "theirs"]])
        moment = chance.choice(MOMENTS)
        pairs = arena.pairs(chosen, disk, only.rename_to)
        codes = await _one(stage, request, only, moment, [str(exchanger), "20", *pairs], tally)
        tally.attempts += 1
        tally.refused.update(codes)
        tally.wiped += not codes
        if len(chosen) > 1:
            arena.put_back()
        assert arena.harmed() == [], f"{chosen} {moment}: {codes}; {tally}"
        _tidy(stage, request.name)
    return tally


async def _one(stage: Stage, request: Lock, only: LockStep, moment: str, attack: list[str], tally: Tally) -> tuple[str, ...]:
    """One wipe with the exchanger at work from `moment` on; the codes that it ended with."""
    hostile: asyncio.subprocess.Process | None = None

    async def begin(now: str) -> None:
        nonlocal hostile
        if now == moment:
            hostile = await asyncio.create_subprocess_exec(*attack, stdout=asyncio.subprocess.PIPE)

    extents = map_digest(only.location)
    try:
        async with stage.eraser().session() as session:
            await begin("before the lock")
            await session.lock(request)
            await begin("after the lock")
            result = await erase(session, only, digest=extents)
            if result.reasons:
                return result.reasons
            await begin("after the erasing")
            # The evidence is all that it should be: what is raced here is the removal.
            await session.remove(only.artefact_id, Evidence(only.artefact_id, str(Via.FILE_ODIRECT), result.bytes_overwritten, 0, result.digest_after))
    except RefusedError as error:
        return error.codes
    except StorageError as error:
        return (error.reason,)
    finally:
        if hostile is not None:
            hostile.terminate()
            tried, done = (await hostile.communicate())[0].split()
            tally.tried += int(tried)
            tally.exchanged += int(done)
    return ()


def _tidy(stage: Stage, name: str) -> None:
    """The phone is gone, and whatever is left in its directory."""
    (stage.files.config / f"{name}.xml").unlink()
    subprocess.run(["rm", "-rf", str(stage.images / name)], check=True)
