"""libvirt's own files, written by hand: domains, status, snapshots and saved states below one directory, without any libvirtd.

For tests of what reads those files (the eraser's ownership). The forms are those that libvirt 9.0 writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import uuid as uuids
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import quoteattr

from wiped.model.instants import instant_text
from wiped.model.inventory import LibvirtDirectories


@dataclass(frozen=True)
class Disk:
    """One `<disk>`; `extra` is put inside as it stands (`<readonly/>`)."""

    path: str
    format: str = "qcow2"
    device: str = "disk"
    extra: str = ""

    def xml(self, number: int) -> str:
        """The element."""
        return (
            f"<disk type='file' device='{self.device}'><driver name='qemu' type='{self.format}'/><source file={quoteattr(self.path)}/>"
            f"<target dev='vd{chr(97 + number)}' bus='virtio'/>{self.extra}</disk>"
        )


def domain_xml(name: str, uuid: str, disks: Sequence[Disk] = (), *, nvram: str = "", log: str = "", devices: str = "") -> str:
    """A `<domain>` as libvirt keeps it."""
    more = "".join(disk.xml(number) for number, disk in enumerate(disks))
    if log:
        more += f"<serial type='file'><source path={quoteattr(log)}/><target type='isa-serial' port='0'/></serial>"
    vars_file = f"<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram>{nvram}</nvram>" if nvram else ""
    return (
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>131072</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>{vars_file}</os>"
        f"<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{more}{devices}<input type='mouse' bus='ps2'/>"
        f"<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>"
    )


class LibvirtFiles:
    """libvirt's directories below `base`; `directories` is what the helpers are told."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.config = base / "etc/libvirt/qemu"
        self.run = base / "run/libvirt/qemu"
        self.state = base / "var/lib/libvirt/qemu"
        self.logs = base / "var/log/libvirt/qemu"
        for path in (self.config / "networks", self.config / "autostart", self.run, self.state / "save", self.state / "nvram", self.logs):
            path.mkdir(parents=True)
        (self.config / "networks/default.xml").write_text("<network><name>default</name></network>")
        self.swtpm = base / "var/lib/libvirt/swtpm"
        self.secrets = base / "etc/libvirt/secrets"
        self.classified = base / "var/lib/wiped/classified"
        self.remembered = base / "var/lib/wiped/remembered"
        self.directories = LibvirtDirectories(
            config=str(self.config),
            run=str(self.run),
            state=str(self.state),
            logs=str(self.logs),
            swtpm=str(self.swtpm),
            swtpm_logs=str(base / "var/log/swtpm/libvirt/qemu"),
            secrets=str(self.secrets),
            qemu_conf=str(base / "etc/libvirt/qemu.conf"),
            classified=str(self.classified),
            remembered=str(self.remembered),
        )

    def define(self, name: str, disks: Sequence[Disk] = (), *, uuid: str = "", nvram: str = "", log: str = "", devices: str = "") -> str:
        """Write an inactive domain; returns its UUID."""
        uuid = uuid or str(uuids.uuid4())
        (self.config / f"{name}.xml").write_text(
            f"<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE.\n-->\n\n{domain_xml(name, uuid, disks, nvram=nvram, log=log, devices=devices)}\n"
        )
        return uuid

    def status(self, name: str, uuid: str, disks: Sequence[Disk] = ()) -> Path:
        """Write the live status of a running domain."""
        path = self.run / f"{name}.xml"
        path.write_text(f"<domstatus state='running' reason='booted' pid='1'><monitor path='/x'/>{domain_xml(name, uuid, disks)}</domstatus>")
        return path

    def snapshot(self, name: str, uuid: str, disks: Sequence[Disk], snapshot: str = "s1", *, memory: str = "") -> Path:
        """Write a snapshot of a domain that had `disks`; `memory`: the file in which it keeps the RAM."""
        folder = self.state / "snapshot" / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{snapshot}.xml"
        kept = f"<memory snapshot='external' file={quoteattr(memory)}/>" if memory else ""
        path.write_text(f"<domainsnapshot><name>{snapshot}</name><state>shutoff</state>{kept}{domain_xml(name, uuid, disks)}</domainsnapshot>")
        return path

    def pool(self, name: str, target: str) -> Path:
        """Write a directory pool of the storage driver."""
        folder = self.base / "etc/libvirt/storage"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.xml"
        path.write_text(f"<pool type='dir'><name>{name}</name><target><path>{target}</path></target></pool>")
        return path

    def secret(self, uuid: str, *, usage: tuple[str, str] = ("", ""), value: bytes = b"c2VjcmV0") -> Path:
        """Define a secret and give it a value; returns the value's file. `usage`: (type, what for)."""
        self.secrets.mkdir(parents=True, exist_ok=True)
        tag = {"volume": "volume", "iscsi": "target"}.get(usage[0], "name")
        about = f"<usage type='{usage[0]}'><{tag}>{usage[1]}</{tag}></usage>" if usage[0] else ""
        (self.secrets / f"{uuid}.xml").write_text(f"<secret ephemeral='no' private='yes'><uuid>{uuid}</uuid>{about}</secret>")
        path = self.secrets / f"{uuid}.base64"
        path.write_bytes(value)
        return path

    def classify(self, path: Path | str, kind: str) -> Path:
        """What `wipectl images classify` leaves for the helpers."""
        self.classified.mkdir(parents=True, exist_ok=True)
        found = os.stat(path)
        record = self.classified / (hashlib.sha256(os.fsencode(path)).hexdigest() + ".json")
        record.write_text(json.dumps({"path": str(path), "device": found.st_dev, "inode": found.st_ino, "as": kind, "at": instant_text(datetime.now(UTC))}))
        record.chmod(0o600)
        return record

    def saved(self, name: str, uuid: str, disks: Sequence[Disk] = (), *, memory: bytes = b"") -> Path:
        """Write a managed-save image of the domain, with `memory` behind its header."""
        path = self.state / "save" / f"{name}.save"
        path.write_bytes(saved_state(name, uuid, disks) + memory)
        return path


def saved_state(name: str, uuid: str, disks: Sequence[Disk] = ()) -> bytes:
    """The header and XML of a saved state, 8 KiB."""
    xml = domain_xml(name, uuid, disks).encode() + b"\0"
    return (b"LibvirtQemudSave" + struct.pack("<5I", 2, len(xml), 0, 0, 0) + bytes(56) + xml).ljust(8192, b"\0")
