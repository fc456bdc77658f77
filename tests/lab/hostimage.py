"""The images of a whole virtualization host: Debian with systemd, libvirt, QEMU and LVM; for the VM a kernel and this checkout's program in /opt/wiped.

Made with mmdebstrap from the Debian mirrors that this machine's apt is configured with (its proxy and trust too), as root, in about a minute, and
kept in `guest.CACHE`, each by what it is made of: Debian alone (what the container copies), the VM's system, and that system with the program.
Source: docs/lab.md, "A whole virtualization host".
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import guest
from tests.lab.debian import apt_options, apt_sources, codename, run

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
LOCKS = REPOSITORY / ".lock"
PACKAGES = (
    "systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "python3", "jq", "openssl",
    "lvm2", "thin-provisioning-tools", "mdadm", "cryptsetup-bin", "e2fsprogs", "xfsprogs", "btrfs-progs",
    "libvirt-daemon-system", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-utils", "qemu-system-x86",
)  # fmt: skip
#: Drivers that the initramfs loads, in order; udev loads the others.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk")
#: Bytes of the root filesystem (sparse).
SIZE = 3 << 30
#: What the program is made of, relative to the repository.
PROJECT = ("wiped", "config", "systemd", "docs", "README.md", "CHANGELOG.md", "pyproject.toml", ".lock")
#: Timers and consoles that only cost time in a machine that lives for minutes.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
    "logrotate.timer", "mdcheck_start.timer", "mdcheck_continue.timer", "getty@tty1.service", "serial-getty@ttyS0.service",
)  # fmt: skip
AGENT_UNIT = """[Unit]
Description=The lab's hand inside
[Service]
ExecStart=/usr/local/lib/lab-agent
[Install]
WantedBy=multi-user.target
"""
NO_DOCUMENTS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


@dataclass(frozen=True)
class HostImage:
    """What boots the host VM. `root` (raw, ext4) is shared by all: put an overlay on it, never write to it."""

    kernel: Path
    initrd: Path
    root: Path


def debian_image() -> Path:
    """A host without our program: an ext4 image of Debian with `PACKAGES`, made where the cache has none. Shared by all: copy it, never write to it.

    Raises LabError where a program fails, with its own words.
    """
    guest.CACHE.mkdir(parents=True, exist_ok=True)
    with _alone():
        return _debian()


def host_image() -> HostImage:
    """The image for this checkout as it stands, made where the cache has none (a minute for the system, seconds for the program).

    Raises LabError where a program fails, with its own words.
    """
    guest.CACHE.mkdir(parents=True, exist_ok=True)
    with _alone():
        boot = guest.boot_files(HERE / "host-init", MODULES)
        tree = boot.kernel.parents[1]
        key = _key(Path(__file__), HERE / "host-agent", *(LOCKS / name for name in ("install", "build.txt", "run.txt")), words=f"{tree.name} {codename()}")
        system = guest.CACHE / f"host-{key}.ext4"
        if not system.exists():
            _forget("host-*.ext4")
            _build_system(tree, system)
        root = system.with_name(f"{system.stem}-with-{_project_key()}.ext4")
        if not root.exists():
            _forget(f"{system.stem}-with-*.ext4")
            _add_project(system, root)
    return HostImage(boot.kernel, boot.initrd, root)


def _debian() -> Path:
    target = guest.CACHE / f"debian-{_key(Path(__file__), words=codename())}.ext4"
    if target.exists():
        return target
    _forget("debian-*.ext4")
    with tempfile.TemporaryDirectory(prefix="building-", dir=guest.CACHE) as directory:
        work, root = Path(directory), Path(directory) / "root"
        options = [f"--aptopt={line}" for line in apt_options()] + [f"--dpkgopt=path-exclude={path}" for path in NO_DOCUMENTS]
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory", f"--include={','.join(PACKAGES)}", *options,
             codename(), str(root), *apt_sources())  # fmt: skip
        (root / "etc/hostname").write_text("lab-host\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost lab-host\n")
        (root / "etc/libvirt/qemu/networks/autostart/default.xml").unlink(missing_ok=True)
        run("systemctl", f"--root={root}", "-q", "mask", *MASKED)
        run("mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "host", "-d", str(root), str(work / "image"), str(SIZE // 1024) + "k")
        (work / "image").rename(target)
    return target


def _build_system(tree: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="building-", dir=guest.CACHE) as directory:
        image = Path(directory) / "image"
        run("cp", "--sparse=always", str(_debian()), str(image))
        _within(image, "make_bootable", str(tree), hashlib.md5(target.name.encode(), usedforsecurity=False).hexdigest())
        image.rename(target)


def make_bootable(mount: Path, tree: str, machine: str) -> None:
    """Give the system mounted at `mount` a kernel's modules, the lab's hand, this machine id, and the program's locked environment in /opt/wiped."""
    modules = next(Path(tree).glob("lib/modules/*"))
    shutil.copytree(modules, mount / "lib/modules" / modules.name, symlinks=True)
    run("chroot", str(mount), "depmod", modules.name)
    (mount / "etc/machine-id").write_text(machine + "\n")
    (mount / "etc/fstab").write_text("/dev/vda / ext4 rw 0 0\n")
    shutil.copy(HERE / "host-agent", mount / "usr/local/lib/lab-agent")
    (mount / "usr/local/lib/lab-agent").chmod(0o755)
    (mount / "etc/systemd/system/lab-agent.service").write_text(AGENT_UNIT)
    run("systemctl", f"--root={mount}", "-q", "enable", "lab-agent.service")
    # The program's environment, as the README makes it, from this machine's package index.
    run("/usr/bin/python3", "-m", "venv", str(mount / "opt/wiped"))
    run("env", "PIP_NO_COMPILE=1", str(LOCKS / "install"), str(mount / "opt/wiped/bin/python"), "run")
    _settle(mount, mount / "opt/wiped")


