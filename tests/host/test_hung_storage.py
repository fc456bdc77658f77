"""Storage that answers no read (a FUSE file whose server sleeps): a look at it has a bound, is told by name, and costs the other phones nothing but time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.observer_stage import directories_in
from tests.lab.privatelibvirt import alive, wait_for
from tests.patience import PATIENCE
from wiped.errors import HelperError
from wiped.helpers import link
from wiped.helpers.observer import ObserverProcess
from wiped.model.inventory import DiskSource, DomainFacts, FoundArtefact, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.observe.image import survey
from wiped.storage import time_limit

ME, OTHER = "11111111-2222-3333-4444-555555555555", "22222222-2222-3333-4444-555555555555"
HANGS = "its storage hangs"


class Hung:
    """A file whose reads do not come back before `answers` is called."""

    def __init__(self, path: Path, server: subprocess.Popen[bytes], sleeper: int) -> None:
        self.path = path
        self._server = server
        self._sleeper = sleeper

    def answers(self) -> None:
        """Every read comes back, with an error. Idempotent."""
        if self._server.returncode is None:
            os.kill(self._sleeper, signal.SIGKILL)
            self._server.kill()
            self._server.wait(PATIENCE)


@pytest.fixture
def storage(scratch: Path) -> Iterator[Hung]:
    """Storage that hangs."""
    at, kept = scratch / "hung", scratch / "pid"
    at.mkdir()
    serve = ["nbdkit", "-s", "-P", kept, "--filter=delay", "memory", "1M", "delay-read=10000"]
    server = subprocess.Popen(["nbdfuse", at, "--command", *serve])
    try:
        wait_for((at / "nbd").exists, "nbdfuse")
        wait_for(lambda: kept.exists() and kept.read_text().strip(), "nbdkit")
        hung = Hung(at / "nbd", server, int(kept.read_text()))
        try:
            yield hung
        finally:
            hung.answers()
    finally:
        server.kill()
        server.wait(PATIENCE)
        subprocess.run(["umount", "-l", at], check=True)


@pytest.fixture
def hung(storage: Hung) -> Path:
    """The file."""
    return storage.path


@pytest.fixture
def image(scratch: Path) -> Path:
    """A phone's own image, in a root of its own."""
    root = scratch / "images"
    root.mkdir()
    path = root / "phone.raw"
    path.write_bytes(os.urandom(1 << 20))
    return path


@pytest.fixture
def directories(scratch: Path) -> LibvirtDirectories:
    """Empty libvirt directories."""
    return directories_in(scratch / "libvirt")


def phone(uuid: str, image: Path, fmt: str = "raw") -> DomainFacts:
    """A phone with one disk."""
    return DomainFacts(uuid, f"phone-{uuid[0]}", disks=(DiskSource("vda", "file", str(image), fmt),))


def at(found: tuple[FoundArtefact, ...], path: Path) -> FoundArtefact:
    """The artefact at a path."""
    return next(artefact for artefact in found if artefact.layer.location == str(path))


def test_a_neighbour_on_hung_storage_holds_back_by_name(hung: Path, image: Path, directories: LibvirtDirectories, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its header could name any file, so nothing is erased meanwhile, and the phone is told why; asked again, nobody waits for it again. As a raw image, which
    names nothing, it holds back nobody."""
    monkeypatch.setattr(time_limit, "LOOK_SECONDS", 1.0)
    rules = StorageRules(roots=(str(image.parent),), writers=2)
    first = survey(phone(ME, image), [phone(OTHER, hung, "qcow2")], rules, directories, with_extents=True)
    assert [(code, path) for code, path, _ in first.problems] == [("unreadable", str(hung))]
    assert HANGS in first.problems[0][2]
    assert at(first.artefacts, image).layer.problem == ""
    began = time.monotonic()
    again = survey(phone(ME, image), [phone(OTHER, hung, "qcow2")], rules, directories, with_extents=True)
    assert time.monotonic() - began < time_limit.LOOK_SECONDS, "it waited for the same storage again"
    assert [(code, path) for code, path, _ in again.problems] == [("unreadable", str(hung))]
    assert not survey(phone(ME, image), [phone(OTHER, hung, "raw")], rules, directories, with_extents=True).problems


def test_a_phone_on_hung_storage_is_unreadable_itself(hung: Path, image: Path, directories: LibvirtDirectories, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look at its own disk ends too; what else it has is told as ever."""
    monkeypatch.setattr(time_limit, "LOOK_SECONDS", 1.0)
    rules = StorageRules(roots=(str(image.parent), str(hung.parent)), writers=2)
    domain = DomainFacts(ME, "phone", disks=(DiskSource("vda", "file", str(hung), "qcow2"), DiskSource("vdb", "file", str(image), "raw")))
    found = survey(domain, [], rules, directories, with_extents=True)
    own = at(found.artefacts, hung).layer
    assert own.problem == "unreadable"
    assert HANGS in own.detail
    assert at(found.artefacts, image).layer.problem == ""


#: A direct read: a signal does not end the wait for the server.
READS = """
import mmap, os, socket, sys
from wiped.helpers.link import HelperEnd
end = HelperEnd(socket.socket(fileno=0))
end.stop_on_sigterm()
end.greet("observer")
end.receive()
os.preadv(os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT), [mmap.mmap(-1, 4096)], 0)
"""


async def test_an_observer_that_cannot_be_killed_is_not_waited_for_nor_joined_by_another(storage: Hung, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the bound of the look does not help, the daemon's does: it goes on without the process, and starts no second one for this phone beside it."""
    monkeypatch.setattr(link, "KILLED_SECONDS", 0.5)
    monkeypatch.setattr("wiped.helpers.observer.FAREWELL_SECONDS", 0.5)
    command = (sys.executable, "-I", "-c", READS, str(storage.path))
    async with ObserverProcess(socket_path="", config="/nowhere", parallel=1, silence=2, command=command) as eyes:
        with pytest.raises(HelperError, match="said nothing"):
            await eyes.survey(phone(ME, image), [], with_extents=False)
        with pytest.raises(HelperError, match=r"process [0-9]+\) hangs in the kernel") as error:
            await eyes.survey(phone(ME, image), [], with_extents=False)
        process = int(str(error.value).partition("(process ")[2].partition(")")[0])
        assert alive(process)
        with pytest.raises(HelperError, match="said nothing"):
            await eyes.survey(phone(OTHER, image), [], with_extents=False)
        storage.answers()
        await asyncio.to_thread(wait_for, lambda: not alive(process), "the end of the process")
        with pytest.raises(HelperError, match="ended in the middle"):
            await eyes.survey(phone(ME, image), [], with_extents=False)
