"""Metrics: every name of docs/contract.md, fed by the hub, read at the scrape, negotiated."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from tests.fakes.service import QUARANTINED, FakeService, make_audit, make_wipe
from wiped.api.metrics import METRICS, Metrics, MetricsServer
from wiped.errors import ConfigError, LedgerError
from wiped.model.records import WipeStep

CONTRACT = [
    "wiped_phones",
    "wiped_overdue_phones",
    "wiped_oldest_overdue_seconds",
    "wiped_expiry_to_unreadable_seconds",
    "wiped_wipes_total",
    "wiped_wipe_duration_seconds",
    "wiped_bytes_overwritten_total",
    "wiped_bytes_verified_total",
    "wiped_readback_mismatches_total",
    "wiped_refusals_total",
    "wiped_quarantined_phones",
    "wiped_running_wipes",
    "wiped_queue_length",
    "wiped_feed_age_seconds",
    "wiped_feed_errors_total",
    "wiped_breaker_open",
    "wiped_clock_suspect",
    "wiped_legal_holds",
    "wiped_pending_approvals",
    "wiped_unbound_phones",
    "wiped_vanished_phones_total",
    "wiped_orphan_images",
    "wiped_audit_entries_total",
    "wiped_checkpoint_age_seconds",
    "wiped_webhook_pending",
    "wiped_webhook_oldest_pending_seconds",
    "wiped_webhook_attempts_total",
    "wiped_webhook_dead_letters",
    "wiped_webhook_dead_total",
    "wiped_libvirt_up",
    "wiped_reconcile_last_success_timestamp_seconds",
    "wiped_config_last_reload_successful",
    "wiped_build_info",
]


class Scrape:
    """A running endpoint."""

    def __init__(self, metrics: Metrics, service: FakeService, server: MetricsServer) -> None:
        self.metrics, self.service, self.server = metrics, service, server

    async def text(self, accept: str = "") -> tuple[str, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.server.port}/metrics", headers={"Accept": accept}) as answer:
            return answer.headers["Content-Type"], await answer.text()

    async def value(self, name: str, **labels: str) -> float | None:
        _, text = await self.text()
        for family in classic(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None


@pytest.fixture
async def scrape() -> AsyncIterator[Scrape]:
    metrics, service = Metrics(), FakeService()
    server = MetricsServer(metrics, service, ("127.0.0.1", 0))
    await server.start()
    yield Scrape(metrics, service, server)
    await server.stop()


def test_every_name_of_the_contract_is_registered() -> None:
    """No more and no less than the documented names."""
    assert sorted(CONTRACT) == sorted(METRICS)
    registered = {family.name for family in Metrics().registry.collect()}
    assert {name.removesuffix("_total") for name in CONTRACT} == registered


async def test_gauges_are_read_at_the_scrape(scrape: Scrape) -> None:
    """What the service says now."""
    assert await scrape.value("wiped_overdue_phones") == 1
    assert await scrape.value("wiped_oldest_overdue_seconds") == 7200
    assert await scrape.value("wiped_phones", state="active") == 2
    assert await scrape.value("wiped_feed_age_seconds") == 12
    assert await scrape.value("wiped_running_wipes") == 1
    assert await scrape.value("wiped_libvirt_up") == 1
    assert math.isnan(await scrape.value("wiped_orphan_images") or 0)


async def test_gauges_become_unknown_when_the_service_cannot_answer(scrape: Scrape) -> None:
    """NaN, never an old number; the scrape itself goes on."""
    assert await scrape.value("wiped_overdue_phones") == 1
    scrape.service.fails["status"] = LedgerError("disk full")
    assert math.isnan(await scrape.value("wiped_overdue_phones") or 0)


async def test_judged_wipes_are_counted(scrape: Scrape) -> None:
    """Outcome, trigger, bytes, mismatches and the promise's own span."""
    scrape.metrics.finished(make_wipe(), 4_000.0)
    scrape.metrics.finished(QUARANTINED, 9_000.0)
    scrape.metrics.refused(["hard-link", "in-use"])
    assert await scrape.value("wiped_wipes_total", outcome="clear", trigger="manual") == 1
    assert await scrape.value("wiped_wipes_total", outcome="not-sanitized", trigger="manual") == 1
    assert await scrape.value("wiped_wipes_total", outcome="clear", trigger="expiry") == 0
    assert await scrape.value("wiped_expiry_to_unreadable_seconds_count") == 1
    assert await scrape.value("wiped_refusals_total", code="hard-link") == 1
    assert await scrape.value("wiped_refusals_total", code="drift") == 0


