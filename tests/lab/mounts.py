"""Mount namespaces and stale scratch: how the lab makes sure that nothing of it outlives the process that asked for it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CLONE_NEWNS = 0x00020000
SCRATCH_PREFIX = "wiped-lab-"
OWNER_FILE = ".owner"
# On a disk, and short enough for the path of a Unix socket beneath it.
SCRATCH_BASE = Path(os.environ.get("WIPED_LAB_DIR", "/var/tmp"))

_namespaces: set[str] = set()  # mount namespaces that this process made for itself
_made: list[Path] = []


def enter_private_mounts() -> None:
    """Give this process a mount namespace of its own, with private propagation. Idempotent.

    Every mount made from now on by this process or its children disappears, with its loop device, when the last of
    them ends, however it ends. Call it before any thread is started. Raises OSError (not root).
    """
    if os.readlink("/proc/self/ns/mnt") in _namespaces:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare(CLONE_NEWNS): {os.strerror(number)}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    _namespaces.add(os.readlink("/proc/self/ns/mnt"))


def make_scratch() -> Path:
    """A new directory (0755) for one lab, marked with its owner so that a later run can clean it up."""
    sweep_stale()
    path = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=SCRATCH_BASE))
    _made.append(path)
    (path / OWNER_FILE).write_text(_identity(os.getpid()))
    path.chmod(0o755)
    return path


def remove_scratch(path: Path) -> None:
    """Unmount everything beneath ``path`` in this namespace, deepest first, then delete the tree."""
    unmount_beneath(path)
    shutil.rmtree(path)


def sweep_stale() -> list[Path]:
    """Remove the scratch directories whose owner was killed; returns those removed. Living labs are left alone."""
    swept = []
    for path in SCRATCH_BASE.glob(SCRATCH_PREFIX + "*"):
        try:
            owner = (path / OWNER_FILE).read_text()
        except OSError:
            continue  # being made or removed by somebody this instant
        pid = owner.split(":")[0]
        if pid.isdigit() and _identity(int(pid)) != owner and not _mounted_elsewhere(path):
            unmount_beneath(path)
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path)
    return swept


def mount_points(beneath: Path | str) -> list[Path]:
    """Mount points of this process's namespace at or under ``beneath``, deepest and latest first."""
    prefix = os.path.realpath(beneath)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if point == prefix or point.startswith(prefix + "/"):
            found.append(Path(point))
    return found[::-1]


def unmount_beneath(path: Path | str) -> None:
    """Unmount all that is mounted at or under ``path``; raises CalledProcessError where something is busy."""
    for point in mount_points(path):
        if point in mount_points(point):  # propagation may have taken it along
            subprocess.run(["umount", str(point)], check=True, capture_output=True, text=True)


def leftovers() -> list[str]:
    """What the labs of this process have left behind: directories, and loop devices on files in them."""
    loops = subprocess.run(["losetup", "-n", "-O", "NAME,BACK-FILE"], capture_output=True, text=True, check=True).stdout
    left = [f"directory {path}" for path in _made if path.exists()]
    left += [f"loop device {line}" for line in loops.splitlines() if any(f"{path}/" in line for path in _made)]
    return left


def _identity(pid: int) -> str:
    """Process id and start time (clock ticks since boot): survives the reuse of ids."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return f"{pid}:gone"
    return f"{pid}:{stat.rpartition(')')[2].split()[19]}"


def _mounted_elsewhere(path: Path) -> bool:
    """Whether any living process's namespace still has a mount beneath ``path``."""
    needle = f" {path}".encode()
    seen: set[str] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            namespace = os.readlink(entry / "ns/mnt")
            if namespace in seen:
                continue
            seen.add(namespace)
            if needle in (entry / "mountinfo").read_bytes():
                return True
        except OSError:
            continue
    return False
