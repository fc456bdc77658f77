"""A proven wipe of two artefacts, as values, for the tests of this room and of the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from wiped.model.inventory import ArtefactKind, ExtentFacts, FileIdentity, FilesystemFacts
from wiped.model.outcome import ArtefactOutcome, EraseResult, Evidence, Outcome, Verdict
from wiped.model.plan import Method, Plan, Retained, Step
from wiped.model.records import ArtefactRecord, Secret, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Subscription

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
UUID = "6f1c0c8e-0000-4000-8000-00000000000a"
WIPE = "01900000-0000-7000-8000-000000000001"
MAP = "ab" * 32


def step(number: int, kind: ArtefactKind = ArtefactKind.DISK_IMAGE) -> Step:
    """One artefact of 8192 mapped bytes on ext4."""
    return Step(
        artefact_id=f"a{number}",
        kind=kind,
        location=f"/srv/phones/Li-Wei-{number}.qcow2",
        format="qcow2",
        virtual_bytes=1 << 30,
        allocated_bytes=8192,
        identity=FileIdentity(64, 100 + number),
        method=Method.OVERWRITE,
        reason="private",
        filesystem=FilesystemFacts("ext4", ("rw", "relatime"), "/srv", "/dev/sda1", "DISK", False),
        extents=ExtentFacts(1, 8192, (), MAP),
        root="/srv/phones",
    )


PLAN = Plan(
    uuid=UUID,
    name="Li Wei's phone",
    generation=2,
    steps=(step(1), step(2, ArtefactKind.NVRAM)),
    retained=(Retained("/srv/golden/Li-Wei.qcow2", "golden", "shared base", FileIdentity(64, 7)),),
    refusals=(),
    residuals=("freed-blocks-untraced",),
    expected_outcome="clear",
    expected_reasons=(),
    fingerprint="cd" * 32,
)
RESULTS = {f"a{n}": EraseResult(f"a{n}", 8192, 1, MAP, MAP, 1) for n in (1, 2)}
EVIDENCE = {f"a{n}": Evidence(f"a{n}", "block-odirect", 8192, 0, MAP, started_at="2026-03-01T12:00:01Z", ended_at="2026-03-01T12:00:02Z") for n in (1, 2)}
VERDICT = Verdict(
    outcome=Outcome.CLEAR,
    reasons=(),
    residuals=("freed-blocks-untraced", "below-block-device"),
    artefacts=tuple(ArtefactOutcome(f"a{n}", Outcome.CLEAR, (), 8192, 8192, 0, "block-odirect") for n in (1, 2)),
)
RECORDS = tuple(ArtefactRecord(WIPE, f"a{n}", PLAN.steps[n - 1].kind, PLAN.steps[n - 1].location, f".wiped-{n:032x}", Secret(bytes([n]) * 32)) for n in (1, 2))
TERM = Subscription(UUID, 2, "sub-1", "acct-pseudonym", NOW, NOW, NOW)
RECORD = WipeRecord(
    id=WIPE,
    uuid=UUID,
    name="Li Wei's phone",
    generation=2,
    step=WipeStep.REMOVING,
    trigger=Trigger("expiry", "service-ended", "", "2026-03-01T11:00:00Z", "default"),
    started_at=NOW,
    plan=PLAN,
    snapshot={"form": 1},
    snapshot_digest="ef" * 32,
    artefacts=RECORDS,
)
ISSUER = {"host": "host-1", "residency": "cn", "version": "0.1.0", "key_id": "12" * 32}


def arguments(**changes: Any) -> dict[str, Any]:
    """What `statement` takes for the proven wipe, with changes."""
    base: dict[str, Any] = {
        "kind": "certificate",
        "wipe": RECORD,
        "plan": PLAN,
        "verdict": VERDICT,
        "results": RESULTS,
        "evidence": EVIDENCE,
        "issued_at": NOW,
        "certificate_id": "01900000-0000-7000-8000-00000000c001",
        "issuer": ISSUER,
        "subscription": TERM,
        "holds_checked_at": NOW,
    }
    return {**base, **changes}


def failed_verdict(reason: str = "io-error") -> Verdict:
    """The second artefact is not sanitized."""
    first, second = VERDICT.artefacts
    return replace(
        VERDICT,
        outcome=Outcome.NOT_SANITIZED,
        reasons=(reason,),
        artefacts=(first, replace(second, outcome=Outcome.NOT_SANITIZED, reasons=(reason,))),
    )
