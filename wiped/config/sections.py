"""The sections beside `[storage]`, as pydantic models: type, unit, default and bounds of every key, and below each key what it means.

The strings below the keys are the text of docs/configuration.md: `make docs` writes them there.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wiped.config.bounds import OneOf, Span
from wiped.config.storage import within
from wiped.config.units import parse_listen
from wiped.config.values import (
    Directory,
    Duration,
    Events,
    Group,
    Hosts,
    Label,
    LibvirtUri,
    Listen,
    MaintenanceWindow,
    Notices,
    OwnName,
    Path,
    Percent,
    Url,
)
from wiped.model.notices import NoticeKind

#: Made by config/wiped.sysusers.conf. Where it does not exist and nobody asked for it, the socket stays with root alone.
DEFAULT_GROUP = "wiped"
_MORE = 'must be "full" or empty: a policy may ask for more than [storage] verify, never for less'
#: sun_path holds 108 bytes, the last one a zero.
MAX_SOCKET_PATH = 107


class Section(BaseModel):
    """A table of the file: nothing unknown, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096, arbitrary_types_allowed=True)


class Host(Section):
    """`[host]`: who this is and where it is (R18: the residency is in every certificate)."""

    name: OwnName = ""
    """The host's name in every certificate; empty: what the kernel says."""
    residency: Label
    """The territory in which this host is, such as `eu-de`; in every certificate (R18)."""
    state_dir: Directory = "/var/lib/wiped"
    """Ledger, salts, signing key; outside every storage root. Fence files are in `/var/lib/wiped/fence`, whatever this says."""
    runtime_dir: Directory = "/run/wiped"
    """Where the API's socket is made; outside every storage root."""
    export_hosts: Hosts = ()
    """Hosts within the territory to which data may go (names or addresses); any other endpoint is refused (R18). This host itself is always allowed."""


class Libvirt(Section):
    """`[libvirt]`: this host's own system hypervisor; another host's storage is not here."""

    uri: LibvirtUri = "qemu:///system"
    """This host's system libvirt, and no other: `qemu:///system`, or `qemu+unix:///system?socket=/path`."""


class Feed(Section):
    """`[feed]`: where subscriptions come from. Spans in seconds."""

    kind: Annotated[str, AfterValidator(OneOf(("local", "http", "file"), "a kind of feed", planned=("postgresql",)))] = "local"
    """`local`: subscriptions come by CLI, API and import; `http`: the daemon asks billing's API; `file`: billing replaces a file."""
    url: Url = ""
    """Of `http`: https, or http on this host itself; its host must be in `host.export_hosts` (R18)."""
    path: Path = ""
    """Of `file`: the JSON-lines file that billing replaces by a rename."""
    interval: Annotated[Duration, AfterValidator(Span("1s", "24h"))] = 60
    """How often the feed is asked."""
    max_age: Duration = 900
    """An older complete answer is stale: nothing new is concluded. Not shorter than `feed.interval`."""
    timeout: Annotated[Duration, AfterValidator(Span("1s", "10m"))] = 30
    """For a whole answer, all its pages."""
    token_file: Path = ""
    """Of `http`: a bearer token, mode 0600, read anew for each answer."""
    ca_file: Path = ""
    """Of `http`: the authorities that may sign the server's certificate; empty: the system's."""
    client_cert_file: Path = ""
    """Of `http`: a client certificate (PEM) for mTLS, together with `feed.client_key_file`."""
    client_key_file: Path = ""
    """The key of `feed.client_cert_file`."""
    verify_key_file: Path = ""
    """Of `http` and `file`: billing's Ed25519 public key (PEM); a record that this key did not sign is refused."""


class PolicySection(Section):
    """`[policy.NAME]`: what happens around the end of a term. Spans in seconds; `notice` longest first."""

    grace: Duration = 86_400
    """From the end of the term (or from its first recording on this host, if later) to the wipe; at least `safety.settle` passes."""
    notice: Notices = (604_800, 86_400)
    """Instants before the end: the phone's state becomes `notice`, and a notice `phone.expiring` is sent for each."""
    minor_grace: Duration = 0
    """`grace` for accounts of minors (R6); never longer than `grace`."""
    minor_deadline: Duration = 86_400
    """`deadline` for minors, and on a guardian's notice; the shorter one counts. Never shorter than `minor_grace`."""
    deadline: Duration = 259_200
    """From the end of the term: a phone whose data is still there then is overdue. Never shorter than `grace`."""
    window: MaintenanceWindow = None
    """Maintenance window: five cron fields and a time zone, such as `* 1-4 * * 1-5 Europe/Berlin`. Outside it no wipe begins, but overdue ones, those of
    minors, a guardian's and manual ones do. Empty: always open."""
    fence_held: bool = True
    """A held phone whose time has come is stopped and fenced; false: it is kept as it is."""
    method: Annotated[str, AfterValidator(OneOf(("overwrite",), "a method", planned=("crypto-erase",)))] = "overwrite"
    """How the data is made unreadable."""
    verify: Annotated[str, AfterValidator(OneOf(("", "full"), why=_MORE))] = ""
    """`full`: read back everything, whatever `storage.verify` says; empty: as `storage.verify` says."""
    after: Annotated[str, AfterValidator(OneOf(("release",), "known here", planned=("recycle",)))] = "release"
    """What happens to the phone after its wipe; `release`: the domain is undefined."""
    stop_timeout: Annotated[Duration, AfterValidator(Span("1s", "1h"))] = 60
    """For the guest's own shutdown, before the domain is stopped hard."""


