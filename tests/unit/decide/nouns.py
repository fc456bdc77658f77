"""Builders of nouns for the tests of the deciding rooms."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wiped.model.inventory import (
    ArtefactKind,
    DiskSource,
    DomainFacts,
    DomainState,
    ExtentFacts,
    FileIdentity,
    FilesystemFacts,
    FoundArtefact,
    ImageLayer,
    Inventory,
)
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.plan import Step
from wiped.model.subscription import FeedStatus, LifecycleFacts, State, Subscription

PHONE = "11111111-1111-4111-8111-111111111111"
NEIGHBOUR = "22222222-2222-4222-8222-222222222222"
NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def subscription(**changes: Any) -> Subscription:
    """A term that ends at NOON and was recorded thirty days before."""
    base = Subscription(
        uuid=PHONE,
        generation=1,
        subscription_id="sub-1",
        account="acct-x",
        starts_at=NOON - 60 * DAY,
        expires_at=NOON,
        first_recorded_at=NOON - 30 * DAY,
    )
    return replace(base, **changes)


def facts(now: datetime, **changes: Any) -> LifecycleFacts:
    """Facts of an ordinary phone whose feed has just answered."""
    base = LifecycleFacts(
        uuid=PHONE, generation=1, subscription=subscription(), recorded_state=State.ACTIVE, feed=FeedStatus(complete_at=now, complete_answers=9)
    )
    return replace(base, **changes)


def layer(location: str, inode: int, **changes: Any) -> ImageLayer:
    """An ordinary image under a root on ext4."""
    base = ImageLayer(
        location=location,
        format="qcow2",
        identity=FileIdentity(7, inode),
        virtual_bytes=1 << 30,
        allocated_bytes=1 << 20,
        under_root="/srv/phones",
        filesystem=FilesystemFacts("ext4", device="/dev/x"),
        extents=ExtentFacts(1, 1 << 20, (), "d" * 64),
    )
    return replace(base, **changes)


def found(location: str, inode: int, *, depth: int = 0, owners: tuple[str, ...] = (PHONE,), snapshot_made: bool = False,
          kind: ArtefactKind = ArtefactKind.DISK_IMAGE, retain_reason: str = "", **changes: Any) -> FoundArtefact:  # fmt: skip
    """A found artefact over `layer`."""
    return FoundArtefact(kind, layer(location, inode, **changes), "vda", depth, owners, snapshot_made, retain_reason)


def inventory(*artefacts: FoundArtefact, **changes: Any) -> Inventory:
    """The inventory of PHONE, shut off."""
    domain = DomainFacts(uuid=PHONE, name="phone-1", state=DomainState.SHUTOFF, disks=(DiskSource("vda", "file", "/srv/phones/a", "qcow2"),))
    return replace(Inventory(domain=domain, artefacts=artefacts), **changes)


def proof(step: Step, *, size: int = 4096) -> tuple[EraseResult, Evidence]:
    """A result and evidence that prove `step`."""
    result = EraseResult(step.artefact_id, size, 1, "m" * 64, "m" * 64, 1)
    return result, Evidence(step.artefact_id, "block-odirect", size, 0, "m" * 64)
