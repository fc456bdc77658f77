"""The signed record of how a wipe ended: a certificate, or an incident record where it could not be proven."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wiped.attest.certificate import statement
from wiped.attest.signing import seal
from wiped.conduct.world import World
from wiped.model.outcome import Outcome, Verdict
from wiped.model.plan import Plan
from wiped.model.records import CertificateRecord, WipeRecord


async def issue(world: World, wipe: WipeRecord, plan: Plan, verdict: Verdict, *, now: datetime, holds_checked_at: datetime,
                disposal: Mapping[str, Any] | None = None) -> CertificateRecord:  # fmt: skip
    """Build and sign the record of `verdict`. `disposal`: who accepted that nothing is proven, a part of the record. Raises InvariantError (I4)."""
    kind = "incident" if verdict.outcome is Outcome.NOT_SANITIZED else "certificate"
    identifier, issuer = world.randomness.identifier(), world.issuer
    body = statement(
        kind=kind,
        wipe=wipe,
        plan=plan,
        verdict=verdict,
        results={item.artefact_id: item.result for item in wipe.artefacts if item.result is not None},
        evidence={item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence is not None},
        issued_at=now,
        certificate_id=identifier,
        issuer={"host": issuer.host, "residency": issuer.residency, "version": issuer.version, "key_id": world.signer.key_id},
        subscription=await world.ledger.subscriptions.get(wipe.uuid),
        holds_checked_at=holds_checked_at,
    )
    if disposal is not None:
        body["predicate"]["disposal"] = dict(disposal)
    return CertificateRecord(identifier, wipe.id, wipe.uuid, kind, now, seal(body, world.signer))
