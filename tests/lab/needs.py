"""What the lab needs of a machine; said once, for skips and failures."""

from __future__ import annotations

import os
import shutil

PROGRAMS = (
    "libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img", "qemu-io", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs",
    "losetup", "nsenter", "unshare", "busybox", "dpkg-deb", "openssl", "jq",
)  # fmt: skip
REQUIRE = "WIPED_REQUIRE_HOST"


def missing() -> str:
    """Why host tests cannot run here, in words; empty where they can."""
    if os.geteuid() != 0:
        return "host tests need root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"host tests need {', '.join(absent)}: make deps" if absent else ""


def required() -> bool:
    """Whether a host test that cannot run is a failure (``make test``, CI) and not a skip."""
    return bool(os.environ.get(REQUIRE))
