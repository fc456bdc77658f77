"""A real guest: Debian's cloud kernel, an initramfs of busybox, and the domains that boot it in about two seconds.

The guest does what third-party apps do: it writes credentials into its userdata disk, keeps others in memory, in its
firmware's variables and on its console, each a marker of one `Markers` run. Kernel and initramfs are fetched and built
once, into WIPED_LAB_CACHE (default ``/var/cache/wiped-lab``). Source: docs/lab.md, "A real guest".
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid as uuids
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.lab.privatelibvirt import LabError, PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.patience import PATIENCE

CACHE = Path(os.environ.get("WIPED_LAB_CACHE", "/var/cache/wiped-lab"))
INIT = Path(__file__).with_name("guest-init")
MODULES = (
    "virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "button", "evdev",
    "efivarfs",
)  # fmt: skip
OVMF_CODE = "/usr/share/OVMF/OVMF_CODE.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS.fd"
READY = "LAB-GUEST: READY"
METAPACKAGE = "linux-image-cloud-amd64"


@dataclass(frozen=True)
class Boot:
    """Kernel and initramfs of the guest."""

    kernel: Path
    initrd: Path


def boot_files(init: Path = INIT, modules: tuple[str, ...] = MODULES) -> Boot:
    """The guest's kernel and initramfs, fetched (apt, 27 MB) and built where they are not in the cache.

    `init` is its process 1, a script for busybox; `modules` are those that lie in /modules, in the order of /modules/order.
    Raises LabError where the kernel can neither be found nor fetched.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    tree = _kernel_tree()
    recipe = hashlib.sha256(init.read_bytes() + " ".join(modules).encode()).hexdigest()[:12]
    kernel, initrd = next(tree.glob("boot/vmlinuz-*")), tree / f"initrd-{recipe}.gz"
    if not initrd.exists():
        _build_initrd(tree, initrd, init, modules)
    return Boot(kernel, initrd)


@dataclass(frozen=True)
class Disk:
    """A disk of a domain: an image file, or where ``pool`` is given the volume ``path`` of it."""

    path: Path | str
    format: str = "qcow2"
    pool: str = ""
    cache: str = "none"
    discard: str = ""
    extra: str = ""

    def xml(self, number: int) -> str:
        """The <disk> element; disk 0 is ``vda``."""
        discard = f" discard={quoteattr(self.discard)}" if self.discard else ""
        if self.pool:
            kind, source = "volume", f"pool={quoteattr(self.pool)} volume={quoteattr(str(self.path))}"
        else:
            kind, source = "file", f"file={quoteattr(str(self.path))}"
        return (
            f"<disk type='{kind}' device='disk'><driver name='qemu' type='{self.format}' cache='{self.cache}'{discard}/>"
            f"<source {source}/><target dev='vd{chr(97 + number)}' bus='virtio'/>{self.extra}</disk>"
        )


@dataclass(frozen=True)
class Load:
    """What the guest writes: marked 4 KiB blocks in ``files`` and ``ram``, marked lines on the ``console`` and in ``efi``.

    ``ignore_shutdown``: the guest does not react to the power button.
    """

    markers: Markers
    files: int = 500
    ram: int = 500
    console: int = 20
    efi: int = 0
    ignore_shutdown: bool = False

    def command_line(self, disks: int) -> str:
        """The kernel's words for a guest of so many disks; the marker itself is not among them.

        The first disk has a filesystem; the second, where there is one, takes ``files`` marked blocks as it is.
        """
        return (
            f"lab.disk={'/dev/vda' if disks else ''} lab.raw={'/dev/vdb' if disks > 1 else ''} "
            f"lab.run={self.markers.run} lab.files={self.files} lab.ram={self.ram} lab.console={self.console} lab.efi={self.efi} "
            f"lab.shutdown={'ignore' if self.ignore_shutdown else 'graceful'}"
        )


