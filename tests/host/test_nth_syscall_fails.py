"""The n-th call of one of the kernel's doors fails in a real eraser or observer on a real filesystem, n rising until a wipe passes untouched.

After each: no false `clear` (the raw device is searched), the neighbour's and the golden file's bytes are the same, and helpers without a fault finish.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage, digest, random_file
from tests.host.failing_helpers import DOORS
from tests.lab.libvirtfiles import Disk
from tests.patience import PATIENCE
from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.conduct.wipe.run import Executor
from wiped.errors import WipedError
from wiped.helpers.eraser import EraserProcess
from wiped.helpers.observer import ObserverProcess
from wiped.model.inventory import DiskSource
from wiped.model.records import WipeRecord, WipeStep

SIZE = 64 * 1024
#: What an observer never calls: it changes nothing.
CHANGES = {"pwrite", "fsync", "ftruncate", "unlink", "mkdir", "rmdir", "rename"}
DOORS_OF = {"eraser": list(DOORS), "observer": [call for call in DOORS if call not in CHANGES]}


#: Those that take seconds run with every test, the others with the long ones.
QUICK = {("eraser", call, False) for call in ("pwrite", "fsync", "rename", "unlink")}
CASES = [
    pytest.param(
        role, call, for_ever, id=f"{role}-{call}-{'for-ever' if for_ever else 'once'}", marks=[] if (role, call, for_ever) in QUICK else pytest.mark.long
    )
    for role, calls in DOORS_OF.items()
    for call in calls
    for for_ever in ((False, True) if (role, call, False) in QUICK else (False,))
]


class Helpers:
    """The fork server beside one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.fault = stage.base / "fault"
        self.fault.write_text("")
        self.sockets = {role: str(stage.base / f"{role}.sock") for role in ("eraser", "observer")}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the block ends."""
        settings = {"rules": asdict(self.stage.rules), "directories": asdict(self.stage.files.directories), "fault": str(self.fault), **self.sockets}
        command = [sys.executable, "-m", "tests.host.failing_helpers", json.dumps(settings)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == b"ready\n"
                yield
            finally:
                server.kill()

    def break_at(self, role: str, call: str, at: int, *, for_ever: bool) -> None:
        """The next connections have this fault."""
        self.fault.write_text(json.dumps({"role": role, "call": call, "at": at, "for_ever": for_ever}))
        self.fault.with_name("fault.fired").unlink(missing_ok=True)

    def mend(self) -> bool:
        """No fault from here on; whether there was one that came."""
        self.fault.write_text("")
        return self.fault.with_name("fault.fired").exists()


class Story:
    """One phone with one disk, its daemon's inside, and real helpers."""

    def __init__(self, helpers: Helpers, number: int, content: bytes) -> None:
        self.helpers, self.stage = helpers, helpers.stage
        self.disk = self.stage.images / f"phone-{number}.raw"
        self.disk.write_bytes(content)
        os.sync()
        self.rig = Rig()
        self.uuid = self.rig.host.add_phone(1)
        self.stage.files.define("phone-1", [Disk(str(self.disk), "raw")], uuid=self.uuid)
        self.rig.host.update(self.uuid, disks=(DiskSource("vda", "file", str(self.disk), "raw"),), nvram="")

    async def boot(self) -> None:
        """A new daemon, over the real helpers."""
        await self.rig.reboot()
        sockets = self.helpers.sockets
        eraser = EraserProcess(config="", socket_path=sockets["eraser"], silence=PATIENCE, farewell=PATIENCE)
        observer = ObserverProcess(config="", socket_path=sockets["observer"], parallel=1, silence=PATIENCE)
        rules = replace(self.stage.rules, parallel_wipes=1)
        self.rig.world = replace(self.rig.world, eraser=eraser, observer=observer, rules=rules)
        self.rig.executor = Executor(self.rig.world)
        self.observer = observer

    async def run(self, wipe: WipeRecord) -> Ending | None:
        """One run on a new daemon; None when the world failed."""
        await self.boot()
        try:
            with suppress(WipedError):
                return await self.rig.executor.run(wipe.id)
        finally:
            await self.observer.close()
        return None

    async def finish(self, wipe: WipeRecord) -> None:
        """Healthy helpers, until it is over."""
        for _ in range(6):
            if await self.run(wipe) is Ending.RELEASED:
                return
            found = await self.rig.ledger.wipes.get(wipe.id)
            assert found is not None
            if found.step is WipeStep.QUARANTINED:
                assert found.retry_at is not None, found.reasons
                self.rig.clock.move((found.retry_at - self.rig.clock.now()).total_seconds() + 1)
        raise AssertionError(f"the wipe never ends: {found}")


@pytest.mark.parametrize(("role", "call", "for_ever"), CASES)
async def test_the_nth_call_of_a_door_fails(raw_fs, markers, role: str, call: str, for_ever: bool, scratch: Path) -> None:
    """For every n until none fails any more (every third of the many calls that only look, to keep the time)."""
    filesystem = raw_fs("ext4")
    at = filesystem.mount_point
    stage = Stage(scratch, images=at / "images")
    neighbour, golden = random_file(stage.images / "neighbour.raw", SIZE), random_file(stage.golden / "base.raw", SIZE)
    stage.files.define("neighbour", [Disk(str(neighbour), "raw")])
    kept = [digest(neighbour), digest(golden)]
    helpers = Helpers(stage)
    points, n = 0, 0
    with helpers.running():
        while True:
            content = b"".join(markers.block(number) for number in range(SIZE // 4096))
            story = Story(helpers, n, content)
            wipe = await story.rig.begun(story.uuid)
            helpers.break_at(role, call, n, for_ever=for_ever)
            await story.run(wipe)
            fired = helpers.mend()
            issued = [each for each in story.rig.ledger.certificates.issued if each.kind == "certificate"]  # type: ignore[attr-defined]
            if issued:
                assert not story.disk.exists()
                assert filesystem.count(markers.prefix) == 0, (role, call, n)
            await story.finish(wipe)
            assert not story.disk.exists()
            left = [path for path in stage.images.iterdir() if path != neighbour]
            assert not [path.name for path in left if call != "rmdir" or not path.is_dir() or any(path.iterdir())]  # at worst an empty directory of ours
            assert [digest(neighbour), digest(golden)] == kept
            if not fired:
                break
            points += 1
            n += 1 if n < 40 else 3
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0
    print(f"{role} {call} {'for ever' if for_ever else 'once'}: {points} points")
