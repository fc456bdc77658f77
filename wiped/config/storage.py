"""`[storage]`: where phones may be wiped and how. Standard library and `storage/` only, since the root helpers load nothing else.

The same checks serve the daemon and the helpers, so that they cannot come to differ.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wiped.config.bounds import Whole
from wiped.config.units import parse_rate, parse_size, parse_verify
from wiped.errors import ConfigError
from wiped.model.policy import StorageRules
from wiped.storage.profiles import profile_fault
from wiped.storage.templates import UUID, check_template

DEFAULT_PATH = "/etc/wiped/wiped.toml"

#: (key, reason)
Fault = tuple[str, str]

#: A configuration is a page, not a book.
MAX_BYTES = 1024 * 1024

#: Directories whose loss is the loss of the host, or that hold no files of phones.
#: Beneath /dev a root is one device node, or a volume group's directory; not where all devices of the host stand, nor memory.
_NEVER_DEVICES = ("/dev/shm", "/dev/hugepages", "/dev/mqueue", "/dev/pts", "/dev/fd")
_ALL_DEVICES = re.compile(r"/dev(/(mapper|block|char|bus|md|disk(/by-[a-z0-9]+)?))?")
_NEVER_ROOTS = ("/bin", "/boot", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var/lib/wiped")

#: Keys of docs/contract.md that this version cannot honour: (key, what is so instead). Set, they are refused; an empty value is no setting.
LATER = {
    "eraser_socket": "helpers are children of the daemon, which runs as root",
    "observer_socket": "helpers are children of the daemon, which runs as root",
}


def closest(word: str, known: Iterable[str]) -> str:
    """A hint that names the key which was probably meant, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"


def within(path: str, directory: str) -> bool:
    """Whether `path` is `directory` or lies beneath it; both normal and absolute."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def path_fault(path: str) -> str:
    """Why `path` cannot stand in a configuration, "" if it can: absolute, normal, printable."""
    if not path.startswith("/"):
        return f"{path!r} is relative; write an absolute path"
    if "\0" in path or not path.isprintable():
        return f"{path!r} holds control characters"
    if path != os.path.normpath(path) or path.startswith("//"):
        return f"{path!r} is not in normal form; write {os.path.normpath(path).replace('//', '/')!r}"
    return ""


def text_list(value: object) -> list[str]:
    """A list of texts; from the environment as a JSON list. Raises ValueError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError('must be a list such as ["/srv/phones"]') from error
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of texts such as ["/srv/phones"]')
    return list(value)


def parse_truth(value: object) -> bool:
    """true or false; from the environment as text. Raises ValueError."""
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def parse_profile_name(value: object) -> str:
    """The name of a packaged profile, or an absolute path. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("must be the name of a profile, or the absolute path of one")
    if fault := profile_fault(value):
        raise ValueError(fault)
    return value


#: Classes of host devices that can be called harmless. Disks of the host (`scsi`, `scsi_host`, `storage`) never are.
HOST_DEVICES = ("pci", "usb", "mdev", "net")


def host_device_classes(value: object) -> list[str]:
    """A list of words of `HOST_DEVICES`. Raises ValueError."""
    found = text_list(value)
    for word in found:
        if word not in HOST_DEVICES:
            raise ValueError(f"{word!r} is no class of host devices; known are {', '.join(HOST_DEVICES)}")
    return found


#: key -> what makes a value of it, or a ValueError.
PARSERS: Mapping[str, Callable[[object], Any]] = {
    "roots": text_list,
    "protected": text_list,
    "passes": Whole(1, 35),
    "verify": parse_verify,
    "parallel_wipes": Whole(1, 64),
    "writers": Whole(1, 64),
    "rate_limit": parse_rate,
    "golden_pools": text_list,
    "extra_artefacts": text_list,
    "phone_directories": text_list,
    "profile": parse_profile_name,
    "harmless_host_devices": host_device_classes,
    "trim": parse_truth,
    "fill_free_space": parse_truth,
    "fill_reserve": parse_size,
}
_KEYS = tuple(PARSERS)


def _root_fault(path: str) -> str:
    """Why a path in plain form cannot be a root, "" if it can."""
    if path == "/" or any(within(path, never) or within(never, path) for never in _NEVER_ROOTS):
        return f"{path!r} is or contains a directory of the host itself; name the directory of the image pools"
    if _ALL_DEVICES.fullmatch(path) or any(within(path, never) for never in _NEVER_DEVICES):
        return f"{path!r} is or contains a directory of the host itself; name a volume group's directory or one device node"
    return ""


def _directory_faults(roots: list[str], protected: list[str]) -> list[Fault]:
    faults: list[Fault] = []
    for key, paths in (("storage.roots", roots), ("storage.protected", protected)):
        for index, path in enumerate(paths):
            if reason := path_fault(path):
                faults.append((f"{key}[{index}]", reason))
            elif path in paths[:index]:
                faults.append((f"{key}[{index}]", f"{path!r} stands twice"))
    good = [path for path in dict.fromkeys(roots) if not path_fault(path)]
    for path in good:
        key = f"storage.roots[{roots.index(path)}]"
        if reason := _root_fault(path):
            faults.append((key, reason))
        outer = next((other for other in good if other != path and within(path, other)), None)
        if outer is not None:
            faults.append((key, f"{path!r} overlaps {outer!r}; keep the outer one, or name directories beside each other"))
    for index, path in enumerate(protected):
        if path_fault(path) or path in protected[:index]:
            continue
        if not any(within(path, root) for root in good):
            hint = f"put it inside one of {good}, or add it to storage.roots too" if good else "there is no usable root"
            faults.append((f"storage.protected[{index}]", f"{path!r} lies inside no root; {hint}"))
        for root in good:
            if root != path and within(root, path):
                faults.append((f"storage.roots[{roots.index(root)}]", f"{root!r} lies inside the protected {path!r}, so nothing in it could be wiped"))
    return faults


def _template_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Templates must be sound, and lie inside a root: nothing outside the roots is ever opened for writing."""
    faults: list[Fault] = []
    roots, protected = values.get("roots", []), values.get("protected", [])
    for key in ("extra_artefacts", "phone_directories"):
        for index, template in enumerate(values.get(key, [])):
            where = f"storage.{key}[{index}]"
            if fault := check_template(template, globs=key == "extra_artefacts"):
                faults.append((where, fault))
                continue
            literal = os.path.dirname(template[: template.index(UUID)] + "x")
            if not any(within(literal, root) for root in roots):
                faults.append((where, f"{template!r} lies inside no root; add {literal!r} to storage.roots"))
            elif inner := next((path for path in protected if within(literal, path)), ""):
                faults.append((where, f"{template!r} lies inside the protected {inner!r}, so nothing of it could be wiped"))
    names = values.get("golden_pools", [])
    for index, name in enumerate(names):
        if not name or not name.isprintable() or "/" in name:
            faults.append((f"storage.golden_pools[{index}]", f"{name!r} is no name of a pool"))
        elif name in names[:index]:
            faults.append((f"storage.golden_pools[{index}]", f"{name!r} stands twice"))
    return faults


