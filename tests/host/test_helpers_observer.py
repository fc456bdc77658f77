"""The observer as a process: started as in production, one line at a time, dying, hanging, and lacking privileges."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.observer_stage import ARTEFACT, CHILD, directories_in, erase, identity_of, map_digest, observer, request_for, settings_of
from tests.lab.privatelibvirt import alive, children
from tests.patience import PATIENCE
from wiped.errors import HelperError, RefusedError, StorageError
from wiped.helpers.link import connect
from wiped.helpers.observer import ObserverProcess
from wiped.model.inventory import DiskSource, DomainFacts, FileIdentity, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.storage.extents import ExtentMap
from wiped.wire.messages import Erase, Failure

ME = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def image(scratch: Path) -> Path:
    """A 32 MiB image on the machine's own filesystem, in a root of its own."""
    root = scratch / "images"
    root.mkdir()
    path = root / "phone.raw"
    path.write_bytes(os.urandom(1 << 20) * 32)
    return path


@pytest.fixture
def rules(image: Path) -> StorageRules:
    """The image's root."""
    return StorageRules(roots=(str(image.parent),), writers=2)


@pytest.fixture
def directories(scratch: Path) -> LibvirtDirectories:
    """Empty libvirt directories."""
    return directories_in(scratch / "libvirt")


def phone(image: Path) -> DomainFacts:
    """A phone with one disk."""
    return DomainFacts(ME, "phone", disks=(DiskSource("vda", "file", str(image), "raw"),))


