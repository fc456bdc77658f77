"""The sections beside `[storage]`, as pydantic models: types, units, defaults and limits of every key."""

from __future__ import annotations

import grp
import re
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from wiped.config.endpoints import host_fault, url_fault
from wiped.config.storage import closest, path_fault, text_list, within
from wiped.config.units import parse_duration, parse_listen
from wiped.decide import window
from wiped.model.notices import NoticeKind
from wiped.model.policy import Window

#: Made by config/wiped.sysusers.conf. Where it does not exist and nobody asked for it, the socket stays with root alone.
DEFAULT_GROUP = "wiped"
#: sun_path holds 108 bytes, the last one a zero.
MAX_SOCKET_PATH = 107


def _absolute(value: str) -> str:
    if value and (reason := path_fault(value)):
        raise ValueError(reason)
    return value


def _group(value: str) -> str:
    if value:
        try:
            grp.getgrnam(value)
        except KeyError as error:
            raise ValueError(f"there is no group {value!r} on this host; make it with groupadd, or install config/wiped.sysusers.conf") from error
    return value


def _label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", value):
        raise ValueError(f"{value!r} may hold letters, digits, dots, dashes and underscores, and begins with a letter or digit")
    return value


def _listen(value: str) -> str:
    if value:
        parse_listen(value)
    return value


Duration = Annotated[int, BeforeValidator(parse_duration)]
Path = Annotated[str, AfterValidator(_absolute)]
Group = Annotated[str, AfterValidator(_group)]
Label = Annotated[str, AfterValidator(_label)]
#: "" stands for what the kernel says.
OwnName = Annotated[str, AfterValidator(lambda value: _label(value) if value else "")]


