"""A virtualization host in memory: inodes with bytes, names, locks, domains. What a wipe does wrong is *visible* here: a changed byte of a golden image, a
removed file that still holds its secret, a running phone's disk written to.

It outlives "power cuts": only sessions (and with them locks) die.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from wiped.errors import HypervisorError
from wiped.model.inventory import (
    ArtefactKind,
    DiskSource,
    DomainFacts,
    DomainState,
    ExtentFacts,
    FileIdentity,
    FilesystemFacts,
    FoundArtefact,
    ImageLayer,
    Inventory,
    JobKind,
)

BLOCK = 4096
ROOT = "/phones"
GOLDEN = "/golden"
EXT4 = FilesystemFacts(fs_type="ext4", mount_options=("rw",), mount_point=ROOT, device="loop0")
COW = FilesystemFacts(fs_type="btrfs", mount_options=("rw",), mount_point=ROOT, device="loop0", cow=True)
RUNNING = frozenset({DomainState.RUNNING, DomainState.BLOCKED, DomainState.PAUSED, DomainState.SHUTDOWN, DomainState.CRASHED})


def keystream(seed: bytes, artefact_id: str, blocks: int) -> bytes:
    """Not the real one: only different for every seed and artefact, and the same on both sides."""
    return b"".join((hashlib.sha256(seed + artefact_id.encode() + n.to_bytes(8, "big")).digest() * (BLOCK // 32)) for n in range(blocks))


def secret(name: str, blocks: int = 4) -> bytes:
    """Content that must never outlive its phone."""
    return b"".join(f"SECRET of {name} block {n} ".encode().ljust(BLOCK, b"#") for n in range(blocks))


@dataclass(slots=True)
class Inode:
    """One file's bytes. `holders`: descriptors of strangers (a backup, a loop device). `map_digest` changes when the filesystem moves the file."""

    identity: FileIdentity
    data: bytearray
    filesystem: FilesystemFacts = EXT4
    format: str = "qcow2"
    backing: str = ""
    links: int = 1
    flags: tuple[str, ...] = ()
    holders: int = 0
    moved: int = 0
    locked_by: object | None = None

    @property
    def map_digest(self) -> str:
        return hashlib.sha256(f"{self.identity}/{self.moved}/{len(self.data)}".encode()).hexdigest()


@dataclass(slots=True)
class Machine:
    """A domain and how its guest behaves. `acpi`: seconds that it takes to power off when asked (None: never)."""

    facts: DomainFacts
    acpi: float | None = 3.0
    asked_at: float | None = None