class SafetySection(Section):
    """`[safety]`: the guards against one wrong record. Spans in seconds."""

    settle: Duration = 900
    """The least time between the recording of an end and a wipe, whatever the grace."""
    breaker_max: int = Field(default=5, ge=1, le=1_000_000)
    """How many phones may fall due within `safety.breaker_window` on any host; more open the breaker."""
    breaker_ratio: Percent = Field(default=0.2, ge=0, le=1)
    """The share of the bound phones that may fall due within the window, where that is more than `safety.breaker_max`; in whole percent."""
    breaker_window: Annotated[Duration, AfterValidator(Span("1s", "7d"))] = 3_600
    """The window in which newly due phones are counted."""
    max_clock_step: Annotated[Duration, AfterValidator(Span("1s", "24h"))] = 300
    """After a larger step of the clock nothing is concluded from time, until the clock is synchronised or an operator types `wipectl clock trust`."""
    approval_ttl: Annotated[Duration, AfterValidator(Span("1m", "30d"))] = 259_200
    """How long a request may wait for its second person, and how long an approval that was given may be used."""
    hold_warning: Duration = 604_800
    """How long before its end date a legal hold reports that it ends."""
    feed_shrink: float = Field(default=0.5, ge=0, le=1)
    """A complete answer with a smaller share of the last answer's records ends nothing until a second, equal one."""


class Api(Section):
    """`[api]`: the Unix socket and who may do what through it. An empty socket stands for RUNTIME_DIR/wiped.sock."""

    socket: Path = ""
    """The API's Unix socket, at most 107 bytes long; empty: `wiped.sock` in `host.runtime_dir`."""
    group: Group = DEFAULT_GROUP
    """The group that may connect (the socket's mode is 0660); empty: root alone."""
    viewer_group: Group = ""
    """The group that may look; empty: everyone who can connect."""
    operator_group: Group = ""
    """The group that may ask for changes; empty: root alone."""
    approver_group: Group = ""
    """The group that may approve what another person asked for; empty: nobody. Root never approves."""
    auditor_group: Group = ""
    """The group that may read the audit log and reports, as operators may; empty: root alone."""


class Metrics(Section):
    """`[metrics]`: where to scrape; empty for nowhere."""

    listen: Listen = "127.0.0.1:9477"
    """Address and port of `/metrics`; empty: nowhere."""

    @property
    def address(self) -> tuple[str, int] | None:
        """(host, port), or None for nowhere."""
        return parse_listen(self.listen) if self.listen else None


class Webhooks(Section):
    """`[webhooks]`: who is told what happens (R8). An empty `url`: nobody. `events`: kinds of notices, empty for all. `timeout` in seconds, of one attempt."""

    url: Url = ""
    """Where notices are sent: https, or http to this host itself; its host must be in `host.export_hosts` (R18). Empty: nowhere."""
    secret_file: Path = ""
    """Required with `webhooks.url`: `whsec_` and the Base64 of 24 to 64 bytes; up to three lines while one secret replaces another; not readable by others."""
    events: Events = ()
    """The kinds of notices that are sent, such as `phone.wiped`; the others are kept for reports. Empty: all."""
    timeout: Annotated[Duration, AfterValidator(Span("1s", "1m"))] = 10
    """For one attempt."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of notices that are sent."""
        return (self.events or tuple(str(kind) for kind in NoticeKind)) if self.url else ()


class Retention(Section):
    """`[retention]`: how long, after its generation ended, an account stays known by its pseudonym (`audit`), and a wipe's audit snapshot is kept. Seconds."""

    audit: Annotated[Duration, AfterValidator(Span("4380h", why="operation logs are kept for at least six months (R10): 4380h"))] = 15_768_000
    """How long after the end of its generation an account is anonymised: its salt is overwritten in place, and the words about it with the salt (R10). A
    legal hold suspends this."""
    snapshots: Duration = 15_768_000
    """How long after a wipe its audit snapshot is kept; the snapshot's digest stays."""


class Attest(Section):
    """`[attest]`: the signing key (Ed25519, PEM)."""

    signing_key_file: Path = ""
    """Ed25519, PKCS #8 PEM. Empty: the systemd credential `signing-key`, else `signing-key.pem` in `host.state_dir`, made at the first start."""


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


#: Sections and keys of docs/contract.md that this version cannot honour, and what is so instead. Set to anything but an empty value, they are refused.
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
