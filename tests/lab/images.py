"""Images with known content: golden images, overlays, raw ones, snapshots; markers written offline, as a guest would.

Formats are always stated, never probed (docs/physics.md 5). All functions raise LabError with the tool's own words.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from tests.lab.mounts import SCRATCH_BASE
from tests.lab.privatelibvirt import LabError, PrivateLibvirt
from tests.lab.rawdevice import BLOCK, Markers
from tests.lab.rawdevice import MIB as MIB  # noqa: PLC0414 - others take it from here


def create(path: Path, size: int = 64 * MIB, fmt: str = "qcow2", *, options: str = "") -> Path:
    """A new image of ``size`` virtual bytes; ``options`` as of ``qemu-img create -o`` (raw: ``preallocation=full``)."""
    _run("qemu-img", "create", "-q", "-f", fmt, *(["-o", options] if options else []), str(path), str(size))
    return path


def overlay(path: Path, base: Path, base_format: str = "qcow2") -> Path:
    """A new qcow2 over ``base``."""
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", base_format, str(path))
    return path


def golden(path: Path, size: int = 64 * MIB) -> Path:
    """A golden qcow2, read-only: an ext4 filesystem, empty but for a file of the provider's."""
    with tempfile.TemporaryDirectory(dir=SCRATCH_BASE) as directory:
        raw, tree = Path(directory) / "raw", Path(directory) / "tree"
        (tree / "system").mkdir(parents=True)
        (tree / "system/build.prop").write_text("ro.build.id=GOLDEN\n" * 1000)
        with raw.open("xb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), "-L", "userdata", "-d", str(tree), str(raw))
        _run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path))
    path.chmod(0o444)
    return path


def write_markers(path: Path, markers: Markers, blocks: int, fmt: str = "qcow2", *, at_block: int = 0) -> None:
    """Write marked blocks at guest offset ``at_block`` x 4 KiB into an image that no guest uses, through ``qemu-io``."""
    with tempfile.NamedTemporaryFile(dir=SCRATCH_BASE) as source:
        for number in range(at_block, at_block + blocks):
            source.write(markers.block(number))
        source.flush()
        write = f"write -s {source.name} {at_block * BLOCK} {blocks * BLOCK}"
        _run("qemu-io", "-f", fmt, "-t", "none", "-c", write, "-c", "flush", str(path))


def discard(path: Path, first_block: int, blocks: int, fmt: str = "qcow2") -> None:
    """Discard guest blocks, as a guest's trim with ``discard='unmap'`` does."""
    command = f"discard {first_block * BLOCK} {blocks * BLOCK}"
    _run("qemu-io", "-f", fmt, "-d", "unmap", "-c", command, "-c", "flush", str(path))


def internal_snapshot(path: Path, name: str) -> None:
    """Take an internal qcow2 snapshot, offline."""
    _run("qemu-img", "snapshot", "-c", name, str(path))


def external_snapshots(libvirt: PrivateLibvirt, domain: str, directory: Path, count: int, disk: str = "vda") -> list[Path]:
    """Put ``count`` external overlays on a defined domain's disk, disk only, as libvirt does; oldest first."""
    made = []
    for number in range(1, count + 1):
        path = directory / f"{domain}.snap{number}"
        libvirt.virsh("snapshot-create-as", domain, f"snap{number}", "--disk-only", "--atomic", "--diskspec", f"{disk},snapshot=external,file={path}")
        made.append(path)
    return made


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def allocated(path: Path) -> int:
    """Bytes that a file occupies."""
    return path.stat().st_blocks * 512


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    # qemu-io answers 0 to commands that failed; it says so in words
    if done.returncode != 0 or "failed:" in done.stdout + done.stderr:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
