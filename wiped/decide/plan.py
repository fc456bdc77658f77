"""(inventory, rules) -> the plan: what is erased, what is kept, what is refused, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from wiped.decide import refusal
from wiped.decide.verdict import expected_reasons
from wiped.model.canonical import digest
from wiped.model.images import GOLDEN, PRIVATE
from wiped.model.inventory import ERASE_ORDER, ArtefactKind, FileIdentity, FoundArtefact, Inventory
from wiped.model.outcome import Outcome, ReasonCode, ResidualCode
from wiped.model.plan import Method, Plan, Refusal, RefusalCode, Retained, Step
from wiped.model.policy import StorageRules

_RANK = {kind: rank for rank, kind in enumerate(ERASE_ORDER)}

_WHY = {
    ArtefactKind.DISK_IMAGE: "a disk of this phone alone",
    ArtefactKind.SNAPSHOT_OVERLAY: "an overlay that libvirt's snapshot made for this phone",
    ArtefactKind.BACKING_PRIVATE: "a former disk of this phone, kept as a backing file by its snapshot",
    ArtefactKind.MEMORY_IMAGE: "the phone's RAM on disk",
    ArtefactKind.NVRAM: "the phone's firmware variables",
    ArtefactKind.CONSOLE_LOG: "what the phone wrote to its console",
    ArtefactKind.BLOCK_DEVICE: "a block device that is a disk of this phone alone",
    ArtefactKind.CORE_DUMP: "the phone's RAM, dumped",
    ArtefactKind.TPM_STATE: "the state of the phone's TPM",
    ArtefactKind.INSTALL_MEDIA: "a medium made for this phone",
    ArtefactKind.SHARED_DIRECTORY: "a file that the phone shares with the host",
    ArtefactKind.MEMORY_BACKING: "the file behind the phone's RAM",
    ArtefactKind.LIBVIRT_SECRET: "a secret of libvirt's that only this phone uses",
    ArtefactKind.EXTRA: "a copy that the configuration names as the phone's",
}
#: Reason codes that a survey may bring as a problem: such storage could not be proven even if it were reached, and the plan says so.
_HOPELESS = frozenset({ReasonCode.OPAQUE_STORAGE, ReasonCode.THIN_POOL})


def artefact_id(kind: ArtefactKind, location: str) -> str:
    """A stable id of one artefact: the same place of the same kind gets the same id in every plan."""
    text = f"{kind}\0{location}".encode("utf-8", "surrogateescape")
    return "art-" + hashlib.sha256(text).hexdigest()[:16]


def _golden_reason(found: FoundArtefact, uuid: str, beneath_golden: bool) -> str:
    """Why a backing image is golden, or "" if nothing says so: it is then ambiguous, unless it is private."""
    if found.layer.under_protected:
        return RefusalCode.PROTECTED_ROOT
    if set(found.owners) - {uuid}:
        return RefusalCode.SHARED_BY_DOMAIN
    if found.classified == GOLDEN:
        return "classified-golden"
    if beneath_golden:
        return "beneath-golden"
    return ""


def _step(found: FoundArtefact) -> Step:
    layer = found.layer
    if layer.identity is None or layer.filesystem is None or layer.extents is None:
        raise ValueError("a step needs identity, filesystem and extents")  # the guard `unidentified` has refused this before
    kind = ArtefactKind.BACKING_PRIVATE if found.depth and found.kind is ArtefactKind.DISK_IMAGE else found.kind
    return Step(
        artefact_id=artefact_id(kind, layer.location),
        kind=kind,
        location=layer.location,
        format=layer.format,
        virtual_bytes=layer.virtual_bytes,
        allocated_bytes=layer.allocated_bytes,
        identity=layer.identity,
        method=Method.OVERWRITE,
        reason=found.claim or _WHY.get(kind, f"the phone's own {kind}"),
        filesystem=layer.filesystem,
        extents=layer.extents,
        root=layer.under_root,
        internal_snapshots=layer.internal_snapshots,
        retained_extents=layer.retained_extents,
        golden=layer.golden,
    )


def _kept_medium(found: FoundArtefact, uuid: str) -> str:
    """Why a CD or floppy image is everybody's and kept, or "" if nothing says so. One that is not there, or outside every root, cannot be the phone's."""
    if reason := _golden_reason(found, uuid, beneath_golden=False):
        return reason
    if found.layer.problem == RefusalCode.MISSING:
        return RefusalCode.MISSING
    if not (found.layer.under_root or found.layer.libvirt_owned):
        return RefusalCode.OUTSIDE_ROOTS
    return ""


class _Sorting:
    """Sorts found artefacts into steps, retained files and refusals; each file (device, inode) once."""

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self.steps: dict[FileIdentity, Step] = {}
        self.retained: dict[tuple[str, FileIdentity | None], Retained] = {}
        self.refusals: list[Refusal] = []

    def keep(self, found: FoundArtefact, kind: str, reason: str) -> None:
        self.retained.setdefault((found.layer.location, found.layer.identity), Retained(found.layer.location, kind, reason, found.layer.identity))

    def erase(self, found: FoundArtefact) -> None:
        refusals = refusal.refusals_of(found, self.uuid)
        if refusals:
            self.refusals.extend(refusals)
            return
        step = _step(found)
        self.steps.setdefault(step.identity, step)
        if step.golden:
            self.retained.setdefault((step.golden, None), Retained(step.golden, "golden-image", "shared-extents"))

    def medium(self, found: FoundArtefact) -> None:
        """A CD or floppy image: kept if it is everybody's, erased if something says that it was made for this phone, and otherwise nobody knows."""
        if kept := _kept_medium(found, self.uuid):
            self.keep(found, str(ArtefactKind.INSTALL_MEDIA), kept)
        elif found.claim or found.classified == PRIVATE:
            self.erase(found)
        else:
            self.refusals.append(refusal.ambiguous_medium(found))

    def chain(self, layers: Iterable[FoundArtefact]) -> None:
        """One disk, top first. Whatever lies beneath a golden layer is golden."""
        beneath_golden = False
        for found in layers:
            if found.retain_reason:
                self.keep(found, str(found.kind), found.retain_reason)
                continue
            if found.media and found.depth == 0:
                self.medium(found)
                continue
            if found.depth == 0:
                self.erase(found)
                continue
            golden = _golden_reason(found, self.uuid, beneath_golden)
            if golden:
                beneath_golden = True
                self.keep(found, "golden-image", golden)
                if found.layer.problem == RefusalCode.MISSING:
                    self.refusals.append(refusal.refusal_of_problem(found.layer.problem, found.layer.location, found.layer.detail))
            elif found.snapshot_made or found.classified == PRIVATE or found.layer.problem:
                self.erase(found)
            else:
                self.refusals.append(refusal.ambiguous_base(found))


