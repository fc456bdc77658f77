"""The audit snapshot: an allow-list of facts about the domain and its storage (R12).

Never content, never a secret, never a customer's name or number, never an account reference; its SHA-256 is the certificate's subject.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from wiped.model.instants import end_text, rfc3339_text
from wiped.model.inventory import ExtentFacts, FileIdentity, FilesystemFacts, Inventory
from wiped.model.plan import Plan
from wiped.model.policy import Policy
from wiped.model.subscription import Subscription

#: The form of the snapshot; another form gets another number.
FORM = 1


def _identity(identity: FileIdentity | None) -> dict[str, int] | None:
    return None if identity is None else {"device": identity.device, "inode": identity.inode}


def _filesystem(facts: FilesystemFacts) -> dict[str, Any]:
    return {
        "fs_type": facts.fs_type,
        "mount_options": sorted(facts.mount_options),
        "device": facts.device,
        "model": facts.model,
        "rotational": facts.rotational,
        "data_journal": facts.data_journal,
        "cow": facts.cow,
    }


def _extents(facts: ExtentFacts) -> dict[str, Any]:
    return {"count": facts.count, "bytes": facts.bytes, "flags": sorted(facts.flags), "map_digest": facts.map_digest}


def audit_snapshot(
    inventory: Inventory,
    plan: Plan,
    subscription: Subscription | None,
    policy: Policy,
    *,
    host: str,
    residency: str,
    version: str,
    now: datetime,
) -> dict[str, Any]:
    """The snapshot as a value with a canonical form. Domain names are left out (operators put customers' names into them); the UUID stays."""
    domain = inventory.domain
    return {
        "form": FORM,
        "taken_at": rfc3339_text(now),
        "host": {"name": host, "residency": residency, "version": version},
        "phone": {"uuid": domain.uuid, "generation": plan.generation},
        "domain": {
            "state": str(domain.state),
            "persistent": domain.persistent,
            "autostart": domain.autostart,
            "managed_save": domain.has_managed_save,
            "snapshots": len(domain.snapshots),
            "disks": [
                {"target": d.target, "type": d.type, "format": d.format, "device": d.device, "readonly": d.readonly, "shareable": d.shareable}
                for d in domain.disks
            ],
        },
        "subscription": None
        if subscription is None
        else {
            "account_pseudonym": subscription.account,
            "starts_at": rfc3339_text(subscription.starts_at),
            "expires_at": end_text(subscription.expires_at),
            "first_recorded_at": rfc3339_text(subscription.first_recorded_at),
            "minor": subscription.minor,
            "policy": policy.name,
            "grace_seconds": policy.minor_grace if subscription.minor else policy.grace,
        },
        "artefacts": [
            {
                "id": step.artefact_id,
                "kind": str(step.kind),
                "format": step.format,
                "method": str(step.method),
                "identity": _identity(step.identity),
                "virtual_bytes": step.virtual_bytes,
                "allocated_bytes": step.allocated_bytes,
                "internal_snapshots": step.internal_snapshots,
                "backing": _filesystem(step.filesystem),
                "extents": _extents(step.extents),
            }
            for step in plan.steps
        ],
        "retained": [{"kind": kept.kind, "reason": kept.reason, "identity": _identity(kept.identity)} for kept in plan.retained],
        "residuals": list(plan.residuals),
        "plan_fingerprint": plan.fingerprint,
    }
