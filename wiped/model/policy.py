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
    """What happens to a phone around its expiry (CONTRACT `[policy.NAME]`). `notice`: seconds before expiry, longest first."""

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
    """CONTRACT `[safety]` and the feed's maximum age."""

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
    """The part of `[storage]` that planning and the helpers need."""

    roots: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    passes: int = 1
    verify: str = "full"
    writers: int = 4
    parallel_wipes: int = 4
    rate_limit: int = 0
    golden_pools: tuple[str, ...] = ()
    """Names of libvirt pools whose volumes are golden: like `protected`, wherever the pool's directory is."""
    extra_artefacts: tuple[str, ...] = ()
    """Templates of absolute paths with `{uuid}` and globs: backups, exports."""
    phone_directories: tuple[str, ...] = ()
    """Templates of a phone's own directory, with `{uuid}` and no glob: every file in it must be listed by the profile."""
    profile: str = "libvirt"
    """`libvirt`, `cuttlefish`, or the absolute path of a profile of the operator's own."""
    trim: bool = True
    """FITRIM after removal, where a probe shows that the device makes discarded blocks unreadable."""
    fill_free_space: bool = False
    """Where it does not: fill the free space once per batch, keeping `fill_reserve`."""
    fill_reserve: int = 10 << 30
