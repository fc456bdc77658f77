"""Configuration: the operator's TOML becomes model values, or every fault at once (docs/contract.md, "Configuration").

`units` reads durations and sizes, `bounds` says what is too small or too large, `storage` is the part that the root helpers need (no third-party library:
a helper starts in milliseconds), `values` and `endpoints` check single settings, `sections` and `settings` the whole file.

May not: look at libvirt or an image, decide anything, keep a secret. What this version cannot do is refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wiped.config.storage import DEFAULT_PATH, load_storage_rules

if TYPE_CHECKING:
    from wiped.config.settings import Settings

__all__ = ["DEFAULT_PATH", "Settings", "load", "load_storage_rules"]


def __getattr__(name: str) -> Any:
    """`Settings` on demand (PEP 562): a helper that imports this package must not load the daemon's sections."""
    if name == "Settings":
        from wiped.config.settings import Settings  # noqa: PLC0415 - see above

        return Settings
    raise AttributeError(name)


def load(path: str = DEFAULT_PATH, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in the file `path`, overlaid with `WIPED__SECTION__KEY` from `environ` (default: the process's).

    Raises ConfigError whose `faults` are all the faults as (key, reason).
    """
    from wiped.config.settings import load_settings  # noqa: PLC0415 - the daemon's sections are not for the helpers

    return load_settings(path, environ)