def observers() -> set[int]:
    """Ids of the observer processes that this one started."""
    return {pid for pid in children(os.getpid()) if b"observer" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def nothing(done: int, total: int) -> None:
    """Progress that nobody looks at."""


async def test_as_started_in_production(image: Path, scratch: Path) -> None:
    """`wiped observer --config FILE` answers with the rules of the file, and ends with its line."""
    config = scratch / "wiped.toml"
    config.write_text(f'[storage]\nroots = ["{image.parent}"]\n')
    async with ObserverProcess(socket_path="", config=str(config), parallel=1) as eyes:
        inventory = await eyes.survey(phone(image), [], with_extents=True)
        (pid,) = observers()
    assert inventory.artefacts[0].layer.under_root == str(image.parent)
    assert inventory.artefacts[0].layer.extents is not None
    assert not alive(pid)


async def test_configuration_that_others_can_write(image: Path, scratch: Path) -> None:
    """The helper takes no rules from a file that somebody else could have written: it ends, and the call says so."""
    config = scratch / "wiped.toml"
    config.write_text(f'[storage]\nroots = ["{image.parent}"]\n')
    config.chmod(0o666)
    async with ObserverProcess(socket_path="", config=str(config), parallel=1) as eyes:
        with pytest.raises(HelperError, match="exit status 78"):
            await eyes.survey(phone(image), [], with_extents=True)


async def test_ranges_come_whole(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """The blobs are the map, with its digest; a file of many extents comes in several chunks."""
    with image.open("r+b") as file:
        file.truncate(0)
        for block in range(40_000):  # every other block of 1 KiB logical, so nothing merges
            os.pwrite(file.fileno(), b"x", block * 8192)
    os.sync()
    async with observer(rules, directories) as eyes:
        blobs, digest = await eyes.ranges(str(image), identity_of(image))
    assert len(blobs) == 2
    assert ExtentMap.from_blobs(blobs).digest == digest == map_digest(image)


async def test_progress_and_evidence(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """A read-back tells its progress, ascending, and brings evidence."""
    request = erase(image)
    told: list[tuple[int, int]] = []
    async with observer(rules, directories) as eyes:
        evidence = await eyes.read_back(request, lambda done, total: told.append((done, total)))
    assert (evidence.reasons, evidence.artefact_id, evidence.bytes_verified) == ((), ARTEFACT, 32 << 20)
    assert told
    assert told == sorted(told)
    assert {total for _, total in told} == {32 << 20}


async def test_failures_leave_the_process_alive(image: Path, rules: StorageRules, directories: LibvirtDirectories, scratch: Path) -> None:
    """Every failure comes back as its own error, and the same process answers the next question."""
    outside = scratch / "outside.raw"
    outside.write_bytes(b"x")
    link = image.parent / "link.raw"
    link.symlink_to(image)
    async with observer(rules, directories) as eyes:
        await eyes.survey(phone(image), [], with_extents=False)
        before = observers()
        with pytest.raises(StorageError) as gone:
            await eyes.ranges(str(image.parent / "gone"), FileIdentity(1, 1))
        assert gone.value.reason == "vanished"
        for path, identity, code in (
            (outside, identity_of(outside), "outside-roots"),
            (link, identity_of(image), "symlink"),
            (image, FileIdentity(1, 1), "identity-changed"),
            (image.parent, identity_of(image.parent), "outside-roots"),
        ):
            with pytest.raises(RefusedError) as refused:
                await eyes.ranges(str(path), identity)
            assert refused.value.codes == (code,)
        assert (await eyes.survey(phone(image), [], with_extents=False)).artefacts
        assert observers() == before


async def test_messages_for_the_eraser_are_refused(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """The eyes have no hands: an `erase` is answered by a failure, and the image keeps its bytes."""
    command = observer(rules, directories)._command
    before = image.read_bytes()
    link = await connect("observer", socket_path="", config="", command=command)
    try:
        await link.send(Erase(ARTEFACT, "00" * 32, ""))
        answer = await link.receive(10)
        assert isinstance(answer, Failure)
        assert (answer.code, answer.detail) == ("helper-failure", "an observer does not take erase messages")
    finally:
        await link.close()
    assert image.read_bytes() == before


async def test_killed_observer(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """A dead observer is an error for the call that meets it; the next call starts another one."""
    async with observer(rules, directories) as eyes:
        await eyes.survey(phone(image), [], with_extents=True)
        (first,) = observers()
        os.kill(first, signal.SIGKILL)
        with pytest.raises(HelperError):
            await eyes.survey(phone(image), [], with_extents=True)
        assert (await eyes.survey(phone(image), [], with_extents=True)).artefacts
        assert observers() - {first}


async def test_silent_observer(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """An observer that hangs is given up after a bounded silence, and killed."""
    async with observer(rules, directories, silence=1) as eyes:
        await eyes.survey(phone(image), [], with_extents=True)
        (first,) = observers()
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(HelperError, match="said nothing for 1 s"):
            await eyes.survey(phone(image), [], with_extents=True)
        assert not alive(first)


async def test_survey_while_a_read_back_runs(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """Looks run beside a read-back, never on more processes than the pool has places."""
    request = erase(image)
    started = asyncio.Event()
    async with observer(rules, directories, parallel=1) as eyes:
        reading = asyncio.create_task(eyes.read_back(request, lambda done, total: started.set()))
        await started.wait()
        inventories = await asyncio.gather(*(eyes.survey(phone(image), [], with_extents=False) for _ in range(5)))
        assert len(observers()) == 2
        assert (await reading).reasons == ()
    assert all(inventory.artefacts for inventory in inventories)
    assert observers() == set()


async def test_cancelled_read_back_ends_its_process(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """A read-back that nobody waits for any more does not go on reading, and its line is not used again."""
    request = erase(image)
    started = asyncio.Event()
    async with observer(rules, directories) as eyes:
        reading = asyncio.create_task(eyes.read_back(request, lambda done, total: started.set()))
        await started.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert observers() == set()
        assert (await eyes.read_back(request, nothing)).reasons == ()


async def test_closed_client(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """After `close` no call starts anything."""
    eyes = observer(rules, directories)
    await eyes.survey(phone(image), [], with_extents=False)
    await eyes.close()
    assert observers() == set()
    with pytest.raises(HelperError):
        await eyes.survey(phone(image), [], with_extents=False)


async def test_it_changes_nothing_and_cannot_much(image: Path, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """Looking changes neither bytes nor times of a file; of root's capabilities only reading is left, with no way back."""
    before = image.read_bytes(), image.stat().st_mtime_ns, image.stat().st_ctime_ns
    async with observer(rules, directories) as eyes:
        await eyes.survey(phone(image), [], with_extents=True)
        await eyes.ranges(str(image), identity_of(image))
        evidence = await eyes.read_back(request_for(image), nothing)
        (pid,) = observers()
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        open_files = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    assert evidence.reasons == ("readback-mismatch",)
    assert (image.read_bytes(), image.stat().st_mtime_ns, image.stat().st_ctime_ns) == before
    assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")] == [1 << 2] * 3
    assert status["NoNewPrivs"].strip() == "1"
    assert not {name for name in open_files if str(image.parent) in name}, "nothing stays open between questions"


def test_other_users_are_turned_away(rules: StorageRules, directories: LibvirtDirectories) -> None:
    """A peer that is neither root nor `wiped` gets a failure and nothing else, and the process ends."""
    os.seteuid(65534)
    try:
        ours, theirs = socket.socketpair()
    finally:
        os.seteuid(0)
    with ours:
        with theirs:
            command = (sys.executable, str(CHILD), settings_of(rules, directories))
            ended = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=PATIENCE, check=False)
        line = ours.makefile("rb").readline()
        assert b'"type":"failure"' in line
        assert b"uid 65534 may not speak to this program" in line
    assert ended.returncode != 0


def test_module_for_the_observer_loads_no_hands() -> None:
    """The observer's process never loads the code that destroys."""
    script = "import sys, wiped.observe.observer; print([name for name in sys.modules if name.startswith(('wiped.erase', 'libvirt', 'sqlalchemy', 'aiohttp'))])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
