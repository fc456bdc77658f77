"""The certificate (docs/contract.md, "Certificate"): an in-toto Statement v1 about one wipe. An incident record is the same form with outcome `not-sanitized`.

Nothing of the customer but the pseudonym: no location, no name of the domain, no content, no secret (R12, R19). Digests of extents are of the *map*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wiped.errors import InvariantError
from wiped.model.instants import instant_text
from wiped.model.outcome import ArtefactOutcome, EraseResult, Evidence, Outcome, Verdict, Via
from wiped.model.plan import Method, Plan, Step
from wiped.model.records import WipeRecord
from wiped.model.subscription import Subscription

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
#: Ours and versioned: a name, not a place to fetch.
PREDICATE_TYPE = "https://wiped.dev/attestations/storage-wipe/v1"
#: docs/physics.md 8: never "destroyed" or "certified".
STANDARDS = ("in the terms of NIST SP 800-88r2",)

_GOOD = frozenset({Outcome.CLEAR, Outcome.PURGE})
_VIA = frozenset(str(via) for via in Via)


def _unproven(step: Step, result: EraseResult | None, evidence: Evidence | None) -> str:
    """Why `step` has no evidence, in words; "" if it has. On purpose not the code of `decide.verdict`: one bug must not vouch for itself."""
    if result is None or evidence is None:
        return "it was not erased and read back"
    if result.artefact_id != step.artefact_id or evidence.artefact_id != step.artefact_id:
        return "its evidence is another artefact's"
    if result.reasons or evidence.reasons:
        return "eraser or observer gave a reason against it"
    if evidence.mismatches or evidence.via not in _VIA:
        return "its read-back did not pass"
    if not result.digest_before or {result.digest_before} != {result.digest_after, evidence.map_digest}:
        return "its extent map moved"
    if result.bytes_overwritten and not evidence.bytes_verified:
        return "nothing of it was read back"
    if not evidence.sampled and evidence.bytes_verified * max(1, result.passes) < result.bytes_overwritten:
        return "it was not read back in full"
    return ""


def _check(kind: str, wipe: WipeRecord, plan: Plan, verdict: Verdict, *, results: Mapping[str, EraseResult], evidence: Mapping[str, Evidence]) -> None:
    """I4, and that the words fit each other. Raises InvariantError."""
    if kind != ("certificate" if verdict.outcome in _GOOD else "incident"):
        raise InvariantError("I4", f"a {kind} cannot say {verdict.outcome}")
    if plan.uuid != wipe.uuid or plan.generation != wipe.generation:
        raise InvariantError("I4", "the plan is another phone's or another generation's")
    if not wipe.snapshot_digest:
        raise InvariantError("I4", "there is no audit snapshot to be the subject")
    outcomes = {artefact.artefact_id: artefact.outcome for artefact in verdict.artefacts}
    if set(outcomes) != {step.artefact_id for step in plan.steps} or len(outcomes) != len(verdict.artefacts):
        raise InvariantError("I4", "the verdict is not about exactly the plan's artefacts")
    for step in plan.steps:
        if outcomes[step.artefact_id] in _GOOD and (why := _unproven(step, results.get(step.artefact_id), evidence.get(step.artefact_id))):
            raise InvariantError("I4", f"artefact {step.artefact_id} may not be called {outcomes[step.artefact_id]}: {why}")
    if verdict.outcome in _GOOD:
        if plan.refusals or not plan.steps:
            raise InvariantError("I4", "a plan that is refused or empty proves nothing")
        if verdict.reasons or any(outcome not in _GOOD for outcome in outcomes.values()):
            raise InvariantError("I4", "the phone's outcome is better than its worst artefact's")


def _artefact(step: Step, outcome: ArtefactOutcome, result: EraseResult | None, evidence: Evidence | None, *, policy: str, seed_digest: str) -> dict[str, Any]:
    facts = step.filesystem
    passes = result.passes if result else 0
    overwritten = step.method is Method.OVERWRITE and passes > 0
    return {
        "id": step.artefact_id,
        "kind": str(step.kind),
        "format": step.format,
        "backing": {
            "fs_type": facts.fs_type,
            "mount_options": list(facts.mount_options),
            "device": facts.device,
            "model": facts.model,
            "rotational": facts.rotational,
        },
        "virtual_bytes": step.virtual_bytes,
        "allocated_bytes": step.allocated_bytes,
        "outcome": str(outcome.outcome),
        "reasons": list(outcome.reasons),
        "method": {
            "name": str(step.method),
            "pattern": "aes-256-ctr-keystream" if overwritten else "none",
            "passes": passes,
            "seed_digest": seed_digest if overwritten else "",
        },
        "extents": {
            "count": result.extents if result else step.extents.count,
            "bytes": result.bytes_overwritten // max(1, passes) if result else step.extents.bytes,
            "flags": list(result.flags if result else step.extents.flags),
            "map_digest_before": result.digest_before if result else step.extents.map_digest,
            "map_digest_after": result.digest_after if result else "",
        },
        "bytes_overwritten": outcome.bytes_overwritten,
        "verification": {
            "mode": "none" if evidence is None or not evidence.via else ("sample" if evidence.sampled else "full"),
            "policy": policy,
            "via": evidence.via if evidence else "",
            "bytes": evidence.bytes_verified if evidence else 0,
            "mismatches": evidence.mismatches if evidence else 0,
            "started_at": evidence.started_at if evidence else "",
            "ended_at": evidence.ended_at if evidence else "",
        },
    }


def statement(
    *,
    kind: str,
    wipe: WipeRecord,
    plan: Plan,
    verdict: Verdict,
    results: Mapping[str, EraseResult],
    evidence: Mapping[str, Evidence],
    issued_at: datetime,
    certificate_id: str,
    issuer: Mapping[str, str],
    subscription: Subscription | None,
    holds_checked_at: datetime | None,
) -> dict[str, Any]:
    """The statement of one attempt. `kind`: `certificate`, or `incident` exactly when the outcome is not-sanitized. `issuer`: host, residency, version, key_id.

    `results` and `evidence` by artefact id, of this attempt or of an earlier one of the same wipe. Seeds come in as digests only, from `wipe.artefacts`.
    Raises InvariantError (I4) when the outcome is `clear` or `purge`, of the phone or of any artefact, without evidence for it.
    """
    _check(kind, wipe, plan, verdict, results=results, evidence=evidence)
    outcomes = {artefact.artefact_id: artefact for artefact in verdict.artefacts}
    seeds = {artefact.artefact_id: hashlib.sha256(artefact.seed.value).hexdigest() for artefact in wipe.artefacts}
    trigger = wipe.trigger
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f"audit-snapshot:{wipe.id}", "digest": {"sha256": wipe.snapshot_digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "certificate_id": certificate_id,
            "kind": kind,
            "wipe_id": wipe.id,
            "attempt": wipe.attempt,
            "started_at": instant_text(wipe.started_at),
            "issued_at": instant_text(issued_at),
            "issuer": {key: issuer[key] for key in ("host", "residency", "version", "key_id")},
            "trigger": {
                "kind": trigger.kind,
                "ground": trigger.ground,
                "reference": trigger.reference,
                "expired_at": trigger.expired_at,
                "policy": trigger.policy,
                "holds_checked_at": instant_text(holds_checked_at) if holds_checked_at else "",
            },
            "phone": {
                "uuid": wipe.uuid,
                "generation": wipe.generation,
                "account_pseudonym": subscription.account if subscription else "",
            },
            "plan_fingerprint": plan.fingerprint,
            "artefacts": [
                _artefact(
                    step,
                    outcomes[step.artefact_id],
                    results.get(step.artefact_id),
                    evidence.get(step.artefact_id),
                    policy=plan.verify,
                    seed_digest=seeds.get(step.artefact_id, ""),
                )
                for step in plan.steps
            ],
            "retained": [{"kind": str(kept.kind), "reason": kept.reason} for kept in plan.retained],
            "residuals": sorted(verdict.residuals),
            "overall": {"outcome": str(verdict.outcome), "scope": verdict.scope, "reasons": list(verdict.reasons)},
            "personnel": {"operator": trigger.operator, "approver": trigger.approver},
            "standards": list(STANDARDS),
        },
    }
