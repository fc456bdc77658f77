"""Phones that disappeared: what is remembered of a phone while it is there, and what may be wiped of it once its own time has come.

Vanishing never makes a phone due. When its own generation falls due, only those of its remembered files are wiped that are still the very same files, on a
filesystem of this host, reached by no domain and remembered of no other phone. What is gone, or somebody else's now, is told and never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from wiped.decide import refusal
from wiped.decide.classify import found_at
from wiped.decide.plan import artefact_id, fingerprint, make_plan
from wiped.decide.verdict import expected_reasons
from wiped.model.images import GOLDEN
from wiped.model.inventory import (
    ERASE_ORDER,
    ArtefactKind,
    DomainFacts,
    DomainState,
    ExtentFacts,
    FileIdentity,
    FilesystemFacts,
    FoundArtefact,
    Inventory,
    JobKind,
)
from wiped.model.outcome import Outcome, ReasonCode, ResidualCode
from wiped.model.plan import Method, Plan, RefusalCode, Retained, Step
from wiped.model.policy import StorageRules
from wiped.model.sightings import RememberedFile

#: Where a survey brought no extents: only their being there is asked for.
_NO_EXTENTS = ExtentFacts(0, 0, (), "")
_NO_FILESYSTEM = FilesystemFacts(fs_type="unknown", local=False)
#: Kinds that are wiped by memory in libvirt's own directories; the others there (saved states, dumps, secrets) libvirt removes or keys by name.
_IN_LIBVIRTS_PLACES = frozenset({ArtefactKind.NVRAM, ArtefactKind.CONSOLE_LOG, ArtefactKind.TPM_STATE})
_RANK = {kind: rank for rank, kind in enumerate(ERASE_ORDER)}


def lasting(domain: DomainFacts) -> DomainFacts:
    """What the domain names. What changes without a new file (its state, autostart, a job) is left out."""
    return replace(domain, state=DomainState.UNKNOWN, autostart=False, job=JobKind.NONE)


def facts_digest(domain: DomainFacts) -> str:
    """Of `lasting` facts."""
    return hashlib.sha256(repr(lasting(domain)).encode("utf-8", "surrogateescape")).hexdigest()


def files_to_remember(inventory: Inventory, rules: StorageRules) -> tuple[RememberedFile, ...]:
    """The phone's own files alone: what its plan would erase, each for itself, whatever else the plan refuses. Extents are not needed for that."""

    def as_mapped(found: FoundArtefact) -> FoundArtefact:
        layer = found.layer
        return found if layer.extents is not None or layer.problem else replace(found, layer=replace(layer, extents=_NO_EXTENTS))

    return files_of(make_plan(replace(inventory, artefacts=tuple(map(as_mapped, inventory.artefacts))), 0, rules))


def files_of(plan: Plan) -> tuple[RememberedFile, ...]:
    """The files that a plan erases, as they are remembered; none that it keeps or refuses, and no block device."""
    # What only the running phone names is its own all the same: when it stops, nothing else will tell of it.
    refused = {item.location for item in plan.refusals if item.code is not RefusalCode.LIVE_ONLY}
    kept = {item.identity for item in plan.retained} | {item.location for item in plan.retained} | refused
    return tuple(
        RememberedFile(step.kind, step.location, step.identity, step.filesystem.local)
        for step in plan.steps
        if step.identity not in kept and step.location not in kept and step.filesystem.fs_type != "block"
    )


