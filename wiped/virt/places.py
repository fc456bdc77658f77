"""Where libvirt's QEMU driver leaves what belongs to a domain, by name or UUID. Pure: names and texts in, names and facts out; no I/O.

Rules of libvirt 9.0, each seen on a real one (`tests/host/test_virt_places.py`). A file that is keyed by a *name* (a dump, a log, a memory
directory) is evidence of nothing by itself: names are truncated, re-used and changed. Whoever asks here must also ask whether any
*other* domain's present, former or saved name matches; where one does, the file is shared. Names never enter a glob or a pattern unescaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wiped.errors import InputError
from wiped.virt import safe_xml

#: VIR_DOMAIN_SHORT_NAME_MAX: wide characters of the locale in which libvirtd runs.
SHORT_NAME_MAX: Final = 20
#: The QEMU driver's state directory, compiled in.
STATE: Final = "/var/lib/libvirt/qemu"
_DUMP_ENDINGS: Final = ("", ".core", ".dump", ".elf", ".kdump")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: virtlogd's `.0`, `.1`...; logrotate's (Debian and Fedora ship a rule for these logs) the same or `-DATE`, compressed or not.
_ROTATED: Final = re.compile(r"(?:\.(?:0|[1-9][0-9]*)|-[0-9]{8}(?:-[0-9]{1,10})?)(?:\.(?:gz|bz2|xz|zst))?")
#: As libvirt names variables that a definition names no place for (qemuFirmwareEnsureNVRAM): `.fd`, `.raw`, `.qcow2`, or nothing.
_VARIABLES: Final = r"_VARS(?:\.[A-Za-z0-9]{1,16})?"
_WHEN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}:[0-9]{2}:[0-9]{2}"


def short_name(name: str) -> str:
    """A domain's name as it stands in dump, memory and channel names, after `ID-`: its first 20 characters (a libvirtd in a UTF-8 locale)."""
    return name[:SHORT_NAME_MAX]


def short_names(name: str) -> frozenset[str]:
    """Every form of the short name: by characters, and by bytes (a libvirtd in the C locale). As `os.listdir` tells them, undecodable bytes escaped."""
    raw = name.encode("utf-8", "surrogateescape")
    return frozenset({short_name(name), raw[:SHORT_NAME_MAX].decode("utf-8", "surrogateescape")})


def _matches(entry: str, name: str, tail: str) -> bool:
    return bool(name) and any(re.fullmatch(rf"[0-9]+-{re.escape(short)}{tail}", entry) for short in short_names(name))


def auto_dump_matches(entry: str, name: str) -> bool:
    """Whether a file name is that of a dump that libvirt makes by itself (watchdog, `on_crash`): `ID-SHORT-YYYY-MM-DD-HH:MM:SS`."""
    return _matches(entry, name, f"-{_WHEN}")


def dump_names(name: str) -> tuple[str, ...]:
    """File names that people give to a `virsh dump` of a domain, kept in the dump directory."""
    return tuple(f"{name}{ending}" for ending in _DUMP_ENDINGS) if name else ()


def matches_dump(entry: str, name: str, uuid: str) -> bool:
    """Whether a file in the dump directory is a dump of this domain by its name: libvirt's own, a person's, or one that contains the UUID."""
    return auto_dump_matches(entry, name) or entry in dump_names(name) or (bool(uuid) and uuid in entry.lower())


def qemu_log_names(name: str) -> tuple[str, ...]:
    """QEMU's log of a domain, in the logs directory. For its rotations ask `is_log`."""
    return (f"{name}.log",) if name else ()


def swtpm_log(name: str) -> str:
    """swtpm's log of a domain, in the directory of swtpm's logs."""
    return f"{name}-swtpm.log"


def is_log(entry: str, log: str) -> bool:
    """Whether a file name is that of a log, or of one that virtlogd or logrotate rotated away from it (`.0`, `.1`, `.2.gz`, `-20260131`...)."""
    return entry == log or (entry.startswith(log) and _ROTATED.fullmatch(entry, len(log)) is not None)


def rotated_from(path: str) -> tuple[str, ...]:
    """Every log (path or name) from which a file of this name may have been rotated away: `is_log(path, each)`."""
    starts = (at for at, letter in enumerate(path) if letter in ".-" and at > path.rfind("/") + 1)
    return tuple(path[:at] for at in starts if _ROTATED.fullmatch(path, at))


def nvram_directory(state: str) -> str:
    """Where libvirt keeps firmware variables for which a definition names no place. `state`: the driver's state directory."""
    return f"{state.rstrip('/')}/nvram"


def matches_nvram(entry: str, name: str) -> bool:
    """Whether a file in that directory holds this domain's firmware variables by its name."""
    return bool(name) and re.fullmatch(re.escape(name) + _VARIABLES, entry) is not None


def transient_overlays(disk: str, names: Iterable[str]) -> tuple[str, ...]:
    """Where libvirt puts what a guest writes to a `<transient/>` disk until the phone stops: beside the disk, and left there by a loss of power
    (qemuSnapshotGetTransientDiskDef: with the domain's name since libvirt 6.10, without it before, and for disks that are not attached while it runs)."""
    return (f"{disk}.TRANSIENT", *(f"{disk}.TRANSIENT-{name}" for name in names if name and "/" not in name))


