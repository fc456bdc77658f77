"""The composition root: the only place that builds concrete things and joins them. Real clock, real randomness, signals, named tasks, systemd.

Every task is named and owned by one TaskGroup; one that ends early is an error. A stop (SIGTERM, SIGINT) ends them in order: faces first, then what begins
new work, then running wipes (their erasers finish the I/O in flight; the ledger says where they are), then libvirt, then the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

import wiped
from wiped.api.http.identity import Access
from wiped.api.metrics import Metrics, MetricsServer
from wiped.api.server import ApiServer
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.conduct import policies
from wiped.conduct.progress import Hub
from wiped.conduct.service.service import Service
from wiped.conduct.sweep import fences, orphans, retention
from wiped.conduct.sweep.notices import Delivering, warn_of_ending_holds
from wiped.conduct.sweep.sweep import Reconciler
from wiped.conduct.sweep.timer import Clockwork
from wiped.conduct.world import Issuer, World
from wiped.config import Settings
from wiped.config.sections import Feed as FeedSection
from wiped.errors import ConfigError, InputError
from wiped.feed.file import FileSource
from wiped.feed.http import HttpSource
from wiped.feed.import_file import parse_subscriptions
from wiped.feed.local import LocalFeed
from wiped.feed.poll import PolledFeed
from wiped.feed.signed import Verifier
from wiped.helpers.eraser import EraserProcess
from wiped.helpers.observer import ObserverProcess
from wiped.keys.salts import SaltFile
from wiped.machine import durable_file
from wiped.machine.clock import SystemClock
from wiped.machine.limits import raise_descriptors
from wiped.machine.randomness import KernelRandomness
from wiped.machine.state_dir import machine_digest, sole_instance
from wiped.machine.systemd import notify, watchdog
from wiped.notify.secretfile import read_secrets
from wiped.notify.webhook import Webhook
from wiped.ports.helpers import Eraser, Observer, Sheets
from wiped.ports.ledger import Ledger
from wiped.ports.libvirt import Fences, Hypervisor
from wiped.ports.machine import Clock, Milestones
from wiped.ports.outside import Feed
from wiped.record import proof
from wiped.record.helper_files import SheetFiles
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts
from wiped.virt.connection import LibvirtHypervisor
from wiped.virt.fence import FENCE_DIRECTORY, FenceFiles

_log = structlog.get_logger(room="daemon")

#: The longest time between two sweeps, seconds; a shorter feed interval makes it shorter.
SWEEP_AT_MOST = 30.0


class SilentMilestones:
    """Port Milestones of the daemon: nobody listens."""

    async def reached(self, step: str, wipe_id: str, **facts: Any) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a test may hand in instead of the real thing; None stands for the real thing."""

    clock: Clock | None = None
    milestones: Milestones | None = None
    hypervisor: Hypervisor | None = None
    fences: Fences | None = None
    observer: Observer | None = None
    eraser: Eraser | None = None
    sheets: Sheets | None = None
    stop: asyncio.Event | None = None


def load_signer(settings: Settings) -> Ed25519Signer:
    """The signing key: the configured file, else the systemd credential `signing-key`, else STATE_DIR/signing-key.pem, made on first run (0600, synced).

    Raises ConfigError for a key that cannot be read or is none.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    credential = os.path.join(credentials, "signing-key") if credentials else ""
    own = os.path.join(settings.host.state_dir, "signing-key.pem")
    path = settings.attest.signing_key_file or (credential if credential and os.path.exists(credential) else own)
    try:
        if path == own and not os.path.exists(own):
            durable_file.put(os.path.realpath(settings.host.state_dir), "signing-key.pem", generate_key(), 0o600)
            _log.info("made a signing key", path=own)
        with open(path, "rb") as file:
            return Ed25519Signer(file.read())
    except OSError as error:
        why = f"{path!r} cannot be read: {error.strerror}"
        raise ConfigError(f"attest.signing_key_file: {why}", faults=[("attest.signing_key_file", why)]) from error


def _read_key(path: str, key: str) -> bytes:
    """A small file named by the setting `key`. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            return file.read(65_536)
    except OSError as error:
        raise ConfigError(f"{key}: {path!r} cannot be read: {error.strerror}", faults=[(key, f"{path!r} cannot be read: {error.strerror}")]) from error