def _chains(artefacts: Iterable[FoundArtefact]) -> list[list[FoundArtefact]]:
    """Groups consecutive layers into chains: a chain begins at depth 0."""
    chains: list[list[FoundArtefact]] = []
    for found in artefacts:
        if found.depth == 0 or not chains:
            chains.append([])
        chains[-1].append(found)
    return chains


def _residuals(inventory: Inventory, rules: StorageRules) -> tuple[str, ...]:
    residuals = [ResidualCode.BELOW_BLOCK_DEVICE, ResidualCode.COPIES_UNSEEN, ResidualCode.FREED_BLOCKS_UNTRACED]
    if any(disk.discard for disk in inventory.domain.disks):
        residuals.append(ResidualCode.GUEST_DISCARD_ENABLED)
    if inventory.swap_bytes:
        residuals.append(ResidualCode.GUEST_MEMORY_SWAPPED)
    if inventory.domain.host_devices:
        residuals.append(ResidualCode.HOST_DEVICE_ATTACHED)
    if rules.verify != "full":
        residuals.append(ResidualCode.SAMPLED)
    return tuple(sorted(str(code) for code in residuals))


def fingerprint(uuid: str, generation: int, steps: Iterable[Step], retained: Iterable[Retained], refusals: Iterable[Refusal]) -> str:
    """SHA-256 over what would be destroyed, kept and refused. Sizes and extent maps are left out: a running phone changes them every second."""
    return digest(
        {
            "uuid": uuid,
            "generation": generation,
            "steps": [[s.artefact_id, s.kind, s.location, s.format, s.identity.device, s.identity.inode, s.method] for s in steps],
            "retained": [[r.location, r.kind, r.identity.inode if r.identity else None] for r in retained],
            "refusals": sorted([r.code, r.location] for r in refusals),
        }
    )