async def test_a_retry_counts_its_bytes_and_not_those_of_the_attempt_before(scrape: Scrape) -> None:
    """The record of a second attempt still holds what the first one saw."""
    scrape.metrics.finished(QUARANTINED, None)
    scrape.metrics.finished(QUARANTINED, None)
    assert await scrape.value("wiped_bytes_overwritten_total") == 1 << 31
    artefact = QUARANTINED.artefacts[0]
    assert artefact.evidence is not None
    again = replace(artefact, evidence=replace(artefact.evidence, started_at="2026-03-01T13:00:00Z"))
    scrape.metrics.finished(replace(QUARANTINED, artefacts=(again,)), None)
    assert await scrape.value("wiped_bytes_overwritten_total") == 2 << 31


async def test_the_audit_log_is_followed_from_scrape_to_scrape(scrape: Scrape) -> None:
    """All entries count once; phones that vanished before the daemon's start are not counted as new."""
    assert await scrape.value("wiped_audit_entries_total") == 25
    assert await scrape.value("wiped_vanished_phones_total") == 0
    scrape.service.entries = make_audit(31)
    assert await scrape.value("wiped_audit_entries_total") == 31
    assert await scrape.value("wiped_vanished_phones_total") == 1


async def test_spans_between_steps_are_observed() -> None:
    """From each step to the next; the last one leaves nothing behind."""
    now = [0.0]
    metrics = Metrics(ticking=lambda: now[0])
    for step, at in ((WipeStep.INTENT, 0.0), (WipeStep.FENCED, 2.0), (WipeStep.RELEASED, 5.0)):
        now[0] = at
        metrics.step("w", step)
    spans = {
        sample.labels["phase"]: sample.value
        for family in metrics.registry.collect()
        if family.name == "wiped_wipe_duration_seconds"
        for sample in family.samples
        if sample.name.endswith("_sum")
    }
    assert spans == {"intent": 2.0, "fenced": 3.0}


async def test_openmetrics_is_negotiated(scrape: Scrape) -> None:
    """Both forms parse; the asked-for one comes."""
    kind, text = await scrape.text("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert "wiped_build_info" in text
    assert list(openmetrics(text))
    kind, text = await scrape.text("text/plain")
    assert kind.startswith("text/plain")


async def test_no_label_names_a_phone(scrape: Scrape) -> None:
    """Neither UUID nor name of a phone is on the page."""
    scrape.metrics.finished(make_wipe(), 1.0)
    _, text = await scrape.text()
    assert "phone-one" not in text
    assert "11111111" not in text


async def test_a_port_that_is_taken_is_a_configuration_fault(scrape: Scrape) -> None:
    """With its key."""
    with pytest.raises(ConfigError, match=r"metrics\.listen"):
        await MetricsServer(Metrics(), FakeService(), ("127.0.0.1", scrape.server.port)).start()


async def test_what_waits_for_a_second_person_is_counted(scrape: Scrape) -> None:
    """One approval is pending; where they cannot be read the gauge is unknown, and the others stay known."""
    assert await scrape.value("wiped_pending_approvals") == 1
    scrape.service.fails["approvals"] = LedgerError("the disk is full")
    assert math.isnan(await scrape.value("wiped_pending_approvals") or 0.0)
    assert await scrape.value("wiped_queue_length") == 1
