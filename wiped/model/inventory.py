"""What stands on the host: domains, image layers, and who reaches which file. Sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ArtefactKind(StrEnum):
    """The artefact kinds of docs/contract.md."""

    DISK_IMAGE = "disk-image"
    SNAPSHOT_OVERLAY = "snapshot-overlay"
    BACKING_PRIVATE = "backing-private"
    BLOCK_DEVICE = "block-device"
    MEMORY_IMAGE = "memory-image"
    CORE_DUMP = "core-dump"
    NVRAM = "nvram"
    TPM_STATE = "tpm-state"
    CONSOLE_LOG = "console-log"
    INSTALL_MEDIA = "install-media"
    SHARED_DIRECTORY = "shared-directory"
    MEMORY_BACKING = "memory-backing"
    LIBVIRT_SECRET = "libvirt-secret"
    KEY = "key"
    EXTRA = "extra"


#: The order of erasing (docs/design.md, step 6): keys, then memory images, then disks, then the rest. Kinds that are not named come last.
ERASE_ORDER: tuple[ArtefactKind, ...] = (
    ArtefactKind.KEY,
    ArtefactKind.LIBVIRT_SECRET,
    ArtefactKind.TPM_STATE,
    ArtefactKind.MEMORY_IMAGE,
    ArtefactKind.MEMORY_BACKING,
    ArtefactKind.CORE_DUMP,
    ArtefactKind.SNAPSHOT_OVERLAY,
    ArtefactKind.DISK_IMAGE,
    ArtefactKind.BACKING_PRIVATE,
)


@dataclass(frozen=True, slots=True)
class LibvirtDirectories:
    """Where libvirt's QEMU driver keeps its own files. Only tests use other places than the compiled-in ones."""

    config: str = "/etc/libvirt/qemu"
    run: str = "/run/libvirt/qemu"
    state: str = "/var/lib/libvirt/qemu"
    logs: str = "/var/log/libvirt/qemu"
    swtpm: str = "/var/lib/libvirt/swtpm"
    swtpm_logs: str = "/var/log/swtpm/libvirt/qemu"
    secrets: str = "/etc/libvirt/secrets"
    qemu_conf: str = "/etc/libvirt/qemu.conf"
    classified: str = "/var/lib/wiped/classified"
    """Ours, not libvirt's, and fixed like the fence directory: the records of `wipectl images classify`, which both helpers read for themselves."""
    remembered: str = "/var/lib/wiped/remembered"
    """Ours: what phones were last seen to have, by UUID; the eraser's evidence for a phone that vanished."""
    records_uid: int = 0
    """Who, beside root, may have written these two: the daemon at the other end of a helper's line, which is root or user `wiped`."""


#: The claim (FoundArtefact.claim, then Step.reason) of the log that libvirt itself keeps of a domain's emulator. A start that was refused writes there too.
QEMU_LOG_CLAIM = "QEMU's log of this phone"


class DomainState(StrEnum):
    """libvirt's domain states, and `saving`/`migrating` told by a running job."""

    RUNNING = "running"
    BLOCKED = "blocked"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    PMSUSPENDED = "pmsuspended"
    UNKNOWN = "unknown"


class JobKind(StrEnum):
    """A long job that libvirt runs on the domain (virDomainGetJobStats), by what it means for us."""

    NONE = "none"
    SAVE = "save"
    MIGRATION = "migration"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file's place in the kernel: `st_dev` and `st_ino`. The only name that a rename cannot change. Of a block device: `st_rdev` and 0."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """A block device as sysfs and /proc show it. `number`: "major:minor". `kind`: disk, partition, loop, lvm (thick), lvm-thin, lvm-snapshot (a snapshot
    or the origin of one), crypt, device-mapper, raid, multipath, other. `backing_file`: of a loop device. `claims`: (refusal code, detail) of whoever
    else has it: mounted, swap, holders, partitions in use, members of an array or volume group. `stacked`: numbers of every device above and
    below it, its partitions and the disk it is a partition of included: whoever reaches one of them reaches its bytes."""

    number: str
    kind: str
    size_bytes: int
    logical_block: int = 512
    discards: bool = False
    backing_file: str = ""
    claims: tuple[tuple[str, str], ...] = ()
    stacked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiskSource:
    """One disk of a domain as its XML says, with its stated backing chain (never probed, docs/physics.md 5).

    `type` is libvirt's source type: file, block, volume, network, dir, nvme, vhostuser...; `location` the path of file and block sources (for
    `volume` the resolved path, "" while unresolved); `format` the stated driver type ("" when the XML states none: then it counts as raw and is
    not opened as anything else). `origin` tells where the XML was seen: live, inactive or snapshot. `device` is libvirt's word (disk, cdrom, floppy,
    lun), or `nvdimm` for a memory device backed by a file. `discard`: the guest may trim (residual `guest-discard-enabled`).
    """

    target: str
    type: str
    location: str
    format: str
    device: str = "disk"
    readonly: bool = False
    shareable: bool = False
    pool: str = ""
    volume: str = ""
    origin: str = "inactive"
    discard: bool = False
    part: bool = False
    """Only a part of the file is the disk (`<slices>`): what else is in it is not seen."""


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What one domain's XML and state say, and nothing of its content (R12). `uuid` lower-case with dashes; names are for people.

    `has_snapshot_memory`: a snapshot keeps RAM in a file of its own, named in `snapshot_memory_files` (RAM kept inside a qcow2 goes with the image).
    `former_nvram`: NVRAM paths that other versions of the XML (live, inactive, a snapshot) name beside `nvram`.
    """

    uuid: str
    name: str
    state: DomainState = DomainState.UNKNOWN
    persistent: bool = True
    autostart: bool = False
    job: JobKind = JobKind.NONE
    disks: tuple[DiskSource, ...] = ()
    nvram: str = ""
    console_logs: tuple[str, ...] = ()
    has_managed_save: bool = False
    snapshots: tuple[str, ...] = ()
    has_snapshot_memory: bool = False
    tpm: bool = False
    shared_directories: tuple[str, ...] = ()
    memory_backing_file: bool = False
    snapshot_memory_files: tuple[str, ...] = ()
    former_nvram: tuple[str, ...] = ()
    shared_readonly: tuple[str, ...] = ()
    """Those of `shared_directories` that the guest may only read: media, not the phone's own."""
    secrets: tuple[str, ...] = ()
    """UUIDs of libvirt secrets that the XML names (disk encryption, TPM encryption), lower-case."""
    former_names: tuple[str, ...] = ()
    """Names that snapshots' XML tells of this UUID: files keyed by name may stand under them."""
    unaccounted: tuple[tuple[str, str], ...] = ()
    """(place in the XML, why): what `virt.data_map` does not account for. Refuses the phone."""
    host_devices: tuple[str, ...] = ()
    """Classes of host devices that the guest has: `pci`, `usb`, `mdev`..."""
    stated_chain: tuple[DiskSource, ...] = ()
    """What `<backingStore>` states beneath the disks: QEMU opens that, whatever the images' headers say."""