def make_plan(inventory: Inventory, generation: int, rules: StorageRules) -> Plan:
    """The plan for one phone. A plan with refusals is printed, never executed; one without steps refuses, since nothing could be proven.

    `rules` gives passes and verification; roots were applied by the observer, which resolves directories (I5: the eraser applies them again).
    """
    domain = inventory.domain
    sorting = _Sorting(domain.uuid)
    for chain in _chains(inventory.artefacts):
        sorting.chain(chain)
    sorting.refusals.extend(refusal.refusal_of_problem(*problem) for problem in inventory.problems)
    sorting.refusals.extend(
        Refusal(RefusalCode.SHAREABLE_DISK, disk.location, "the disk is marked shareable: other machines may write to it")
        for disk in domain.disks
        if disk.shareable and not disk.readonly
    )
    busy = refusal.busy(domain)
    if busy is not None:
        sorting.refusals.append(busy)
    kept = {retained.identity for retained in sorting.retained.values() if retained.identity is not None}
    sorting.refusals.extend(
        Refusal(RefusalCode.SHARED_BY_DOMAIN, step.location, "the same file is also one that is kept (a base or shared media)")
        for step in sorting.steps.values()
        if step.identity in kept
    )
    if not sorting.steps and not sorting.refusals:
        sorting.refusals.append(Refusal(RefusalCode.MISSING, "", "the domain names no storage of its own: there is nothing that could be proven"))
    steps = tuple(sorted(sorting.steps.values(), key=lambda step: (_RANK.get(step.kind, len(_RANK)), step.location)))
    retained = tuple(sorting.retained.values())
    refusals = tuple({(r.code, r.location): r for r in sorting.refusals}.values())
    told = {code for code, _, _ in inventory.problems} | {found.layer.problem for found in inventory.artefacts}
    reasons = tuple(sorted({*(reason for step in steps for reason in expected_reasons(step)), *(str(code) for code in _HOPELESS if code in told)}))
    return Plan(
        uuid=domain.uuid,
        name=domain.name,
        generation=generation,
        steps=steps,
        retained=retained,
        refusals=refusals,
        residuals=_residuals(inventory, rules),
        expected_outcome=Outcome.NOT_SANITIZED if reasons or refusals else Outcome.CLEAR,
        expected_reasons=reasons,
        fingerprint=fingerprint(domain.uuid, generation, steps, retained, refusals),
        passes=rules.passes,
        verify=rules.verify,
    )