def _tls(feed: FeedSection) -> ssl.SSLContext:
    """TLS to billing: the system's authorities or `ca_file`, and our certificate where one is configured. Raises ConfigError."""
    try:
        context = ssl.create_default_context(cafile=feed.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if feed.client_cert_file:
            context.load_cert_chain(feed.client_cert_file, feed.client_key_file)
    except (OSError, ssl.SSLError) as error:
        why = "ca_file, client_cert_file or client_key_file cannot be used"
        raise ConfigError(f"feed: {why}", faults=[("feed.ca_file", why)]) from error
    return context


async def _feed(settings: Settings, ledger: SqlLedger, clock: Clock, metrics: Metrics, stack: contextlib.AsyncExitStack) -> Feed:
    """The configured feed; its session is closed with `stack`. Raises ConfigError."""
    feed = settings.feed
    if feed.kind == "local":
        return LocalFeed(clock)
    verifier = None
    if feed.verify_key_file:
        try:
            verifier = Verifier(_read_key(feed.verify_key_file, "feed.verify_key_file"))
        except InputError as error:
            raise ConfigError(f"feed.verify_key_file: {error}", faults=[("feed.verify_key_file", str(error))]) from error
    if feed.kind == "file":
        source: FileSource | HttpSource = FileSource(feed.path)
    else:
        agent = f"wiped/{wiped.__version__}"
        tls = _tls(feed) if feed.url.startswith("https:") else None
        source = await stack.enter_async_context(HttpSource(feed.url, timeout=feed.timeout, agent=agent, token_file=feed.token_file, tls=tls))
    known = frozenset(settings.policies())
    return PolledFeed(source, ledger.subscriptions, ledger.conditions, clock, settings.safety(), policies=known, verifier=verifier, failed=metrics.feed_failed)


async def _newest_entry(ledger: Ledger, clock: Clock) -> datetime | None:
    """The instant of the newest audit entry. Notes the daemon's start, whose number tells where the newest one from before stands."""
    started = await ledger.audit.note("daemon-started", {"version": wiped.__version__, "machine": machine_digest()}, clock.now())
    before = await ledger.audit.entries(after=max(0, started.seq - 2), limit=1)
    return datetime.fromisoformat(before[0].at) if before and before[0].seq < started.seq else None


async def _forever(name: str, work: Coroutine[Any, Any, None]) -> None:
    await work
    raise RuntimeError(f"the task {name} ended by itself")


@contextlib.asynccontextmanager
async def _ledger_of(settings: Settings, clock: Clock, given: Parts, *, accepted: bool = False) -> AsyncIterator[SqlLedger]:
    """The ledger, proven before it is opened (`record.proof`) and noted when it is closed; a head is not noted where the daemon ends by an error."""
    state_dir = settings.host.state_dir
    with contextlib.closing(SaltFile.open(state_dir, refers_to_accounts)) as salts:
        fences, sheets = await (given.fences or FenceFiles()).standing(), await (given.sheets or SheetFiles()).count()
        found = ((salts.used, "used slots in the salt file"), (len(fences), "fences"), (sheets, "records of phones and images"))
        signs = [f"{number} {what}" for number, what in found if number]
        await asyncio.to_thread(proof.prove, state_dir, signs, salts.noted, machine=machine_digest(), accepted=accepted)
        async with await SqlLedger.open(state_dir, salts, clock, witness=salts.note) as ledger:
            if accepted:  # before the head is noted: whatever dies in between, nobody goes on without its entry
                await ledger.audit.note("memory-accepted", {"version": wiped.__version__, "machine": machine_digest()}, clock.now())
            await _note_head(state_dir)
            yield ledger
        await _note_head(state_dir, stopped=True)


async def _note_head(state_dir: str, *, stopped: bool = False) -> None:
    """Note beside the ledger how far the audit log has come; the salt file is told by the ledger itself, at each transaction. Raises LedgerError."""
    await asyncio.to_thread(proof.note, state_dir, stopped=stopped)


def _places(settings: Settings, given: Parts) -> tuple[str, ...]:
    """Where one daemon is alone: its state directory, and the fixed home of fences and records, so that no second one with another directory works beside."""
    return (settings.host.state_dir, *((os.path.dirname(FENCE_DIRECTORY),) if given.fences is None else ()))


async def migrate(settings: Settings, *, accepted: bool = False, parts: Parts | None = None) -> str:
    """Bring the ledger's schema to the current version; tells what was done. `accepted`: a person says that the host goes on with a ledger that is missing
    or older than the host; it is noted in the audit log. Raises ConfigError, LedgerVersionError, LedgerError."""
    given = parts or Parts()
    with sole_instance(*_places(settings, given)):
        async with _ledger_of(settings, given.clock or SystemClock(), given, accepted=accepted):
            return "the ledger is gone on with as it is; its schema is current" if accepted else "the ledger's schema is current"


async def run(settings: Settings, *, milestones: Milestones | None = None, parts: Parts | None = None) -> int:
    """The daemon, until it is told to stop. Returns the exit code; raises ConfigError, LedgerError, or the group of what failed."""
    given = parts or Parts()
    if milestones is not None:
        given = replace(given, milestones=milestones)
    clock = given.clock or SystemClock()
    stop = given.stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    raise_descriptors()
    with sole_instance(*_places(settings, given)):
        async with contextlib.AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(_ledger_of(settings, clock, given))
            await _conduct(settings, given, clock=clock, ledger=ledger, stop=stop, stack=stack)
    return 0


async def _conduct(settings: Settings, given: Parts, *, clock: Clock, ledger: SqlLedger, stop: asyncio.Event, stack: contextlib.AsyncExitStack) -> None:
    rules = settings.storage_rules()
    metrics = Metrics()
    hub = Hub(clock, (metrics,))
    libvirt = LibvirtHypervisor(settings.libvirt.uri) if given.hypervisor is None else None
    hypervisor: Hypervisor = libvirt if given.hypervisor is None else given.hypervisor  # type: ignore[assignment]  # one of the two is there
    observer = given.observer
    if observer is None:
        observer = await stack.enter_async_context(ObserverProcess(socket_path="", config=settings.path, parallel=rules.parallel_wipes))
    world = World(
        clock=clock,
        randomness=KernelRandomness(),
        hypervisor=hypervisor,
        fences=given.fences or FenceFiles(),
        observer=observer,
        eraser=given.eraser or EraserProcess(config=settings.path),
        feed=await _feed(settings, ledger, clock, metrics, stack),
        ledger=ledger,
        sheets=given.sheets or SheetFiles(),
        signer=load_signer(settings),
        milestones=given.milestones or SilentMilestones(),
        announcer=hub,
        policies=settings.policies(),
        safety=settings.safety(),
        rules=rules,
        issuer=Issuer(settings.host.name or socket.gethostname(), settings.host.residency, wiped.__version__),
        pause=asyncio.sleep,
    )
    world.conditions.recorded_until = await _newest_entry(ledger, clock)
    await ledger.notices.receive(settings.webhooks.kinds)
    if settings.webhooks.url:
        await ledger.notices.revive(clock.now(), "daemon")  # dead letters: whoever starts it again has seen to the receiver
    delivering = await _delivering(settings, world, metrics, stack) if settings.webhooks.url else None
    reconciler = Reconciler(world)
    interval = min(SWEEP_AT_MOST, float(settings.feed.interval))
    warn = partial(warn_of_ending_holds, ledger.notices, clock, world.safety)
    periods = {"snapshots": timedelta(seconds=settings.retention.snapshots), "audit": timedelta(seconds=settings.retention.audit)}
    forget, noted = partial(retention.forget, world, **periods), partial(_note_head, settings.host.state_dir)
    clockwork = Clockwork(reconciler, hypervisor, clock, interval=interval, housekeeping=(warn, forget, noted))
    service = Service(world, reconciler, hub, clockwork.nudge)
    access = Access(settings.api.viewer_group, settings.api.operator_group, settings.api.approver_group, settings.api.auditor_group)
    parse = partial(parse_import, policies=frozenset(world.policies))
    api = ApiServer(service, path=settings.socket_path, group=settings.api.group, access=access, parse_import=parse)
    address = settings.metrics.address
    scraped = MetricsServer(metrics, service, address) if address is not None else None

    await policies.recall(world)
    # Before any face answers: a suspicion from before the start is shown, and holds, from the first call on.
    await reconciler.look_at_clock()
    # So are a fence that was lost, and the record that says golden: before anybody counts on them, and before the first plan.
    await fences.at_start(world)
    await orphans.heal(world)
    try:
        # Before any task: what cannot be had (a socket, a port) is then a fault of the configuration, exit 78, with its reason.
        await api.start()
        if scraped is not None:
            await scraped.start()
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(_forever(name, work), name=name)
                for name, work in (
                    ("hints", clockwork.listen()),
                    ("clockwork", clockwork.run()),
                    ("queue", reconciler.queue.run()),
                    *((("notices", delivering.run()),) if delivering is not None else ()),
                    ("watchdog", watchdog()),
                    *((("libvirt", libvirt.run()),) if libvirt is not None else ()),
                )
            }
            try:
                notify("READY=1\nSTATUS=watching")
                _log.info("ready", socket=settings.socket_path, version=wiped.__version__)
                await stop.wait()
            finally:
                notify("STOPPING=1")
                _log.info("stopping")
                await _close(api, scraped)
                for task in tasks.values():
                    task.cancel()
                    await asyncio.wait([task])
    finally:
        await _close(api, scraped)


async def _delivering(settings: Settings, world: World, metrics: Metrics, stack: contextlib.AsyncExitStack) -> Delivering:
    """What takes notices from the outbox to the configured receiver. Raises ConfigError for a secret file that cannot be used."""
    hooks, issuer = settings.webhooks, world.issuer
    keys = read_secrets(hooks.secret_file)
    sender = Webhook(hooks.url, keys, host=issuer.host, residency=issuer.residency, version=issuer.version, timeout=float(hooks.timeout))
    courier = await stack.enter_async_context(sender)
    return Delivering(world.ledger.notices, courier, world.clock, world.randomness, world.pause, metrics.delivery)


async def _close(api: ApiServer, scraped: MetricsServer | None) -> None:
    if scraped is not None:
        await scraped.stop()
    await api.stop()


def parse_import(data: bytes, form: str, *, policies: frozenset[str]) -> Any:
    """`parse_subscriptions` for the API, with the policies that exist."""
    return parse_subscriptions(data, form=form, policies=policies)


__all__ = ["Parts", "SilentMilestones", "load_signer", "migrate", "run"]
