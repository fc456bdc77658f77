"""Policies and safety settings as model values. Durations are whole seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to a phone around its expiry (CONTRACT `[policy.NAME]`). `notice`: seconds before expiry, longest first."""

    name: str = "default"
    grace: int = 86_400
    notice: tuple[int, ...] = (604_800, 86_400)
    minor_grace: int = 0
    deadline: int = 259_200
    after: str = "release"
    window: str = ""
    stop_timeout: int = 60


@dataclass(frozen=True, slots=True)
class Safety:
    """CONTRACT `[safety]` and the feed's maximum age."""

    settle: int = 900
    feed_max_age: int = 900
    breaker_max: int = 5
    breaker_ratio_percent: int = 20
    breaker_window: int = 3_600
    max_clock_step: int = 300


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