def drift(planned: Plan, seen: Plan) -> tuple[Refusal, ...]:
    """What differs between the frozen plan and the same phone seen again under its locks (docs/design.md, step 4); () if nothing does.

    Compared: refusals, the set of artefacts, device and inode of each, format, and what is retained. Sizes and maps may differ.
    """
    found: list[Refusal] = list(seen.refusals)
    before = {step.artefact_id: step for step in planned.steps}
    after = {step.artefact_id: step for step in seen.steps}
    for key, step in before.items():
        again = after.get(key)
        if again is None:
            found.append(Refusal(RefusalCode.DRIFT, step.location, "the phone does not reach it any more"))
        elif again.identity != step.identity:
            found.append(Refusal(RefusalCode.IDENTITY_CHANGED, step.location, "another file stands at this place than when the plan was made"))
        elif again.format != step.format:
            found.append(Refusal(RefusalCode.DRIFT, step.location, f"its stated format changed from {step.format} to {again.format}"))
    found.extend(Refusal(RefusalCode.DRIFT, step.location, "the plan did not have it") for key, step in after.items() if key not in before)
    kept_before = {(kept.location, kept.identity) for kept in planned.retained}
    kept_after = {(kept.location, kept.identity) for kept in seen.retained}
    found.extend(
        Refusal(RefusalCode.DRIFT, location, "what is retained changed since the plan was made")
        for location, _ in sorted(kept_before ^ kept_after, key=lambda item: item[0])
    )
    if (planned.uuid, planned.generation) != (seen.uuid, seen.generation):
        found.append(Refusal(RefusalCode.DRIFT, "", "another phone or generation"))
    return tuple({(r.code, r.location): r for r in found}.values())


def refused_too(plan: Plan, refusals: Iterable[Refusal]) -> Plan:
    """The plan with further refusals, which its fingerprint covers as it covers its own."""
    all_of_them = tuple({(r.code, r.location): r for r in (*plan.refusals, *refusals)}.values())
    if all_of_them == plan.refusals:
        return plan
    print_ = fingerprint(plan.uuid, plan.generation, plan.steps, plan.retained, all_of_them)
    return replace(plan, refusals=all_of_them, expected_outcome=Outcome.NOT_SANITIZED, fingerprint=print_)


_ANEW = "; when the file is dealt with, wipectl protect and unprotect let the wipe begin anew"


def forgotten(planned: Plan, again: Plan, shared: Iterable[str] = ()) -> tuple[Refusal, ...]:
    """What the plan of before the stop had, and the one that is to replace it has not. `shared`: the directories that the phone shares with its guest.

    Stopping a phone takes away what only its live XML named (a hot-plugged disk, a log of before it was redefined). Such a file still holds the
    phone's data, and a plan that forgot it would be certified as `clear`. So would one that took a new file for an old one at the same place
    (`cp disk new; mv new disk`): the old inode may live on under another name. Excused is what is rewritten or removed in the normal course of things.
    """
    places = {step.location for step in again.steps}
    files = {step.identity for step in again.steps}
    logs = [step.location for step in again.steps if step.kind is ArtefactKind.CONSOLE_LOG]
    found = []
    for step in planned.steps:
        if step.identity in files or _comes_and_goes(step, planned.name, shared):
            continue
        if step.location in places:
            if step.kind not in _REPLACED_IN_PLACE:
                detail = "another file stands there than when this wipe began, and the old one may live on elsewhere" + _ANEW
                found.append(Refusal(RefusalCode.IDENTITY_CHANGED, step.location, detail))
        elif not (step.kind is ArtefactKind.CONSOLE_LOG and any(step.location.startswith((f"{log}.", f"{log}-")) for log in logs)):
            detail = "it was the phone's when this wipe began, and nothing names it now: name it in the persistent definition" + _ANEW
            found.append(Refusal(RefusalCode.DRIFT, step.location, detail))
    return tuple(found)


#: Rotated by virtlogd or logrotate (the old file is found under its rotated name); written anew and renamed by libvirt; made anew at each start.
_REPLACED_IN_PLACE = frozenset({ArtefactKind.CONSOLE_LOG, ArtefactKind.LIBVIRT_SECRET, ArtefactKind.MEMORY_BACKING})


def _comes_and_goes(step: Step, name: str, shared: Iterable[str]) -> bool:
    """Whether the guest, swtpm or libvirt rewrites and removes such a file in the normal course: files in a directory that is still shared with the guest,
    the TPM's state, the managed save."""
    if step.kind is ArtefactKind.SHARED_DIRECTORY:
        return any(step.location.startswith(directory.rstrip("/") + "/") for directory in shared)
    return step.kind is ArtefactKind.TPM_STATE or (step.kind is ArtefactKind.MEMORY_IMAGE and step.location.endswith(f"/save/{name}.save"))
