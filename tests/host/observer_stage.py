"""What the observer's host tests share: an erasing with the kernel's door, requests, and observer processes with the tests' rules."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

from wiped.helpers.observer import ObserverProcess
from wiped.model.inventory import FileIdentity, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.storage.direct import write_ranges
from wiped.storage.extents import read_extents
from wiped.storage.keystream import Keystream
from wiped.wire.messages import ReadBack

CHILD = Path(__file__).with_name("observer_child.py")
SEED = bytes(range(100, 132))
ARTEFACT = "art-0123456789abcdef"


def identity_of(path: Path) -> FileIdentity:
    """Device and inode of a file."""
    stat = path.stat()
    return FileIdentity(stat.st_dev, stat.st_ino)


def map_digest(path: Path) -> str:
    """The digest of a file's extent map."""
    with path.open("rb") as file:
        return read_extents(file.fileno()).digest


def erase(path: Path, seed: bytes = SEED) -> ReadBack:
    """Overwrite a file's blocks with its keystream and sync; returns the request that reads them back."""
    fd = os.open(path, os.O_RDWR)
    try:
        extents = read_extents(fd)
        assert write_ranges(fd, extents, Keystream(seed, ARTEFACT), writers=2) == extents.bytes
        os.fsync(fd)
    finally:
        os.close(fd)
    return request_for(path, seed=seed)


def request_for(path: Path, *, seed: bytes = SEED, fraction_millionths: int = 1_000_000) -> ReadBack:
    """A read-back of a file as it lies now."""
    return ReadBack(ARTEFACT, str(path), identity_of(path), seed.hex(), map_digest(path), fraction_millionths=fraction_millionths)


def directories_in(base: Path) -> LibvirtDirectories:
    """libvirt's directories beneath `base`, made."""
    found = LibvirtDirectories(
        config=f"{base}/etc",
        run=f"{base}/run",
        state=f"{base}/state",
        logs=f"{base}/logs",
        swtpm=f"{base}/swtpm",
        swtpm_logs=f"{base}/swtpm-logs",
        secrets=f"{base}/secrets",
        qemu_conf=f"{base}/qemu.conf",
        classified=f"{base}/classified",
        remembered=f"{base}/remembered",
    )
    for path in (found.config, found.run, f"{found.state}/save", found.logs):
        Path(path).mkdir(parents=True, exist_ok=True)
    return found


def settings_of(rules: StorageRules, directories: LibvirtDirectories) -> str:
    """The child's argument."""
    return json.dumps({"rules": dataclasses.asdict(rules), "directories": dataclasses.asdict(directories)})


def observer(rules: StorageRules, directories: LibvirtDirectories, *, parallel: int = 1, silence: float = 60, prefix: tuple[str, ...] = ()) -> ObserverProcess:
    """A client whose processes run with these rules. `prefix`: a program that runs the child."""
    command = (*prefix, sys.executable, str(CHILD), settings_of(rules, directories))
    return ObserverProcess(socket_path="", config="", parallel=parallel, silence=silence, command=command)