def _add_project(system: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="building-", dir=guest.CACHE) as directory:
        work = Path(directory)
        source = work / "wiped"
        copy_project(source)
        _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(work), str(source))
        wheel = next(work.glob("wiped-*.whl"))
        for left in ("build", "wiped.egg-info"):
            shutil.rmtree(source / left, ignore_errors=True)
        run("cp", "--sparse=always", str(system), str(work / "image"))
        _within(work / "image", "install", str(wheel), str(source))
        (work / "image").rename(target)


def copy_project(target: Path) -> None:
    """Copy what the program is made of (`PROJECT`) from this checkout into the new directory `target`."""
    target.mkdir(parents=True)
    for name in PROJECT:
        _copy(REPOSITORY / name, target / name)


def install(mount: Path, wheel: str, source: str) -> None:
    """Put the program into /opt/wiped and its files into /usr/src/wiped of the system mounted at `mount`."""
    environment = mount / "opt/wiped"
    _pip("--python", str(environment / "bin/python"), "install", "--no-deps", "--no-compile", wheel)
    _settle(mount, environment)
    shutil.copytree(source, mount / "usr/src/wiped")


def _within(image: Path, function: str, *words: str) -> None:
    """Call a function of this module with the place where `image` is mounted, and `words`.

    In a mount namespace of its own: mount and loop device are gone with it, however it ends.
    """
    mount = image.with_name("mnt")
    mount.mkdir()
    call = f"import sys; from pathlib import Path; from tests.lab.hostimage import {function}; {function}(Path(sys.argv[1]), *sys.argv[2:])"
    run("unshare", "--mount", "--propagation=private", "sh", "-ec", 'mount -o loop "$1" "$2"; shift 2; "$@"', "sh", str(image), str(mount),
         str(_python()), "-c", call, str(mount), *words, cwd=REPOSITORY)  # fmt: skip


def _settle(root: Path, environment: Path) -> None:
    """Make an environment that was built under `root` at home at its place within: scripts' first lines, compiled modules."""
    for script in (environment / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        if str(root).encode() in content:
            script.write_bytes(content.replace(str(root).encode(), b""))
    run("/usr/bin/python3", "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/",
         str(environment / "lib"))  # fmt: skip


def _key(*files: Path, words: str) -> str:
    """What an image is made of, as one word: the contents of files, and words."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(words.encode())
    return digest.hexdigest()[:12]


def _project_key() -> str:
    digest = hashlib.sha256()
    for name in PROJECT:
        top = REPOSITORY / name
        for path in [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{path.relative_to(REPOSITORY)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _python() -> Path:
    return REPOSITORY / ".venv/bin/python"


def _pip(*words: str) -> None:
    options = ["--root-user-action=ignore"] if "install" in words else []
    at = next(n for n, word in enumerate(words) if word in ("install", "wheel"))
    run(str(_python()), "-m", "pip", "--disable-pip-version-check", "-qq", *words[: at + 1], *options, *words[at + 1 :])


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _forget(pattern: str) -> None:
    """Drop images that nobody will ask for again; one that is in use goes when its last user does."""
    for path in guest.CACHE.glob(pattern):
        path.unlink(missing_ok=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One builder at a time; the lock goes with the process."""
    with (guest.CACHE / "host.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