def make_vanished_plan(
    inventory: Inventory,
    files: Sequence[RememberedFile],
    owners: Mapping[FileIdentity, Collection[str]],
    generation: int,
    rules: StorageRules,
) -> Plan:
    """The plan for a vanished phone. `inventory`: a survey of its remembered `files` (`classify.nobodys` under its UUID); `owners`: which phones each file
    is remembered of.

    Never refused: what must not be touched stands in `retained`, what is gone in steps with `gone`, and either keeps the outcome from being `clear`.
    """
    domain = inventory.domain
    steps: list[Step] = []
    retained: list[Retained] = []
    for file in files:
        found = found_at(inventory, file.location)
        if found is None or found.layer.problem == RefusalCode.MISSING or (found.layer.identity is not None and found.layer.identity != file.identity):
            steps.append(_gone(file))
        elif why := _untouchable(found, file, owners, domain.uuid):
            retained.append(Retained(file.location, str(file.kind), why, file.identity))
        else:
            steps.append(_step(found, file))
    ordered = tuple(sorted(steps, key=lambda step: (_RANK.get(step.kind, len(_RANK)), step.location)))
    reasons = {reason for step in ordered if not step.gone for reason in expected_reasons(step)}
    reasons |= {str(ReasonCode.VANISHED)} if not (ordered or retained) or any(step.gone for step in ordered) else set()
    reasons |= {str(ReasonCode.COPY_NOT_REACHED)} if retained else set()
    residuals = [ResidualCode.BELOW_BLOCK_DEVICE, ResidualCode.COPIES_UNSEEN, ResidualCode.FREED_BLOCKS_UNTRACED]
    residuals += [ResidualCode.SAMPLED] if rules.verify != "full" else []
    return Plan(
        uuid=domain.uuid,
        name=domain.name,
        generation=generation,
        steps=ordered,
        retained=tuple(retained),
        refusals=(),
        residuals=tuple(sorted(str(code) for code in residuals)),
        expected_outcome=Outcome.NOT_SANITIZED if reasons else Outcome.CLEAR,
        expected_reasons=tuple(sorted(reasons)),
        fingerprint=fingerprint(domain.uuid, generation, ordered, retained, ()),
        passes=rules.passes,
        verify=rules.verify,
        vanished=True,
    )


def with_earlier(plan: Plan, inventory: Inventory, earlier: Sequence[RememberedFile]) -> Plan:
    """The plan of `make_vanished_plan` with those files of older looks than the newest that are still there: told as kept, which bars `clear`."""
    kept = []
    for file in earlier:
        found = found_at(inventory, file.location)
        if found is not None and found.layer.identity == file.identity and found.classified != GOLDEN:
            kept.append(Retained(file.location, str(file.kind), str(RefusalCode.UNKNOWN_FILE), file.identity))
    if not kept:
        return plan
    retained = (*plan.retained, *kept)
    return replace(
        plan,
        retained=retained,
        expected_outcome=Outcome.NOT_SANITIZED,
        expected_reasons=tuple(sorted({*plan.expected_reasons, str(ReasonCode.COPY_NOT_REACHED)})),
        fingerprint=fingerprint(plan.uuid, plan.generation, plan.steps, retained, ()),
    )


def _untouchable(found: FoundArtefact, file: RememberedFile, owners: Mapping[FileIdentity, Collection[str]], uuid: str) -> str:
    """Why a file that is still there is left alone, as a code; "" if nothing speaks against wiping it."""
    refusals = refusal.refusals_of(found, uuid)
    if refusals:
        return str(refusals[0].code)
    if not found.layer.under_root and file.kind not in _IN_LIBVIRTS_PLACES:
        return str(RefusalCode.OUTSIDE_ROOTS)
    if set(owners.get(file.identity, ())) - {uuid}:
        return str(RefusalCode.SHARED_BY_DOMAIN)
    filesystem = found.layer.filesystem
    if not file.local or filesystem is None or not filesystem.local:
        return str(ReasonCode.OPAQUE_STORAGE)
    if file.kind is ArtefactKind.BLOCK_DEVICE or found.layer.block is not None:
        return str(RefusalCode.NOT_REGULAR)
    return ""


def _gone(file: RememberedFile) -> Step:
    return Step(
        artefact_id=artefact_id(file.kind, file.location),
        kind=file.kind,
        location=file.location,
        format="raw",
        virtual_bytes=0,
        allocated_bytes=0,
        identity=file.identity,
        method=Method.OVERWRITE,
        reason="it was the phone's when it was last seen, and is gone",
        filesystem=_NO_FILESYSTEM,
        extents=_NO_EXTENTS,
        gone=True,
    )


def _step(found: FoundArtefact, file: RememberedFile) -> Step:
    layer = found.layer
    if layer.filesystem is None or layer.extents is None:
        raise ValueError("a step needs filesystem and extents")  # the guard `unidentified` has refused this before
    return Step(
        artefact_id=artefact_id(file.kind, file.location),
        kind=file.kind,
        location=file.location,
        format="raw",
        virtual_bytes=layer.virtual_bytes,
        allocated_bytes=layer.allocated_bytes,
        identity=file.identity,
        method=Method.OVERWRITE,
        reason="it was the phone's alone when it was last seen, and no domain reaches it now",
        filesystem=layer.filesystem,
        extents=layer.extents,
        root=layer.under_root,
        retained_extents=layer.retained_extents,
        golden=layer.golden,
    )
