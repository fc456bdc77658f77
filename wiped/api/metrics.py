"""The metrics of docs/contract.md in a registry of their own, and the endpoint that is scraped. No per-phone labels; nothing of a customer.

Counters and histograms are fed by the hub (port Announcer); gauges are read from the service at each scrape, so that they cannot be stale. A gauge whose
source is not in this version, or cannot be read, is NaN: unknown is not zero.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

import wiped
from wiped.api.http.door import Door, served_by
from wiped.errors import ConfigError, WipedError
from wiped.model.outcome import Outcome
from wiped.model.plan import RefusalCode
from wiped.model.records import FINAL_STEPS, WipeRecord, WipeStep
from wiped.model.status import HostStatus
from wiped.model.subscription import State
from wiped.ports.service import Service

log = structlog.get_logger(room="metrics")

# A second series with the time of birth for every counter doubles the page and tells nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Connections at once, and of one address: Prometheus needs one.
MOST_CONNECTIONS = 64
MOST_OF_ONE = 16

#: From a minute to a week: an expired phone is unreadable after grace and the wipe.
_UNREADABLE = (60, 300, 900, 3_600, 14_400, 43_200, 86_400, 97_200, 129_600, 172_800, 259_200, 604_800)
_PHASE = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600)

#: name -> what it says. docs/metrics.md is made from this (docs/style.md 11).
METRICS: dict[str, str] = {
    "wiped_phones": "phones by lifecycle state",
    "wiped_overdue_phones": "phones whose deadline has passed and whose data is still there",
    "wiped_oldest_overdue_seconds": "seconds since the oldest overdue phone fell due",
    "wiped_expiry_to_unreadable_seconds": "from the end of the term to the proof, of each wiped phone",
    "wiped_wipes_total": "judged attempts by outcome and trigger",
    "wiped_wipe_duration_seconds": "seconds from each step of a wipe to the next",
    "wiped_bytes_overwritten_total": "bytes overwritten, every pass counted",
    "wiped_bytes_verified_total": "bytes read back and compared",
    "wiped_readback_mismatches_total": "blocks of 4096 bytes that differed at read-back",
    "wiped_refusals_total": "refusals by code",
    "wiped_quarantined_phones": "phones whose wipe could not be proven",
    "wiped_running_wipes": "wipes that run now",
    "wiped_queue_length": "wipes that wait for their turn",
    "wiped_feed_age_seconds": "seconds since the feed's last complete answer",
    "wiped_feed_errors_total": "answers of the feed that were not taken, or records refused, by reason",
    "wiped_breaker_open": "1 while the breaker stops new wipes",
    "wiped_clock_suspect": "1 while nothing is concluded from time",
    "wiped_legal_holds": "legal holds in force",
    "wiped_pending_approvals": "what waits for a second person",
    "wiped_unbound_phones": "domains without a subscription",
    "wiped_vanished_phones_total": "phones that disappeared before their time came, since the daemon started",
    "wiped_orphan_images": "images in the roots that no domain reaches, as counted within the last hour; NaN before the first count",
    "wiped_audit_entries_total": "entries of the audit log",
    "wiped_checkpoint_age_seconds": "age of the last signed checkpoint; NaN (none) in this version",
    "wiped_webhook_pending": "notices that wait for delivery",
    "wiped_webhook_oldest_pending_seconds": "seconds since the oldest of them arose",
    "wiped_webhook_attempts_total": "attempts to deliver a notice by result",
    "wiped_webhook_dead_letters": "notices that were given up, and are still there",
    "wiped_webhook_dead_total": "notices that were given up, since the daemon started",
    "wiped_libvirt_up": "1 while libvirt answers",
    "wiped_reconcile_last_success_timestamp_seconds": "Unix time of the last complete sweep; NaN before the first",
    "wiped_config_last_reload_successful": "1 when the configuration that runs was read without a fault",
    "wiped_build_info": "the version that runs",
}


class Metrics:
    """Port Announcer (a sink of the hub), and the gauges. `ticking`: seconds of a clock that cannot be stepped."""

    def __init__(self, *, ticking: Callable[[], float] = time.monotonic) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self._ticking = ticking
        self._steps: dict[str, tuple[str, float]] = {}
        self._counted: dict[str, set[tuple[str, str]]] = {}

        def gauge(name: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(name, METRICS[name], labels, registry=registry)

        def counter(name: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(name, METRICS[name], labels, registry=registry)

        self.phones = gauge("wiped_phones", ("state",))
        self.overdue = gauge("wiped_overdue_phones")
        self.oldest = gauge("wiped_oldest_overdue_seconds")
        self.unreadable = Histogram("wiped_expiry_to_unreadable_seconds", METRICS["wiped_expiry_to_unreadable_seconds"], buckets=_UNREADABLE, registry=registry)
        self.wipes = counter("wiped_wipes_total", ("outcome", "trigger"))
        self.duration = Histogram("wiped_wipe_duration_seconds", METRICS["wiped_wipe_duration_seconds"], ("phase",), buckets=_PHASE, registry=registry)
        self.overwritten = counter("wiped_bytes_overwritten_total")
        self.verified = counter("wiped_bytes_verified_total")
        self.mismatches = counter("wiped_readback_mismatches_total")
        self.refusals = counter("wiped_refusals_total", ("code",))
        self.quarantined = gauge("wiped_quarantined_phones")
        self.running = gauge("wiped_running_wipes")
        self.queue = gauge("wiped_queue_length")
        self.feed_age = gauge("wiped_feed_age_seconds")
        self.feed_errors = counter("wiped_feed_errors_total", ("reason",))
        self.breaker = gauge("wiped_breaker_open")
        self.clock = gauge("wiped_clock_suspect")
        self.holds = gauge("wiped_legal_holds")
        self.approvals = gauge("wiped_pending_approvals")
        self.unbound = gauge("wiped_unbound_phones")
        self.vanished = counter("wiped_vanished_phones_total")
        self.orphans = gauge("wiped_orphan_images")
        self.audit = counter("wiped_audit_entries_total")
        self.checkpoint_age = gauge("wiped_checkpoint_age_seconds")
        self.webhooks = gauge("wiped_webhook_pending")
        self.webhook_age = gauge("wiped_webhook_oldest_pending_seconds")
        self.webhook_letters = gauge("wiped_webhook_dead_letters")
        self.webhook_attempts = counter("wiped_webhook_attempts_total", ("result",))
        self.webhook_dead = counter("wiped_webhook_dead_total")
        self.libvirt = gauge("wiped_libvirt_up")
        self.last_sweep = gauge("wiped_reconcile_last_success_timestamp_seconds")
        self.config = gauge("wiped_config_last_reload_successful")
        self.build = gauge("wiped_build_info", ("version",))

        self.config.set(1)
        self.build.labels(version=wiped.__version__).set(1)
        for unknown in (self.orphans, self.checkpoint_age, self.feed_age, self.last_sweep):
            unknown.set(math.nan)
        # Series that exist from the start, so that rate() sees the first event.
        for outcome in (Outcome.CLEAR, Outcome.NOT_SANITIZED):
            for trigger in ("expiry", "manual"):
                self.wipes.labels(outcome=outcome, trigger=trigger)
        for result in ("delivered", "failed"):
            self.webhook_attempts.labels(result=result)
        for code in RefusalCode:
            self.refusals.labels(code=code)
        for state in State:
            self.phones.labels(state=state).set(0)

    # -- Announcer
    def progress(self, wipe_id: str, artefact_id: str, phase: str, done: int, total: int) -> None:
        """Bytes are counted when they are judged."""

    def step(self, wipe_id: str, step: str) -> None:
        """The span from the last step to this one counts for the last."""
        now = self._ticking()
        before = self._steps.pop(wipe_id, None)
        if before is not None:
            self.duration.labels(phase=before[0]).observe(max(0.0, now - before[1]))
        if step not in FINAL_STEPS and step != WipeStep.QUARANTINED:
            self._steps[wipe_id] = (str(step), now)

    def finished(self, record: WipeRecord, expiry_to_unreadable: float | None) -> None:
        """Count a wipe attempt that was judged."""
        self.wipes.labels(outcome=record.outcome or "unknown", trigger=record.trigger.kind).inc()
        if expiry_to_unreadable is not None and record.outcome != Outcome.NOT_SANITIZED:
            self.unreadable.observe(max(0.0, expiry_to_unreadable))
        # A retry's record still holds what earlier attempts proved: each look at an artefact counts once.
        counted = self._counted.setdefault(record.id, set())
        for artefact in record.artefacts:
            look = (artefact.artefact_id, artefact.evidence.started_at if artefact.evidence else "")
            if artefact.result is None or look in counted:
                continue
            counted.add(look)
            self.overwritten.inc(artefact.result.bytes_overwritten)
            if artefact.evidence is not None:
                self.verified.inc(artefact.evidence.bytes_verified)
                self.mismatches.inc(artefact.evidence.mismatches)
        if record.outcome != Outcome.NOT_SANITIZED:
            self._counted.pop(record.id, None)

    def feed_failed(self, reason: str) -> None:
        """Count an answer of the feed that was rejected (`decide.feed_answer.FeedFault`)."""
        self.feed_errors.labels(reason).inc()

    def refused(self, codes: Sequence[str]) -> None:
        """Count refusals by code."""
        for code in codes:
            self.refusals.labels(code=str(code)).inc()

    def delivery(self, result: str) -> None:
        """Count an attempt to deliver a notice that ended: `delivered`, `failed`, or `dead` (failed for the last time)."""
        self.webhook_attempts.labels(result="delivered" if result == "delivered" else "failed").inc()
        if result == "dead":
            self.webhook_dead.inc()

    # -- gauges
    def show(self, status: HostStatus) -> None:
        """Set the gauges from the host's status."""
        for state, count in status.phones.items():
            self.phones.labels(state=state).set(count)
        self.unbound.set(status.phones.get(State.UNBOUND, 0))
        self.overdue.set(status.overdue)
        self.oldest.set(status.oldest_overdue_seconds)
        self.quarantined.set(status.quarantined)
        self.running.set(len(status.running))
        self.queue.set(status.queued)
        self.feed_age.set(math.nan if status.feed_age_seconds is None else status.feed_age_seconds)
        self.breaker.set(status.breaker_open)
        self.clock.set(status.clock_suspect)
        self.holds.set(status.holds)
        self.webhooks.set(status.notices_pending)
        self.webhook_age.set(status.notices_oldest_seconds)
        self.webhook_letters.set(status.notices_dead)
        self.orphans.set(math.nan if status.orphan_images is None else status.orphan_images)
        self.libvirt.set(status.libvirt_up)
        self.last_sweep.set(math.nan if status.last_sweep_at is None else status.last_sweep_at.timestamp())

    def show_unknown(self) -> None:
        """The service cannot answer: gauges that would be old become NaN."""
        for gauge in (self.webhooks, self.webhook_age, self.webhook_letters, self.approvals):
            gauge.set(math.nan)
        for gauge in (self.overdue, self.oldest, self.quarantined, self.running, self.queue, self.feed_age, self.holds, self.unbound, self.last_sweep):
            gauge.set(math.nan)
        for state in State:
            self.phones.labels(state=state).set(math.nan)
        self.libvirt.set(0)


