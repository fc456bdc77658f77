"""Policies and safety settings as model values. Durations are whole seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window: the minutes that match all five fields (cron's: minute, hour, day of month, month, day of week with 0 = Sunday), in `zone`.

    `text` is what the configuration says; `either_day`: both day fields were restricted, so either of them suffices (crontab(5))."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    zone: tzinfo
    either_day: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to a phone around its expiry (docs/contract.md, "Configuration": `[policy.NAME]`). `notice`: seconds before expiry, longest first."""

    name: str = "default"
    grace: int = 86_400
    notice: tuple[int, ...] = (604_800, 86_400)
    minor_grace: int = 0
    deadline: int = 259_200
    after: str = "release"
    window: Window | None = None
    """Maintenance window: outside it no wipe begins, unless the phone is overdue, a minor's, or was asked for by a guardian. None: always open."""
    stop_timeout: int = 60
    minor_deadline: int = 86_400
    """As `deadline`, for minors and on a guardian's notice: the shortest."""
    fence_held: bool = True
    """A held phone whose time has come is stopped and fenced; false: it is kept as it is."""
    method: str = "overwrite"
    verify: str = ""
    """As `[storage] verify`, for phones of this policy; "" takes that."""


@dataclass(frozen=True, slots=True)
class Safety:
    """docs/contract.md, "Configuration": `[safety]` and the feed's maximum age."""

    settle: int = 900
    feed_max_age: int = 900
    breaker_max: int = 5
    breaker_ratio_percent: int = 20
    breaker_window: int = 3_600
    max_clock_step: int = 300
    approval_ttl: int = 259_200
    """How long an approval may be waited for, and how long one that was given may be used."""
    hold_warning: int = 604_800
    """How long before its end date a hold says that it lifts."""
    feed_shrink_percent: int = 50
    """A complete answer with fewer than this part of the last one's records ends nothing until a second, equal one."""


@dataclass(frozen=True, slots=True)
class StorageRules:
    """`[storage]`: the part that planning and the helpers need. The strings below the fields are the text of docs/configuration.md."""

    roots: tuple[str, ...] = ()
    """Directories with images of phones: absolute, not overlapping; beneath `/dev` a volume group's directory or one device node. Nothing outside is ever
    erased, except libvirt's own files of a phone. Required."""
    protected: tuple[str, ...] = ()
    """Golden images, inside a root: never opened for writing."""
    passes: int = 1
    """How often the data is overwritten; the last pass is the keystream. More passes gain nothing on this media (NIST SP 800-88r2, FAQ Q6)."""
    verify: str = "full"
    """How much is read back: `full`, or a share such as `sample:0.1`; then every certificate has the residual `sampled`."""
    writers: int = 4
    """Threads that write, and later read, one image."""
    parallel_wipes: int = 4
    """How many wipes run at the same time, fair for each backing device."""
    rate_limit: int = 0
    """Bytes a second for one image, such as `200MiB/s`; `0`: no limit."""
    golden_pools: tuple[str, ...] = ()
    """Names of libvirt pools whose volumes are golden, like `storage.protected`, wherever the pool's directory is."""
    extra_artefacts: tuple[str, ...] = ()
    """Templates of absolute paths such as `/srv/backup/{uuid}/**`: backups and exports that are wiped with the phone; `{uuid}` and globs, nothing else;
    inside a root."""
    phone_directories: tuple[str, ...] = ()
    """Templates of a phone's own directory, such as `/srv/phones/{uuid}`, without globs; inside a root. A file in the directory that the profile does not
    list stops the wipe."""
    profile: str = "libvirt"
    """What a phone's own directory may hold: `libvirt`, `cuttlefish`, or the absolute path of a profile of your own."""
    harmless_host_devices: tuple[str, ...] = ()
    """Classes of host devices (`pci`, `usb`, `mdev`, `net`) that keep nothing of a guest's, such as a GPU: a phone that has one is wiped with the residual risk
    `host-device-attached`. A phone with a device of any other class is refused."""
    trim: bool = True
    """After the removal, FITRIM on filesystems whose device is proven, by a probe, to make trimmed blocks unreadable."""
    fill_free_space: bool = False
    """Where trimming proves nothing: fill the free space once for each batch of wipes, keeping `storage.fill_reserve` free."""
    fill_reserve: int = 10 << 30
    """What the filling leaves free for the neighbours."""