def read_storage(raw: object) -> tuple[StorageRules, list[Fault]]:
    """The rules in a `[storage]` table, and every fault. The rules are good only if there is no fault."""
    if not isinstance(raw, Mapping):
        return StorageRules(), [("storage", "must be a table: [storage]")]
    faults: list[Fault] = []
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key in LATER:
            if value not in ("", []):
                faults.append((f"storage.{key}", f"not in this version ({LATER[key]}); remove it"))
        elif key not in PARSERS:
            faults.append((f"storage.{key}", f"is not a key of [storage]; {closest(str(key), [*_KEYS, *LATER])}"))
        else:
            try:
                values[key] = PARSERS[key](value)
            except ValueError as error:
                faults.append((f"storage.{key}", str(error)))
    if not raw.get("roots"):
        faults.append(("storage.roots", 'is required: the directories that hold phones\' images, such as ["/var/lib/libvirt/images"]'))
    roots, protected = values.get("roots", []), values.get("protected", [])
    faults += _directory_faults(roots, protected)
    faults += _template_faults(values)
    frozen: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return StorageRules(**frozen), faults


def faults_text(path: str, faults: Iterable[Fault]) -> str:
    """Every fault on a line of its own under the file's name."""
    return "\n".join([f"{path}: the configuration cannot be used", *(f"  {key}: {reason}" for key, reason in faults)])


def parse_toml(path: str, data: bytes) -> dict[str, Any]:
    """The tables of the file. Raises ConfigError for what is not TOML in UTF-8."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fault = (path, f"is not TOML: {error}")
        raise ConfigError(faults_text(path, [fault]), faults=[fault]) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets within brackets: tomllib says so in Python's own words
        fault = (path, "has a number that is too long, or is nested too deeply")
        raise ConfigError(faults_text(path, [fault]), faults=[fault]) from error


def read_bytes(path: str, *, owned_by_root: bool) -> bytes:
    """The file's bytes. Raises ConfigError if it cannot be read; with `owned_by_root` also unless root owns it and nobody else may write it."""

    def refuse(reason: str) -> ConfigError:
        return ConfigError(faults_text(path, [(path, reason)]), faults=[(path, reason)])

    try:
        # Never follow a link a helper was handed, never hang on a FIFO: what is judged is what is read.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if owned_by_root else 0))
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}") from error
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise refuse("is not a regular file")
        if owned_by_root and facts.st_uid != 0:
            raise refuse(f"is owned by uid {facts.st_uid}; the helpers trust it only from root: chown root")
        if owned_by_root and facts.st_mode & 0o022:
            raise refuse(f"can be written by others (mode {stat.S_IMODE(facts.st_mode):04o}); chmod go-w")
        if facts.st_size > MAX_BYTES:
            raise refuse("is larger than 1 MiB")
        with os.fdopen(os.dup(fd), "rb") as stream:
            return stream.read(MAX_BYTES + 1)
    finally:
        os.close(fd)


def load_storage_rules(path: str = DEFAULT_PATH) -> StorageRules:
    """`[storage]` for the root helpers: from a regular file that root owns and nobody else can write; nothing of the environment.

    Raises ConfigError with every fault of that section.
    """
    tables = parse_toml(path, read_bytes(path, owned_by_root=True))
    rules, faults = read_storage(tables.get("storage", {}))
    if faults:
        raise ConfigError(faults_text(path, faults), faults=faults)
    return rules