class Section(BaseModel):
    """A table of the file: nothing unknown, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096, arbitrary_types_allowed=True)


class Host(Section):
    """`[host]`: who this is and where it stands (R18: the residency is in every certificate)."""

    name: OwnName = ""
    residency: Label
    state_dir: Path = "/var/lib/wiped"
    runtime_dir: Path = "/run/wiped"
    export_hosts: tuple[str, ...] = ()

    @field_validator("export_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: Any) -> tuple[str, ...]:
        hosts = text_list(value)
        if faults := [fault for fault in map(host_fault, hosts) if fault]:
            raise ValueError("; ".join(faults))
        return tuple(hosts)

    @field_validator("state_dir", "runtime_dir")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value:
            raise ValueError("must not be empty")
        return value


class Libvirt(Section):
    """`[libvirt]`: this host's own system hypervisor; another host's storage is not here."""

    uri: str = "qemu:///system"

    @field_validator("uri")
    @classmethod
    def _local(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"qemu", "qemu+unix"} or parts.netloc or parts.path != "/system":
            raise ValueError(f"{value!r} is not this host's system libvirt; write qemu:///system or qemu+unix:///system?socket=/path")
        return value


class Feed(Section):
    """`[feed]`: where subscriptions come from. Spans in seconds; `timeout` of one whole answer. `url` for `http`, `path` for `file`."""

    kind: str = "local"
    url: str = ""
    path: Path = ""
    interval: Duration = 60
    max_age: Duration = 900
    timeout: Duration = 30
    token_file: Path = ""
    ca_file: Path = ""
    client_cert_file: Path = ""
    client_key_file: Path = ""
    verify_key_file: Path = ""

    @field_validator("kind")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "postgresql":
            raise ValueError(f'{value!r} is not in this version; use "http", "file" or "local"')
        if value not in {"local", "http", "file"}:
            raise ValueError(f'{value!r} is not a kind of feed; this version has "local", "http" and "file"')
        return value

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and (fault := url_fault(value)):
            raise ValueError(fault)
        return value

    @field_validator("interval")
    @classmethod
    def _sane(cls, value: int) -> int:
        if not 1 <= value <= 86_400:
            raise ValueError("must be from 1s to 24h")
        return value

    @field_validator("timeout")
    @classmethod
    def _patience(cls, value: int) -> int:
        if not 1 <= value <= 600:
            raise ValueError("must be from 1s to 10m")
        return value


class PolicySection(Section):
    """`[policy.NAME]`: what happens around the end of a term. Spans in seconds; `notice` longest first."""

    grace: Duration = 86_400
    notice: tuple[int, ...] = (604_800, 86_400)
    minor_grace: Duration = 0
    minor_deadline: Duration = 86_400
    deadline: Duration = 259_200
    window: Window | None = None
    fence_held: bool = True
    method: str = "overwrite"
    verify: str = ""
    after: str = "release"
    stop_timeout: Duration = 60

    @field_validator("window", mode="before")
    @classmethod
    def _window(cls, value: Any) -> Window | None:
        if not isinstance(value, str):
            raise ValueError("must be text: five cron fields and a time zone")
        fields, _, zone = value.strip().rpartition(" ")
        if not value.strip():
            return None
        try:
            return window.parse(fields, ZoneInfo(zone), value.strip())
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"{zone!r} is no time zone; write five cron fields and a zone, such as '* 1-4 * * * Europe/Berlin'") from error

    @field_validator("method")
    @classmethod
    def _method(cls, value: str) -> str:
        if value != "overwrite":
            raise ValueError(f'{value!r} is not in this version; it has "overwrite"')
        return value

    @field_validator("verify")
    @classmethod
    def _verify(cls, value: str) -> str:
        if value not in {"", "full"}:
            raise ValueError('must be "full" or empty: a policy may ask for more than [storage] verify, never for less')
        return value

    @field_validator("notice", mode="before")
    @classmethod
    def _notice(cls, value: Any) -> tuple[int, ...]:
        spans = [parse_duration(item) for item in text_list(value)]
        if 0 in spans or len(set(spans)) != len(spans):
            raise ValueError("must name different spans before the end, none of them zero")
        return tuple(sorted(spans, reverse=True))

    @field_validator("after")
    @classmethod
    def _after(cls, value: str) -> str:
        if value == "recycle":
            raise ValueError('"recycle" is not in this version; use "release"')
        if value != "release":
            raise ValueError(f'{value!r} is not known; this version has "release"')
        return value

    @field_validator("stop_timeout")
    @classmethod
    def _patience(cls, value: int) -> int:
        if not 1 <= value <= 3_600:
            raise ValueError("must be from 1s to 1h")
        return value


class SafetySection(Section):
    """`[safety]`: the guards against one wrong record. Spans in seconds."""

    settle: Duration = 900
    breaker_max: int = Field(default=5, ge=1, le=1_000_000)
    breaker_ratio: float = Field(default=0.2, ge=0, le=1)
    breaker_window: Duration = 3_600
    max_clock_step: Duration = 300
    approval_ttl: Duration = 259_200
    hold_warning: Duration = 604_800
    feed_shrink: float = Field(default=0.5, ge=0, le=1)

    @field_validator("approval_ttl")
    @classmethod
    def _ttl(cls, value: int) -> int:
        if not 60 <= value <= 2_592_000:
            raise ValueError("must be from 1m to 30d")
        return value

    @field_validator("breaker_ratio")
    @classmethod
    def _percent(cls, value: float) -> float:
        if abs(value * 100 - round(value * 100)) > 1e-9:
            raise ValueError("must be in whole percent, such as 0.2 or 0.05")
        return value

    @field_validator("breaker_window")
    @classmethod
    def _window(cls, value: int) -> int:
        if not 1 <= value <= 604_800:
            raise ValueError("must be from 1s to 7d")
        return value

    @field_validator("max_clock_step")
    @classmethod
    def _step(cls, value: int) -> int:
        if not 1 <= value <= 86_400:
            raise ValueError("must be from 1s to 24h")
        return value


class Api(Section):
    """`[api]`: the Unix socket and who may do what through it. An empty socket stands for RUNTIME_DIR/wiped.sock."""

    socket: Path = ""
    group: Group = DEFAULT_GROUP
    viewer_group: Group = ""
    operator_group: Group = ""
    approver_group: Group = ""
    auditor_group: Group = ""


class Metrics(Section):
    """`[metrics]`: where to scrape; empty for nowhere."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:9477"

    @property
    def address(self) -> tuple[str, int] | None:
        """(host, port), or None for nowhere."""
        return parse_listen(self.listen) if self.listen else None