def domain_xml(
    name: str,
    uuid: str = "",
    disks: list[Disk] | tuple[Disk, ...] = (),
    *,
    load: Load | None = None,
    nvram: Path | str | None = None,
    console_log: Path | str | None = None,
    serial_file: Path | str | None = None,
    memory: int = 160,
    boot: Boot | None = None,
    devices: str = "",
    extra: str = "",
) -> str:
    """A domain under software emulation (memory in MiB); paths are those that libvirtd sees.

    With ``load`` it boots the lab's guest, else it has nothing to boot and just runs. ``nvram``: UEFI firmware, with this
    variable store (made by libvirt from OVMF's). ``console_log``: <log> of a pty console; ``serial_file``: a console of
    type file. ``devices`` and ``extra`` are more XML.
    """
    if load is not None:
        boot = boot or boot_files()
    firmware = f"<loader readonly='yes' type='pflash'>{OVMF_CODE}</loader><nvram template='{OVMF_VARS}'>{nvram}</nvram>" if nvram else ""
    words = f"console=ttyS0 quiet panic=-1 {load.command_line(len(disks)) if load else ''}"
    kernel = f"<kernel>{boot.kernel}</kernel><initrd>{boot.initrd}</initrd><cmdline>{words}</cmdline>" if boot else ""
    if serial_file:
        serial = f"<serial type='file'><source path={quoteattr(str(serial_file))}/><target port='0'/></serial>"
    else:
        log = f"<log file={quoteattr(str(console_log))} append='on'/>" if console_log else ""
        serial = f"<serial type='pty'>{log}<target port='0'/></serial>"
    return (
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid or uuids.uuid4()}</uuid><memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type>{firmware}{kernel}</os><features><acpi/></features>"
        f"<on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash><devices>"
        f"{''.join(disk.xml(number) for number, disk in enumerate(disks))}{serial}<memballoon model='none'/>{devices}</devices>{extra}</domain>"
    )


def wait_ready(libvirt: PrivateLibvirt, console: Path | str, seconds: float = PATIENCE) -> str:
    """Wait until the guest that writes to this console log (a path inside) is ready; returns the log."""
    path = libvirt.path(console)

    def ready() -> str:
        text = path.read_text(errors="replace") if path.exists() else ""
        if "LAB-GUEST: FAILED" in text:
            raise LabError(text[-2000:])
        return text if READY in text else ""

    try:
        return str(wait_for(ready, f"a ready guest on {console}", seconds))
    except LabError as error:
        seen = path.read_text(errors="replace")[-2000:] if path.exists() else "no console log"
        raise LabError(f"{error}\n{seen}") from None


def _kernel_tree() -> Path:
    """The unpacked kernel package in the cache; any version will do once it is there."""
    for tree in sorted(CACHE.glob("kernel-*"), reverse=True):
        if any(tree.glob("boot/vmlinuz-*")):
            return tree
    names = _kernel_packages()
    if not names:
        _run("apt-get", "update", "-q")
        names = _kernel_packages()
    if not names:
        raise LabError(f"apt knows no kernel behind {METAPACKAGE}")
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        _run("apt-get", "download", "-q", names[0], cwd=directory)
        package = next(Path(directory).glob("*.deb"))
        unpacked = Path(directory) / "unpacked"
        _run("dpkg-deb", "-x", str(package), str(unpacked))
        tree = CACHE / f"kernel-{names[0].removeprefix('linux-image-')}"
        shutil.rmtree(tree, ignore_errors=True)
        unpacked.rename(tree)  # complete or not there
    return tree


def _kernel_packages() -> list[str]:
    """What the metapackage of Debian's cloud kernel depends on; empty where apt does not know it (yet)."""
    done = subprocess.run(["apt-cache", "depends", "--no-recommends", METAPACKAGE], capture_output=True, text=True, check=False)
    return [line.split()[1] for line in done.stdout.splitlines() if line.strip().startswith("Depends: linux-image-")]


def _build_initrd(tree: Path, target: Path, init: Path, modules: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        root = Path(directory) / "root"
        for part in ("bin", "modules", "proc", "sys", "dev"):
            (root / part).mkdir(parents=True)
        busybox = shutil.which("busybox")
        if busybox is None:
            raise LabError("no busybox (package busybox-static)")
        shutil.copy(busybox, root / "bin/busybox")
        (root / "bin/sh").symlink_to("busybox")
        shutil.copy(init, root / "init")
        (root / "init").chmod(0o755)
        order = []
        for name in modules:
            found = next(tree.glob(f"lib/modules/*/kernel/**/{name}.ko"), None)
            if found is not None:
                shutil.copy(found, root / "modules" / found.name)
                order.append(found.name + "\n")
        (root / "modules/order").write_text("".join(order))
        names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
        archive = subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root, input=names.encode(), capture_output=True, check=True).stdout
        finished = Path(directory) / "initrd"
        finished.write_bytes(gzip.compress(archive, 1))
        finished.rename(target)


def _run(*argv: str, cwd: str | None = None) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, cwd=cwd, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