def absolute(path: str) -> str:
    """A path as libvirt and QEMU take it: they run in `/` (daemon(7)). "" stays ""."""
    return path if not path or path.startswith("/") else f"/{path}"


# -- qemu.conf


@dataclass(frozen=True, slots=True)
class QemuConf:
    """The directories that `qemu.conf` can move, as libvirt uses them; without it they lie in the driver's state directory.

    `auto_dump_path`: dumps that libvirt makes by itself. `memory_backing_dir`: the directory in which each running domain with file-backed memory has
    one of its own (libvirt adds `libvirt/qemu` to what is stated there, and nothing to its default).
    """

    auto_dump_path: str = f"{STATE}/dump"
    memory_backing_dir: str = f"{STATE}/ram"


def parse_qemu_conf(text: str, *, state: str = STATE) -> QemuConf:
    """The directories that a `qemu.conf` states, in libvirt's own grammar (virconf: `key = "text"`, '#' comments, lists; of equal keys the first counts).

    `state`: the driver's state directory (LibvirtDirectories.state). Text without settings ("" for no file): the defaults. Raises InputError for text
    that libvirtd would not take either, and when one of those keys is not a plain absolute path: a place that is not understood may hold anything.
    """
    found: dict[str, str] = {}
    for key, value in _settings(text):
        if key in ("auto_dump_path", "memory_backing_dir") and key not in found:
            if not value.startswith("/"):
                raise InputError(f"{key} is not an absolute path in quotes", where="qemu.conf")
            found[key] = value.rstrip("/") or "/"
    memory = found.get("memory_backing_dir")
    return QemuConf(
        auto_dump_path=found.get("auto_dump_path", f"{state}/dump"),
        memory_backing_dir=f"{state}/ram" if memory is None else f"{memory.rstrip('/')}/libvirt/qemu",
    )


_SETTING: Final = re.compile(
    r"""
      \s*(?:\#[^\n]*)?(?:\n|\Z)                       # nothing, or a comment
    | [ \t]*(?P<key>[A-Za-z][A-Za-z0-9_.-]*)\s*=\s*(?:
          \"\"\"(?P<long>.*?)\"\"\"
        | \"(?P<double>[^"\n]*)\"
        | '(?P<single>[^'\n]*)'
        | (?P<number>-?[0-9]+)
        | \[(?P<list>(?:[^\]"'#]|\#[^\n]*|\"[^"\n]*\"|'[^'\n]*')*)\]
      )[ \t]*;?[ \t]*(?:\#[^\n]*)?(?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)


def _settings(text: str) -> list[tuple[str, str]]:
    """Keys and the text of each ("" for a number or a list), in their order. Raises InputError."""
    found, at = [], 0
    while at < len(text):
        match = _SETTING.match(text, at)
        if match is None or match.end() == at:
            raise InputError(f"line {text.count(chr(10), 0, at) + 1} is not understood", where="qemu.conf")
        if match["key"]:
            found.append((match["key"], match["long"] or match["double"] or match["single"] or ""))
        at = match.end()
    return found


# -- file-backed memory


def memory_backing_directory(conf: QemuConf) -> str:
    """The directory in which each running domain with file-backed memory has one of its own (libvirt removes it at the stop, files and all)."""
    return conf.memory_backing_dir


def matches_memory_dir(entry: str, name: str) -> bool:
    """Whether a directory there is this domain's: `ID-SHORT`."""
    return _matches(entry, name, "")


# -- secrets


#: Usages of secrets that let somebody in (a cluster, a target, a TLS key), and are never one phone's data.
#: What opens a volume or a TPM of one phone's.
OF_VOLUMES: Final = frozenset({"none", "volume", "vtpm"})
CREDENTIALS: Final = frozenset({"ceph", "iscsi", "tls"})


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """A libvirt secret without its value. `usage_type`: none, volume, ceph, iscsi, tls, vtpm; `usage`: the volume's path, or a name."""

    uuid: str
    ephemeral: bool = False
    usage_type: str = "none"
    usage: str = ""

    @property
    def reference(self) -> str:
        """How `DomainFacts.secrets` names it where the XML states its usage instead of its UUID; "" for a secret without one."""
        return secret_usage(self.usage_type, self.usage) if self.usage else ""


def secret_usage(usage_type: str, usage: str) -> str:
    """The text that stands in `DomainFacts.secrets` for a secret named by its usage."""
    return f"usage:{usage_type}:{usage}"


def secret_files(uuid: str) -> tuple[str, str]:
    """File names of a secret in the secrets directory: its definition, and its value (absent while none was set; a base64 text)."""
    return f"{uuid}.xml", f"{uuid}.base64"


def parse_secret(xml: str | bytes) -> SecretFacts:
    """Facts of a `<secret>`. Raises InputError."""
    root = safe_xml.parse(xml, what="secret XML")
    uuid = root.findtext("uuid", "").strip().lower()
    if root.tag != "secret" or not _UUID.fullmatch(uuid):
        raise InputError("is not a secret with a UUID", where="secret XML")
    usage = root.find("usage")
    kind = usage.get("type", "none") if usage is not None else "none"
    named = next((text for tag in ("volume", "name", "target") if usage is not None and (text := usage.findtext(tag, "").strip())), "")
    return SecretFacts(uuid, root.get("ephemeral") == "yes", kind, named)