@dataclass(frozen=True, slots=True)
class FilesystemFacts:
    """The filesystem and device under a file; for the certificate's `backing`. `mount_options` as in /proc/self/mountinfo plus what the kernel
    hides (docs/physics.md 2: data=journal as a default mount option)."""

    fs_type: str
    mount_options: tuple[str, ...] = ()
    mount_point: str = ""
    device: str = ""
    model: str = ""
    rotational: bool | None = None
    data_journal: bool = False
    cow: bool = False
    local: bool = True


@dataclass(frozen=True, slots=True)
class ExtentFacts:
    """A FIEMAP summary of a file: number of merged ranges, mapped bytes, the union of flag names, digest of the merged
    (logical, physical, length) coverage. The digest is of the *map*, never of content."""

    count: int
    bytes: int
    flags: tuple[str, ...]
    map_digest: str


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """One file as the observer saw it. `problem` is a refusal or reason code when it could not be looked at or must not be touched
    (symlink, not-regular, hard-link, untrusted-format, external-data-file, vanished, io-error, ...); `detail` says it in words.

    `backing_location`/`backing_format`: as the (trusted) header states, "" if none. `encrypted`: a LUKS header was seen.
    `under_root`/`under_protected`: the configured root that contains it ("" for none), by resolved directory, as the observer computed it.
    `libvirt_owned`: within libvirt's own state directories (docs/contract.md), where no root is needed.
    """

    location: str
    format: str
    identity: FileIdentity | None = None
    virtual_bytes: int = 0
    allocated_bytes: int = 0
    size_bytes: int = 0
    links: int = 1
    backing_location: str = ""
    backing_format: str = ""
    encrypted: bool = False
    internal_snapshots: int = 0
    under_root: str = ""
    under_protected: str = ""
    libvirt_owned: bool = False
    filesystem: FilesystemFacts | None = None
    extents: ExtentFacts | None = None
    problem: str = ""
    detail: str = ""
    in_use: bool = False
    block: BlockFacts | None = None
    retained_extents: ExtentFacts | None = None
    """Extents that are the very blocks of a golden image at the same offset (a reflinked clone): kept with it. `extents` are then the others alone."""
    golden: str = ""
    """The golden image that `retained_extents` belong to."""


@dataclass(frozen=True, slots=True)
class FoundArtefact:
    """A place where the phone may leave something, with the layer found there, who reaches it (UUIDs, this phone's included), its depth in a chain (0 = top).

    `snapshot_made`: libvirt's own snapshot metadata of this domain names the file as a former disk source, so it is private and not an ambiguous base.
    """

    kind: ArtefactKind
    layer: ImageLayer
    target: str = ""
    depth: int = 0
    owners: tuple[str, ...] = ()
    snapshot_made: bool = False
    retain_reason: str = ""
    claim: str = ""
    """Why it is the phone's own, in words, where it is no disk: its swtpm directory by UUID, its dump by name..."""
    classified: str = ""
    """`golden` or `private`, as `wipectl images classify` settled it."""
    media: bool = False
    """A CD or floppy image: the phone's own seed, or shared install media."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything known of one phone's storage at one moment. `problems` are (code, location, detail) that belong to no single file."""

    domain: DomainFacts
    artefacts: tuple[FoundArtefact, ...] = ()
    problems: tuple[tuple[str, str, str], ...] = field(default=())
    swap_bytes: int = 0
