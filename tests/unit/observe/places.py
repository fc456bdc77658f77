"""A phone's places in a directory of a test: images, libvirt's directories, and headers made by hand."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wiped.model.instants import instant_text
from wiped.model.inventory import DiskSource, DomainFacts, Inventory, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.observe.image import survey
from wiped.storage.classified import record_name

ME = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"


def qcow2(path: Path, *, backing: str = "", backing_format: str = "qcow2", size: int = 1 << 20) -> Path:
    """A sound qcow2 header (version 3) and nothing behind it."""
    extensions = struct.pack(">II", 0xE2792ACA, len(backing_format)) + backing_format.encode().ljust(8, b"\0") if backing and backing_format else b""
    extensions += struct.pack(">II", 0, 0)
    place = 104 + len(extensions) if backing else 0
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, place, len(backing), 16, size, 0, 1, 0, 0, 1, 0, 0)
    head += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    path.write_bytes((head + extensions + backing.encode()).ljust(65_536, b"\0"))
    return path


def saved_state(uuid: str, *, name: str = "phone", disks: str = "", magic: bytes = b"LibvirtQemudSave", length: int | None = None) -> bytes:
    """A managed save as libvirt 9 writes it, its RAM being so many letters."""
    xml = f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><devices>{disks}</devices></domain>".encode() + b"\0"
    cookie = b"<cookie/>\0"
    body = xml + cookie + bytes(1024)
    numbers = struct.pack("5I", 2, len(body) if length is None else length, 1, 0, 92 + len(xml))
    return magic + numbers + bytes(56) + body + b"RAM" * 4096


@dataclass(frozen=True)
class Places:
    """`images` is a root, `golden` a protected root; libvirt's own directories beside them."""

    base: Path

    def __post_init__(self) -> None:
        for name in ("images", "golden", "elsewhere", "state/save", "logs", "run/qemu", "etc/qemu", "swtpm", "swtpm-logs", "secrets"):
            (self.base / name).mkdir(parents=True)

    @property
    def images(self) -> Path:
        """The configured root."""
        return self.base / "images"

    @property
    def golden(self) -> Path:
        """The protected root."""
        return self.base / "golden"

    @property
    def directories(self) -> LibvirtDirectories:
        """libvirt's directories."""
        return LibvirtDirectories(
            config=f"{self.base}/etc/qemu",
            run=f"{self.base}/run/qemu",
            state=f"{self.base}/state",
            logs=f"{self.base}/logs",
            swtpm=f"{self.base}/swtpm",
            swtpm_logs=f"{self.base}/swtpm-logs",
            secrets=f"{self.base}/secrets",
            qemu_conf=f"{self.base}/etc/qemu.conf",
            classified=f"{self.base}/classified",
            remembered=f"{self.base}/remembered",
        )

    @property
    def rules(self) -> StorageRules:
        """The storage rules."""
        return StorageRules(roots=(str(self.images),), protected=(str(self.golden),))

    def raw(self, name: str, content: bytes = b"x" * 8192) -> Path:
        """A raw image (or whatever file) in the root."""
        path = self.base / name if "/" in name else self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def look(self, domain: DomainFacts, *others: DomainFacts, with_extents: bool = False, **rules: Any) -> Inventory:
        """A survey. `rules`: of the storage rules, what is to differ."""
        return survey(domain, others, replace(self.rules, **rules), self.directories, with_extents=with_extents)

    def classify(self, path: Path, word: str) -> None:
        """A record as `wipectl images classify` leaves it."""
        found = path.stat()
        record = {"path": str(path), "device": found.st_dev, "inode": found.st_ino, "as": word, "at": instant_text(datetime.now(UTC))}
        self.raw(f"classified/{record_name(str(path))}", json.dumps(record).encode())


def disk(path: Path | str, fmt: str = "raw", target: str = "vda", **facts: Any) -> DiskSource:
    """A disk of type file."""
    return DiskSource(target=target, type=facts.pop("type", "file"), location=os.fspath(path), format=fmt, **facts)


def phone(*disks: DiskSource, **facts: Any) -> DomainFacts:
    """The phone that is looked at."""
    return DomainFacts(uuid=facts.pop("uuid", ME), name=facts.pop("name", "phone"), disks=disks, **facts)


def neighbour(*disks: DiskSource, **facts: Any) -> DomainFacts:
    """Another domain of the host."""
    return phone(*disks, uuid=OTHER, name="neighbour", **facts)
