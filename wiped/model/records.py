"""What the ledger remembers, as values: phones, wipes, artefacts of a wipe, audit entries, certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.plan import Plan
from wiped.model.subscription import Reason, State


class WipeStep(StrEnum):
    """How far a wipe is (docs/design.md, "The order of a wipe"). Each is written to the ledger before the next begins."""

    QUEUED = "queued"
    INTENT = "intent"
    FENCED = "fenced"
    STOPPED = "stopped"
    LOCKED = "locked"
    REOBSERVED = "reobserved"
    ERASING = "erasing"
    """The last word was spoken (step 5). From here on nothing turns back and only identity and ranges are compared."""
    VERIFYING = "verifying"
    REMOVING = "removing"
    JUDGED = "judged"
    RELEASED = "released"
    """The end: the domain is undefined (or recycled), certificate written."""
    QUARANTINED = "quarantined"
    """An attempt ended without proof; fenced, in place, retried or waiting."""
    CANCELLED = "cancelled"
    """The end: renewed, held or refused before the last word; nothing was overwritten."""
    DISPOSED = "disposed"
    """The end without proof: two people accepted what could not be proven; fenced and in place."""


#: Steps at which a wipe is over and never resumed.
FINAL_STEPS = frozenset({WipeStep.RELEASED, WipeStep.CANCELLED, WipeStep.DISPOSED})
#: Steps at which bytes may already be gone.
COMMITTED_STEPS = frozenset(
    {WipeStep.ERASING, WipeStep.VERIFYING, WipeStep.REMOVING, WipeStep.JUDGED, WipeStep.QUARANTINED, WipeStep.RELEASED, WipeStep.DISPOSED}
)


class ArtefactState(StrEnum):
    """How far one artefact is."""

    PENDING = "pending"
    ERASED = "erased"
    PROVEN = "proven"
    REMOVED = "removed"
    LEFT = "left"
    """Not proven in the last attempt: fenced and in place."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a wipe was begun. `reference` is the requester's own reference (a ticket), never a customer's name. `operator`: staff identity or `daemon`."""

    kind: str
    ground: str = ""
    reference: str = ""
    expired_at: str = ""
    policy: str = ""
    operator: str = "daemon"
    approver: str = ""


@dataclass(frozen=True, slots=True)
class ArtefactRecord:
    """One artefact of one wipe in the ledger. `seed`: 32 random bytes, hidden from repr; `rename_to`: the random name in the same directory;
    `map_digest`: of the ranges saved when the image was locked ("" before)."""

    wipe_id: str
    artefact_id: str
    kind: ArtefactKind
    location: str
    rename_to: str
    seed: Secret
    state: ArtefactState = ArtefactState.PENDING
    map_digest: str = ""
    result: EraseResult | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Bytes that must not reach a log: repr is a mask."""

    value: bytes

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True, slots=True)
class WipeRecord:
    """One wipe from its trigger to its end; retries keep the id. `snapshot`: the audit snapshot (canonical JSON value), `snapshot_digest` its SHA-256,
    the certificate's subject. `was_running`/`was_autostart`: to restore when it is called off before the last word."""

    id: str
    uuid: str
    name: str
    generation: int
    step: WipeStep
    trigger: Trigger
    started_at: datetime
    plan: Plan | None = None
    snapshot: dict[str, Any] | None = None
    snapshot_digest: str = ""
    attempt: int = 1
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    residuals: tuple[str, ...] = ()
    certificate_id: str = ""
    finished_at: datetime | None = None
    retry_at: datetime | None = None
    was_running: bool = False
    was_autostart: bool = False
    artefacts: tuple[ArtefactRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class PhoneRecord:
    """One phone as last concluded. `reasons` are those of the last decision; `next_at`: when to decide again; `present`: libvirt knows the domain."""

    uuid: str
    name: str
    generation: int
    state: State
    since: datetime
    present: bool = True
    flags: tuple[str, ...] = ()
    protected: bool = False
    suspended: bool = False
    fenced: bool = False
    occupied: bool = False
    stopped: bool = False
    """The fence stopped it while it ran: it is started again when the fence is taken down."""
    refusals: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    next_at: datetime | None = None
    next_state: State | None = None
    due_at: datetime | None = None
    notices_sent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the append-only log. `hash` = SHA-256(previous hash bytes || canonical bytes of {seq, at, kind, body}), hex."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A signed DSSE envelope in its one byte form. `kind`: `certificate`, or `incident` when the outcome is not-sanitized."""

    id: str
    wipe_id: str
    uuid: str
    kind: str
    issued_at: datetime
    envelope: bytes
