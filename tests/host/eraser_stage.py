"""A stage for the eraser: images below a root, libvirt's files written by hand, real eraser processes, and proof by `storage.direct`."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import subprocess
import sys
import uuid as uuids
import weakref
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.lab.forks import measured, server
from tests.lab.libvirtfiles import LibvirtFiles
from tests.patience import PATIENCE
from wiped.errors import RefusedError
from wiped.helpers.eraser import EraserProcess, Session
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.outcome import EraseResult, Evidence, Via
from wiped.model.policy import StorageRules
from wiped.storage.blockdev import whole_device_map
from wiped.storage.direct import compare_ranges
from wiped.storage.extents import ExtentMap, read_extents
from wiped.storage.kernel import identity_of
from wiped.storage.keystream import Keystream
from wiped.wire.messages import Lock, LockStep

SEED = bytes(range(32))


class Stage:
    """`images`: the root; `golden`: a protected root; `files`: libvirt's."""

    def __init__(self, base: Path, images: Path | None = None, files: LibvirtFiles | None = None) -> None:
        self.base = base
        self.images = images or base / "images"
        self.golden = base / "golden"
        self.outside = base / "outside"
        for path in (self.images, self.golden, self.outside):
            path.mkdir(exist_ok=True)
        self.files = files or LibvirtFiles(base / "libvirt")
        self.rules = StorageRules(roots=(str(self.images), str(self.golden)), protected=(str(self.golden),))

    def eraser(self, **rules: object) -> EraserProcess:
        """The port, over a child with this stage's rules and directories."""
        settings = {"rules": asdict(self.rules) | rules, "directories": asdict(self.files.directories)}
        words = [str(Path(__file__).with_name("eraser_child.py")), json.dumps(settings)]
        if measured():
            return EraserProcess(config="", command=(sys.executable, "-I", *words), silence=PATIENCE, farewell=PATIENCE)
        address = f"\0wiped-tests-{os.getpid()}-{secrets.token_hex(8)}"
        listener = server().listen(address, "tests.host.eraser_child:main", words)
        port = EraserProcess(config="", socket_path=address, silence=PATIENCE, farewell=PATIENCE)
        weakref.finalize(port, listener.leave)
        return port

    def request(self, uuid: str, name: str, paths: Sequence[Path | str], **fields: object) -> Lock:
        """A plan over these files, as they are now."""
        return Lock(wipe_id="w", uuid=uuid, name=name, steps=tuple(step(path) for path in paths), **fields)  # type: ignore[arg-type]

    async def wipe(self, request: Lock) -> tuple[str, ...]:
        """All that a daemon without any scruple would have the eraser do; returns the codes it refused with, () for none."""
        try:
            async with self.eraser().session() as session:
                await session.lock(request)
                for each in request.steps:
                    result = await erase(session, each)
                    if not result.reasons:
                        await session.remove(each.artefact_id, prove(each, result))
        except RefusedError as error:
            return error.codes
        return ()


def step(path: Path | str, artefact_id: str = "", rename_to: str = "", **fields: object) -> LockStep:
    """One artefact of a plan; `identity` and digest as the file (or its target) stands now."""
    values: dict[str, object] = {"kind": ArtefactKind.DISK_IMAGE, "format": "raw", "identity": identity(path)}
    values |= fields
    return LockStep(
        artefact_id=artefact_id or secrets.token_hex(4),
        location=str(path),
        rename_to=rename_to or f".wiped-{secrets.token_hex(16)}",
        **values,  # type: ignore[arg-type]
    )


def identity(path: Path | str) -> FileIdentity:
    """Device and inode of a file; (1, 1) where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return FileIdentity(1, 1)
    return identity_of(found)


def map_digest(path: Path | str) -> str:
    """Digest of a file's extent map."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return mapped(fd).digest
    finally:
        os.close(fd)


def mapped(fd: int) -> ExtentMap:
    """The map of an open file, or of a whole device."""
    return whole_device_map(fd) if stat.S_ISBLK(os.fstat(fd).st_mode) else read_extents(fd)


async def erase(
    session: Session, each: LockStep, *, passes: int = 1, digest: str = "", progress: Callable[[int, int], None] = lambda _done, _total: None
) -> EraseResult:
    """Erase with the digest of the map as it is now."""
    return await session.erase(each.artefact_id, SEED, digest or map_digest(each.location), passes, progress)


def prove(each: LockStep, result: EraseResult, *, passes: int = 1, path: str = "") -> Evidence:
    """Read the file back, O_DIRECT, and compare with the keystream: what the observer would say."""
    fd = os.open(path or each.location, os.O_RDONLY | os.O_DIRECT)
    try:
        extents = mapped(fd)
        seen = compare_ranges(fd, extents, Keystream(SEED, each.artefact_id, passes), physical=False)
    finally:
        os.close(fd)
    assert extents.digest == result.digest_after
    return Evidence(each.artefact_id, str(Via.FILE_ODIRECT), seen.bytes, seen.mismatches, extents.digest)


def digest(path: Path | str) -> str:
    """SHA-256 of a file's content, and its size; "" where there is none."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def random_file(path: Path, size: int = 1 << 20) -> Path:
    """A synced file of random bytes."""
    with path.open("xb") as file:
        file.write(os.urandom(size))
        os.fsync(file.fileno())
    return path


def new_uuid() -> str:
    """A random UUID."""
    return str(uuids.uuid4())


def run(*argv: str) -> str:
    """Run a program; its output, or an error with it."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