class Webhooks(Section):
    """`[webhooks]`: who is told what happens (R8). An empty `url`: nobody. `events`: kinds of notices, empty for all. `timeout` in seconds, of one attempt."""

    url: str = ""
    secret_file: Path = ""
    events: tuple[str, ...] = ()
    timeout: Duration = 10

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and (fault := url_fault(value)):
            raise ValueError(fault)
        return value

    @field_validator("events", mode="before")
    @classmethod
    def _events(cls, value: Any) -> tuple[str, ...]:
        kinds = text_list(value)
        if unknown := [kind for kind in kinds if kind not in set(NoticeKind)]:
            raise ValueError(f"{unknown[0]!r} is not an event; {closest(unknown[0], [str(kind) for kind in NoticeKind])}")
        return tuple(dict.fromkeys(kinds))

    @field_validator("timeout")
    @classmethod
    def _patience(cls, value: int) -> int:
        if not 1 <= value <= 60:
            raise ValueError("must be from 1s to 1m")
        return value

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of notices that are sent."""
        return (self.events or tuple(str(kind) for kind in NoticeKind)) if self.url else ()


class Retention(Section):
    """`[retention]`: how long, after its generation ended, an account stays known by its pseudonym (`audit`), and a wipe's audit snapshot is kept. Seconds."""

    audit: Duration = 15_768_000
    snapshots: Duration = 15_768_000

    @field_validator("audit")
    @classmethod
    def _statutory(cls, value: int) -> int:
        if value < 15_768_000:
            raise ValueError("operation logs are kept for at least six months (R10): 4380h")
        return value


class Attest(Section):
    """`[attest]`: the signing key (Ed25519, PEM). Empty: the systemd credential `signing-key`, else STATE_DIR/signing-key.pem, made on first run."""

    signing_key_file: Path = ""


class Tables(Section):
    """The names of all sections, for the environment (`WIPED__SECTION__KEY`)."""

    host: Host = Field(default=...)
    libvirt: Libvirt = Libvirt()
    storage: dict[str, Any] = {}
    feed: Feed = Feed()
    policy: dict[str, PolicySection] = {}
    safety: SafetySection = SafetySection()
    api: Api = Api()
    metrics: Metrics = Metrics()
    webhooks: Webhooks = Webhooks()
    attest: Attest = Attest()
    retention: Retention = Retention()


#: Sections and keys of CONTRACT that this version cannot honour, and what is so instead. Set to anything but an empty value, they are refused.
LATER: dict[str, str] = {
    "fleet": "each host is on its own",
    "api.listen": "the API is on the Unix socket alone",
    "api.tls_cert": "the API is on the Unix socket alone",
    "api.tls_key": "the API is on the Unix socket alone",
    "api.tokens_file": "the API is on the Unix socket alone",
    "attest.origin": "the audit log is a hash chain on this host",
    "attest.witness_url": "the audit log is a hash chain on this host",
    "attest.tsa_url": "certificates bear this host's own time",
}


def directories_apart(roots: tuple[str, ...], kept: dict[str, str]) -> list[tuple[str, str]]:
    """Faults for directories of ours (key -> path) that a root contains or lies within."""
    return [
        (key, f"{path!r} and the storage root {root!r} overlap; the daemon's own files must lie outside every root")
        for key, path in kept.items()
        for root in roots
        if within(path, root) or within(root, path)
    ]