@dataclass(slots=True)
class _AuditTail:
    """How far the audit log was counted. Entries from before the daemon's start count for the total alone."""

    seq: int = 0
    first: bool = True


class MetricsServer:
    """`/metrics` on (host, port). The audit log is followed from scrape to scrape, a page at a time."""

    def __init__(self, metrics: Metrics, service: Service, address: tuple[str, int]) -> None:
        self._metrics = metrics
        self._service = service
        self._address = address
        self._tail = _AuditTail()
        self._scraping = asyncio.Lock()
        self._door = Door("metrics", MOST_CONNECTIONS, MOST_OF_ONE)
        self._listening: socket.socket | None = None
        application = web.Application(middlewares=[self._door.middleware()])
        application.router.add_get("/metrics", self._scrape)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=2.0, logger=logging.getLogger("wiped.silent"))

    @property
    def port(self) -> int:
        """The port that is listened on (the configured one may be 0)."""
        return 0 if self._listening is None else int(self._listening.getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises ConfigError when the address cannot be listened on."""
        await self._runner.setup()
        host, port = self._address
        try:
            self._listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128)
            self._listening.setblocking(False)
            self._door.open(self._listening, served_by(self._runner))
        except OSError as error:
            await self._runner.cleanup()
            reason = f"{host}:{port} cannot be listened on: {error.strerror}"
            raise ConfigError(f"metrics.listen: {reason}", faults=[("metrics.listen", reason)]) from error

    async def stop(self) -> None:
        """Stop listening. Idempotent."""
        await self._door.close()
        await self._runner.cleanup()

    async def _refresh(self) -> None:
        try:
            self._metrics.show(await self._service.status.get())
            await self._count_approvals()
            await self._follow_audit()
        except WipedError as error:
            log.warning("the gauges are unknown", code=error.code)
            self._metrics.show_unknown()

    async def _count_approvals(self) -> None:
        try:
            self._metrics.approvals.set(len(await self._service.approvals.find()))
        except WipedError:
            self._metrics.approvals.set(math.nan)

    async def _follow_audit(self) -> None:
        tail = self._tail
        while True:
            entries = await self._service.audit.entries(after=tail.seq, limit=1_000)
            if not entries:
                break
            self._metrics.audit.inc(entries[-1].seq - tail.seq)
            if not tail.first:
                self._metrics.vanished.inc(sum(entry.kind == "vanished" for entry in entries))
            tail.seq = entries[-1].seq
        tail.first = False

    async def _scrape(self, request: web.Request) -> web.Response:
        async with self._scraping:
            await self._refresh()
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
            return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})