@dataclass(slots=True)
class FakeHost:
    """The host. `witness`: awaited before every written byte and every removal, with (uuid, what, artefact_id): a test checks the world there."""

    boottime: Callable[[], float]
    names: dict[str, Inode] = field(default_factory=dict)
    inodes: list[Inode] = field(default_factory=list)
    machines: dict[str, Machine] = field(default_factory=dict)
    fences: dict[str, tuple[frozenset[str], frozenset[FileIdentity]]] = field(default_factory=dict)
    witness: Callable[[str, str, str], Awaitable[None]] | None = None
    libvirt_down: bool = False
    hook_loaded: bool = True
    events: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    ephemeral: set[str] = field(default_factory=set)
    migrated: set[str] = field(default_factory=set)

    # -- building
    def add_file(self, path: str, data: bytes, *, device: int = 1, backing: str = "", fmt: str = "qcow2", filesystem: FilesystemFacts = EXT4) -> Inode:
        inode = Inode(FileIdentity(device, 100 + len(self.inodes)), bytearray(data), filesystem=filesystem, format=fmt, backing=backing)
        self.inodes.append(inode)
        self.names[path] = inode
        return inode

    def add_phone(
        self,
        number: int,
        *,
        running: bool = False,
        golden: str = "",
        device: int = 1,
        saved: bool = False,
        filesystem: FilesystemFacts = EXT4,
        acpi: float | None = 3.0,
    ) -> str:
        """A phone with a disk, an NVRAM file, and where asked a golden image beneath and a RAM image beside. Returns its UUID."""
        uuid = f"00000000-0000-4000-8000-{number:012d}"
        name = f"phone-{number}"
        disk = f"{ROOT}/{name}.qcow2"
        self.add_file(disk, secret(name), backing=golden, device=device, filesystem=filesystem)
        self.add_file(f"/libvirt/nvram/{name}.fd", secret(name + " nvram", 1), fmt="raw", device=device)
        if saved:
            self.add_file(f"/libvirt/save/{name}.save", secret(name + " ram", 8), fmt="raw", device=device)
        facts = DomainFacts(
            uuid,
            name,
            state=DomainState.RUNNING if running else DomainState.SHUTOFF,
            autostart=True,
            disks=(DiskSource("vda", "file", disk, "qcow2"),),
            nvram=f"/libvirt/nvram/{name}.fd",
            has_managed_save=saved,
        )
        self.machines[uuid] = Machine(facts, acpi=acpi)
        return uuid

    def disk_of(self, uuid: str) -> Inode:
        return self.names[self.machines[uuid].facts.disks[0].location]

    def update(self, uuid: str, **facts: object) -> None:
        machine = self.machines[uuid]
        machine.facts = replace(machine.facts, **facts)  # type: ignore[arg-type]

    # -- truth
    def remains(self, text: str) -> int:
        """How many blocks on the raw devices, removed files included, still hold `text`."""
        needle = text.encode()
        return sum(bytes(inode.data[at : at + BLOCK]).count(needle) > 0 for inode in self.inodes for at in range(0, len(inode.data), BLOCK))

    def path_of(self, inode: Inode) -> str:
        return next((path for path, known in self.names.items() if known is inode), "")

    def chain(self, path: str) -> list[tuple[str, Inode | None]]:
        found: list[tuple[str, Inode | None]] = []
        while path and len(found) < 64:
            inode = self.names.get(path)
            found.append((path, inode))
            path = inode.backing if inode is not None else ""
        return found

    def reaches(self, facts: DomainFacts) -> set[str]:
        paths = {path for disk in facts.disks for path, _ in self.chain(disk.location)}
        return paths | {path for path in (facts.nvram, *facts.console_logs) if path}

    def running(self, uuid: str) -> bool:
        machine = self.machines.get(uuid)
        if machine is None:
            return False
        self._acpi(machine)
        return machine.facts.state in RUNNING

    def _acpi(self, machine: Machine) -> None:
        if machine.asked_at is None or machine.acpi is None or machine.facts.state is not DomainState.RUNNING:
            return
        if self.boottime() >= machine.asked_at + machine.acpi:
            machine.facts = replace(machine.facts, state=DomainState.SHUTOFF)
            machine.asked_at = None

    # -- libvirt
    def domain(self, uuid: str) -> DomainFacts | None:
        self._answer()
        machine = self.machines.get(uuid)
        if machine is None:
            return None
        self._acpi(machine)
        return machine.facts

    def _answer(self) -> None:
        if self.libvirt_down:
            raise HypervisorError("libvirt does not answer")

    def all_domains(self) -> tuple[DomainFacts, ...]:
        self._answer()
        for machine in self.machines.values():
            self._acpi(machine)
        return tuple(machine.facts for machine in self.machines.values())

    def shutdown(self, uuid: str) -> None:
        self._answer()
        machine = self.machines.get(uuid)
        self.events.append(f"shutdown {uuid}")
        if machine is not None and machine.asked_at is None:
            machine.asked_at = self.boottime()

    def destroy(self, uuid: str) -> None:
        self._answer()
        self.events.append(f"destroy {uuid}")
        machine = self.machines.get(uuid)
        if machine is not None:
            machine.facts = replace(machine.facts, state=DomainState.SHUTOFF)
            if not machine.facts.persistent:
                del self.machines[uuid]

    def start(self, uuid: str) -> None:
        """As libvirt with our hook: vetoed by a fence on the UUID or on any of its files, and by QEMU's own image locks."""
        self._answer()
        if uuid not in self.machines:
            raise HypervisorError("Domain not found")
        machine = self.machines[uuid]
        self._acpi(machine)
        if machine.facts.state in RUNNING:
            return
        own = self.reaches(machine.facts)
        identities = {self.names[path].identity for path in own if path in self.names}
        if self.hook_loaded and any(uuid == fenced or own & paths or identities & files for fenced, (paths, files) in self.fences.items()):
            raise HypervisorError("Hook script execution failed: phone is fenced")
        if any(self.names[path].locked_by is not None for path in own if path in self.names):
            raise HypervisorError("Failed to lock byte 100")
        if any(disk.location not in self.names for disk in machine.facts.disks):
            raise HypervisorError("Cannot access storage file")
        self.events.append(f"start {uuid}")
        machine.facts = replace(machine.facts, state=DomainState.RUNNING)
        machine.asked_at = None

    def undefine(self, uuid: str) -> None:
        self._answer()
        self.events.append(f"undefine {uuid}")
        machine = self.machines.get(uuid)
        if machine is None or not machine.facts.persistent:
            return
        self._acpi(machine)
        if machine.facts.state is not DomainState.SHUTOFF:
            raise HypervisorError("the domain is still running")
        del self.machines[uuid]

    def undefine_secret(self, uuid: str) -> None:
        self._answer()
        self.events.append(f"undefine secret {uuid}")
        self.secrets.discard(uuid)

    def undefine_ephemeral(self, uuid: str) -> None:
        self._answer()
        if uuid in self.ephemeral:
            self.events.append(f"undefine ephemeral {uuid}")
            self.ephemeral.discard(uuid)

    def migrate_away(self, uuid: str) -> None:
        """The phone leaves for another host, which has its files from now on; here only their names stay."""
        del self.machines[uuid]
        self.migrated.add(uuid)

    # -- eyes
    def layer(self, path: str) -> ImageLayer:
        inode = self.names.get(path)
        if inode is None:
            return ImageLayer(path, "", problem="missing", detail="no such file")
        size = len(inode.data)
        return ImageLayer(
            path,
            inode.format,
            identity=inode.identity,
            virtual_bytes=size,
            allocated_bytes=size,
            size_bytes=size,
            links=inode.links,
            backing_location=inode.backing,
            backing_format="qcow2" if inode.backing else "",
            under_root=ROOT if path.startswith(ROOT) else "",
            under_protected=GOLDEN if path.startswith(GOLDEN) else "",
            libvirt_owned=path.startswith("/libvirt/"),
            filesystem=inode.filesystem,
            extents=ExtentFacts(1, size, inode.flags, inode.map_digest),
        )

    def inventory(self, domain: DomainFacts, others: tuple[DomainFacts, ...]) -> Inventory:
        everybody = (domain, *others)

        def owners(path: str) -> tuple[str, ...]:
            return tuple(sorted(facts.uuid for facts in everybody if path in self.reaches(facts)))

        found = []
        for disk in domain.disks:
            retain = "read-only-media" if disk.readonly else ""
            for depth, (path, _) in enumerate(self.chain(disk.location)):
                found.append(FoundArtefact(ArtefactKind.DISK_IMAGE, self.layer(path), disk.target, depth, owners(path), retain_reason=retain))
        if domain.nvram:
            found.append(FoundArtefact(ArtefactKind.NVRAM, self.layer(domain.nvram), owners=owners(domain.nvram)))
        found.extend(FoundArtefact(ArtefactKind.CONSOLE_LOG, self.layer(path), owners=owners(path)) for path in domain.console_logs)
        if domain.has_managed_save:
            found.append(FoundArtefact(ArtefactKind.MEMORY_IMAGE, self.layer(f"/libvirt/save/{domain.name}.save"), owners=(domain.uuid,)))
        return Inventory(domain, tuple(found))

    def busy(self, uuid: str, job: JobKind) -> None:
        self.update(uuid, job=job)
