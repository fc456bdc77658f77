"""What the lab needs of a machine; said once, for skips and failures."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

PROGRAMS = (
    "libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img", "qemu-io", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs",
    "losetup", "nsenter", "unshare", "busybox", "dpkg-deb", "openssl", "jq",
)  # fmt: skip
#: Besides, for the host in a virtual machine or in a container.
VM_PROGRAMS = ("mmdebstrap", "setpriv", "chroot", "systemd-nspawn")
#: Bytes: what the virtual machine has and its emulator needs; the images, the build in progress and a test's disks.
VM_MEMORY = 3 << 30
VM_DISK = 6 << 30
REQUIRE = "WIPED_REQUIRE_HOST"


def missing() -> str:
    """Why host tests cannot run here, in words; empty where they can."""
    if os.geteuid() != 0:
        return "host tests need root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"host tests need {', '.join(absent)}: make deps" if absent else ""


def missing_for_vm(cache: Path) -> str:
    """Why the host in a virtual machine cannot run here, in words; empty where it can. Hardware virtualization is not needed.

    `cache`: where images are kept.
    """
    if reason := missing():
        return reason.replace("host tests", "tests in the host VM")
    absent = [name for name in VM_PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"tests in the host VM need {', '.join(absent)}: make deps"
    memory = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    if memory is not None and int(memory[1]) << 10 < VM_MEMORY:
        return f"tests in the host VM need {VM_MEMORY >> 20} MiB of free memory; there are {int(memory[1]) >> 10}"
    there = next(path for path in (cache, *cache.parents) if path.exists())
    if (free := shutil.disk_usage(there).free) < VM_DISK:
        return f"tests in the host VM need {VM_DISK >> 20} MiB of free disk at {there}; there are {free >> 20}"
    return ""


def acceleration() -> str:
    """How the host VM runs, in words: always software emulation, so that it is the same everywhere; whether hardware would be there is only told."""
    return f"software emulation (tcg); /dev/kvm is {'there, and not used' if Path('/dev/kvm').exists() else 'missing, and not needed'}"


def required() -> bool:
    """Whether a host test that cannot run is a failure (``make test``, CI) and not a skip."""
    return bool(os.environ.get(REQUIRE))
