"""Phones without a system, for what needs libvirt and an emulator but no guest: their XML and their images."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.privatelibvirt import LabError, PrivateLibvirt


@dataclass
class BarePhone:
    """A domain with one qcow2 disk (16 MiB, empty) and a console log, in a directory of its own under the private libvirt's workdir."""

    libvirt: PrivateLibvirt
    name: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    os_extra: str = ""
    devices: str = ""

    def __post_init__(self) -> None:
        self.directory = self.libvirt.workdir / "phones" / self.uuid
        self.directory.mkdir(parents=True)
        self.disk = self.image("disk.qcow2")
        self.log = self.directory / "console.log"

    def image(self, name: str) -> Path:
        """A new empty qcow2 in the phone's directory."""
        path = self.directory / name
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "16M"], check=True)
        return path

    @property
    def xml(self) -> str:
        """The definition."""
        return f"""<domain type='qemu'><name>{self.name}</name><uuid>{self.uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
          <os><type arch='x86_64' machine='pc'>hvm</type>{self.os_extra}</os><features><acpi/></features>
          <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
          <disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='{self.disk}'/><target dev='vda' bus='virtio'/></disk>
          {self.devices}<serial type='file'><source path='{self.log}'/></serial></devices></domain>"""

    def define(self, *, start: bool = False) -> BarePhone:
        """Define it, and start it if told; returns itself."""
        self.libvirt.define(self.xml)
        if start:
            done = self.libvirt.virsh("start", self.uuid, check=False)
            if done.returncode and "swtpm.sock" in done.stderr:  # libvirt asks its new swtpm before that listens, on a busy machine
                done = self.libvirt.virsh("start", self.uuid)
            elif done.returncode:
                raise LabError(f"virsh start: {done.stderr}")
        return self

    def emulator(self) -> int:
        """Process id of its emulator, as the caller sees it; 0 while there is none."""
        for pid in self.libvirt.pids():
            try:
                if self.uuid.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
            except OSError:
                continue
        return 0

    def forget(self) -> None:
        """Stop and undefine it, whatever state it is in."""
        self.libvirt.virsh("destroy", self.uuid, check=False)
        self.libvirt.virsh("undefine", self.uuid, "--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram", check=False)
