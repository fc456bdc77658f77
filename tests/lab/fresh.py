"""``make test-fresh``: the README's first command on a bare Debian 12, which has git, make and python3 and no more.

A root directory is made with mmdebstrap, this repository's HEAD is cloned into it, and the command runs there as on a machine of its own: the root is /,
with the devices of this machine, in mount and process namespaces that end with the command, so that neither mounts nor processes nor loop devices stay.
It reaches Debian's mirrors and the package index as this machine does: by its apt's sources and options, its pip's settings, its certificates.

Needs no package but the standard library. Exits 0 where the command passes, and with the reason where this machine cannot try it; 1 otherwise.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.debian import apt_options, apt_sources, codename, run
from tests.lab.mounts import SCRATCH_BASE, enter_private_mounts, leftovers, make_scratch, remove_scratch
from tests.lab.privatelibvirt import LabError

REPOSITORY = Path(__file__).parents[2]
RELEASE = "bookworm"
PACKAGES = ("git", "make", "python3")
#: Seconds within which a newcomer shall have seen the first command pass; more is said, and fails nothing (the machine may be busy).
PATIENCE = 240
#: Seconds after which the command is ended, and has failed.
HANGS = 1200
#: Bytes of disk: the root with a compiler, libvirt and QEMU, the guest's kernel, the demo's filesystems.
DISK = 4 << 30
CERTIFICATES = Path("/usr/local/share/ca-certificates")
PASSED_ON = re.compile(r"PIP_\w+|\w*proxy|\w*(CERT|CA_BUNDLE|CAINFO)(_FILE|_DIR)?", re.IGNORECASE)
# $1: the root. What follows runs as a child of this shell, which is process 1 there, takes up orphans, and ends all with itself.
ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
cd "$root"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs tmpfs run
mkdir .outside
pivot_root . .outside
umount -l /.outside
rmdir /.outside
cd /
status=0
"$@" || status=$?
exit $status
"""


def unable() -> str:
    """Why this machine cannot try it, in words; empty where it can."""
    if os.geteuid() != 0:
        return "it needs root"
    absent = [name for name in ("mmdebstrap", "git", "unshare", "pivot_root", "losetup", "apt-get") if shutil.which(name) is None]
    if absent:
        return f"it needs {', '.join(absent)}: make deps"
    if codename() != RELEASE:
        return f"this machine's apt knows {codename()}, and the README's commands are for {RELEASE}"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0:
        return "it may not make mount and process namespaces here"
    if not Path("/dev/loop-control").exists():
        return "this machine has no loop devices"
    if (free := shutil.disk_usage(SCRATCH_BASE).free) < DISK:
        return f"it needs {DISK >> 20} MiB of free disk at {SCRATCH_BASE}; there are {free >> 20}"
    try:
        apt_sources()
    except LabError as error:
        return str(error)
    return ""


def first_command() -> list[str]:
    """The first command of the README's blocks of code that is a `make`; raises LabError where there is none."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found = re.search(r"^make [a-z-]+", "\n".join(blocks), re.MULTILINE)
    if found is None:
        raise LabError("README.md shows no command that begins with `make`")
    return found[0].split()


def settings() -> dict[str, str]:
    """The environment of the command: little, and how this machine reaches package indexes."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **passed_on()}


def passed_on() -> dict[str, str]:
    """Variables of this machine's environment that say how to reach package indexes."""
    return {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}


def pip_files() -> list[Path]:
    """The configuration files of pip that this machine has, at the places that pip's documentation names."""
    home = Path.home()
    bases = [Path(base) / "pip" for base in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    places = [*(base / "pip.conf" for base in bases), Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    if named := os.environ.get("PIP_CONFIG_FILE"):
        places.append(Path(named))
    return [path for path in places if path.is_file()]


def local_paths() -> Iterator[Path]:
    """Files and directories of this machine that its settings name: certificates, and what pip's settings point to."""
    texts = [path.read_text(encoding="utf-8") for path in pip_files()] + list(passed_on().values())
    for name in dict.fromkeys(re.findall(r"(?:(?<=file://)|(?<![\w/:.]))/[^\s'\":,]+", "\n".join(texts))):
        path = Path(name)
        if len(path.parts) > 2 and path.exists():
            yield path


def hand_over(root: Path) -> None:
    """Put this machine's ways to package indexes into the root. Nothing that the root has is replaced.

    What packages of the root may write to (files, and directories in /etc) is copied; other directories may be large, and are mounted read-only.
    """
    for path in (Path("/etc/resolv.conf"), Path("/etc/hosts")):
        shutil.copyfile(path, root / path.relative_to("/"))
    if CERTIFICATES.is_dir():
        shutil.copytree(CERTIFICATES, root / CERTIFICATES.relative_to("/"), dirs_exist_ok=True)
    for path in (*pip_files(), *local_paths()):
        there = root / path.relative_to("/")
        if there.exists():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copyfile(path, there)
        elif path.is_relative_to("/etc"):
            shutil.copytree(path, there, symlinks=True)
        else:
            there.mkdir()
            run("mount", "--bind", "-o", "ro", str(path), str(there))


def bare(root: Path) -> None:
    """Make the bare Debian, with the repository's HEAD in /root/wiped."""
    options = [f"--aptopt={line}" for line in apt_options()] + ["--dpkgopt=force-unsafe-io"]  # a root that is thrown away needs no fsync
    run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory", f"--include={','.join(PACKAGES)}", *options,
        RELEASE, str(root), *apt_sources())  # fmt: skip
    hand_over(root)
    run("git", "clone", "--quiet", "--no-local", str(REPOSITORY), str(root / "root/wiped"))


def first_impression(root: Path) -> int:
    """Run the README's first command in the root; returns its exit status, and prints what it prints."""
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"]
    argv = [*namespaces, "bash", "-c", ENTER, "bash", str(root), "env", "--chdir=/root/wiped", *first_command()]
    try:
        return subprocess.run(argv, env=settings(), stdin=subprocess.DEVNULL, timeout=HANGS, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"test-fresh: ended after {HANGS} s", file=sys.stderr)
        return 1


def main() -> int:
    """Make the root, run the command, remove the root, say how long it took."""
    if reason := unable():
        print(f"test-fresh: not tried on this machine: {reason}")
        return 0
    if run("git", "-C", str(REPOSITORY), "status", "--porcelain").strip():
        print("test-fresh: what is not committed is not tried")
    command = " ".join(first_command())
    enter_private_mounts()
    scratch = make_scratch()
    try:
        begun = time.monotonic()
        bare(scratch / "root")
        made = time.monotonic()
        print(f"test-fresh: a bare Debian with {', '.join(PACKAGES)} in {made - begun:.0f} s; {command}:", flush=True)
        status = first_impression(scratch / "root")
        ended = time.monotonic()
    except LabError as error:
        print(f"test-fresh: {error}", file=sys.stderr)
        return 1
    finally:
        remove_scratch(scratch)
    if left := leftovers():
        print(f"test-fresh: left behind: {', '.join(left)}", file=sys.stderr)
        return 1
    print(f"test-fresh: {command} {'passed' if status == 0 else f'FAILED (exit {status})'} after {ended - made:.0f} s; {ended - begun:.0f} s in all")
    if ended - begun > PATIENCE:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        worked = f"{used.ru_utime + used.ru_stime:.0f} s of processor time, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
        print(f"test-fresh: that is more than {PATIENCE} s ({worked}); far less processor time than seconds: the machine or the network was busy")
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
