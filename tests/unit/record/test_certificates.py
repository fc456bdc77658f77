"""Certificates and incident records: found by their own id, or by their wipe's."""

from __future__ import annotations

from datetime import timedelta

from tests.contract.ledger import begun
from tests.fakes.clock import START
from tests.unit.record.rig import PHONE, yes
from wiped.model.records import CertificateRecord
from wiped.ports.ledger import Ledger


async def test_the_newest_record_of_a_wipe_is_found_by_the_wipe(ledger: Ledger) -> None:
    """Each one by its own id; None for what is neither."""
    await begun(ledger)
    assert await ledger.certificates.get("w-1") is None
    records = [CertificateRecord(f"i-{n}", "w-1", PHONE, "incident", START + timedelta(hours=n), b"incident") for n in (1, 2)]
    for record in records:
        await ledger.wipes.last_word("w-1", record.issued_at, yes)
        await ledger.verdicts.judge(
            "w-1", outcome="not-sanitized", reasons=("io-error",), residuals=(), certificate=record, now=record.issued_at, retry_at=None
        )
    assert [await ledger.certificates.get(record.id) for record in records] == records
    assert await ledger.certificates.get("w-1") == records[1]
    assert await ledger.certificates.get("w-9") is None
