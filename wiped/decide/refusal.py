"""Every guard between a phone and the eraser: each looks at facts and returns a `Refusal` or None.

An auditor reads here when a wipe is refused. The eraser repeats the storage guards by itself with its own eyes (`erase/claims.py`), so a
mistake here alone cannot destroy anything (I5).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from wiped.model.images import GOLDEN
from wiped.model.inventory import DomainFacts, FoundArtefact, JobKind
from wiped.model.plan import Refusal, RefusalCode

#: Words of the observer that are reason codes, and the refusal they mean before anything was begun.
_PROBLEM_ALIASES = {
    "vanished": RefusalCode.MISSING,
    "io-error": RefusalCode.UNREADABLE,
    "image-in-use": RefusalCode.IN_USE,
    "opaque-storage": RefusalCode.UNSUPPORTED_ARTEFACT,
    "thin-pool": RefusalCode.UNSUPPORTED_ARTEFACT,
}


#: Block devices whose every block is overwritten in place (BlockFacts.kind).
WIPEABLE_DEVICES = frozenset({"disk", "partition", "loop", "lvm"})


def refusal_of_problem(code: str, location: str, detail: str) -> Refusal:
    """A problem that the observer met, as a refusal. A word that we do not know refuses too: as `unreadable`, with the word in the detail."""
    if code in _PROBLEM_ALIASES:
        return Refusal(_PROBLEM_ALIASES[code], location, detail)
    try:
        return Refusal(RefusalCode(code), location, detail)
    except ValueError:
        return Refusal(RefusalCode.UNREADABLE, location, f"{code}: {detail}")


def problem(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`symlink`, `not-regular`, `untrusted-format`, `external-data-file`, `missing`...: the observer could not or must not look further."""
    if found.layer.problem:
        return refusal_of_problem(found.layer.problem, found.layer.location, found.layer.detail)
    return None


def unidentified(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`unreadable`: without device and inode, filesystem facts and an extent map nothing can be recognised again or proven."""
    layer = found.layer
    if layer.problem:
        return None
    if layer.identity is None or layer.filesystem is None or layer.extents is None:
        return Refusal(RefusalCode.UNREADABLE, layer.location, "the observer brought no identity, filesystem or extent map of it")
    return None


def outside_roots(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`outside-roots`: not under a configured root, nor in libvirt's own directories."""
    layer = found.layer
    if layer.under_root or layer.libvirt_owned or layer.problem == RefusalCode.MISSING:
        return None
    return Refusal(RefusalCode.OUTSIDE_ROOTS, layer.location, "add its directory to [storage] roots if phones live there, or move the image")


def protected_root(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`protected-root`: the phone's own disk lies where golden images live; a step is never taken there."""
    layer = found.layer
    if not layer.under_protected:
        return None
    return Refusal(RefusalCode.PROTECTED_ROOT, layer.location, f"it lies under the protected root {layer.under_protected}")


def shared_by_domain(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`shared-by-domain`: another domain (active, inactive, or in a snapshot's XML) reaches the same file (I5)."""
    others = sorted(set(found.owners) - {uuid})
    if not others:
        return None
    return Refusal(RefusalCode.SHARED_BY_DOMAIN, found.layer.location, "also reached by domain " + ", ".join(others[:5]))


def hard_link(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`hard-link`: the inode has a second name, which we cannot see and which may be somebody's (I5)."""
    layer = found.layer
    if layer.problem or layer.links == 1:
        return None
    return Refusal(RefusalCode.HARD_LINK, layer.location, f"the file has {layer.links} names; remove the others or move it")


def classified_golden(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`protected-root`: a person classified the image as golden, and the phone has it as its own disk."""
    if found.classified != GOLDEN:
        return None
    return Refusal(RefusalCode.PROTECTED_ROOT, found.layer.location, "it is classified as golden: `wipectl images classify` settles it")


def claimed(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`mounted`, `in-use`, ...: a block device that the kernel says somebody else has (a mount, swap, a holder, an array)."""
    block = found.layer.block
    if block is None or not block.claims:
        return None
    return refusal_of_problem(block.claims[0][0], found.layer.location, "; ".join(detail for _, detail in block.claims))


def provable_device(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`unsupported-artefact`: a block device whose blocks are mapped by something that may keep the old ones (thin pool, LV snapshot, array)."""
    block = found.layer.block
    if block is None or block.kind in WIPEABLE_DEVICES:
        return None
    return Refusal(
        RefusalCode.UNSUPPORTED_ARTEFACT, found.layer.location, f"a block device of kind {block.kind}: overwriting it would not reach the old blocks"
    )


#: The words of `storage.inode` for what keeps a file from being written, renamed or removed -> (chattr's letter, of what).
_IMMUTABLE = {
    "inode:immutable": ("i", ""),
    "inode:append-only": ("a", ""),
    "directory:immutable": ("i", "its directory"),
    "directory:append-only": ("a", "its directory"),
}


def immutable(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`immutable`: the kernel would refuse to write, rename or remove it; told before a byte is overwritten, with the remedy."""
    layer = found.layer
    for word in layer.filesystem.mount_options if layer.filesystem is not None else ():
        if word in _IMMUTABLE:
            return Refusal(RefusalCode.IMMUTABLE, layer.location, immutable_detail(word, layer.location))
    return None


def immutable_detail(word: str, location: str) -> str:
    """The sentence for a word of `storage.inode`; "" for any other word."""
    if word not in _IMMUTABLE:
        return ""
    letter, of = _IMMUTABLE[word]
    path = posixpath.dirname(location) if of else location
    return f"{of or 'it'} is {word.partition(':')[2]}: chattr -{letter} {path}"


def in_use(found: FoundArtefact, uuid: str) -> Refusal | None:
    """`in-use`: somebody else than the phone itself was seen holding the file."""
    if not found.layer.in_use:
        return None
    return Refusal(RefusalCode.IN_USE, found.layer.location, found.layer.detail or "another process holds it")


#: The guards of a file that is to be erased. Every one is asked, so that the operator sees all of them at once.
STEP_GUARDS: tuple[Callable[[FoundArtefact, str], Refusal | None], ...] = (
    problem,
    outside_roots,
    protected_root,
    shared_by_domain,
    hard_link,
    classified_golden,
    claimed,
    provable_device,
    immutable,
    in_use,
    unidentified,
)


def refusals_of(found: FoundArtefact, uuid: str) -> tuple[Refusal, ...]:
    """All guards' answers for one file of the phone `uuid`; () means that it may be erased."""
    answers = (guard(found, uuid) for guard in STEP_GUARDS)
    unique: dict[RefusalCode, Refusal] = {}
    for answer in answers:
        if answer is not None:
            unique.setdefault(answer.code, answer)
    return tuple(unique.values())


def ambiguous_base(found: FoundArtefact) -> Refusal:
    """`ambiguous-base`: nobody else reaches this backing image, yet nothing says that it was made for this phone. It may be the golden image
    whose last phone this is."""
    return Refusal(
        RefusalCode.AMBIGUOUS_BASE,
        found.layer.location,
        "a backing image that no other domain reaches: put golden images under [storage] protected, or settle it with "
        "`wipectl images classify PATH golden|private`",
    )


def ambiguous_medium(found: FoundArtefact) -> Refusal:
    """`ambiguous-base`: a CD or floppy image that only this phone has, and nothing says whether it is its own seed or everybody's media."""
    return Refusal(
        RefusalCode.AMBIGUOUS_BASE,
        found.layer.location,
        "a CD or floppy image that no other domain has: settle it with `wipectl images classify PATH golden|private`",
    )


def busy(domain: DomainFacts) -> Refusal | None:
    """`domain-busy`: libvirt is saving, migrating or otherwise copying the phone; wait until the job ended."""
    if domain.job is JobKind.NONE:
        return None
    return Refusal(RefusalCode.DOMAIN_BUSY, "", f"libvirt runs a {domain.job} job on it; it is tried again when the job has ended")


def confirmation(expected: str, typed: str) -> Refusal | None:
    """`wrong-confirmation`: the typed name is not exactly the phone's."""
    if expected and typed == expected:
        return None
    return Refusal(RefusalCode.WRONG_CONFIRMATION, "--confirm", "type the phone's exact name; nothing was changed")
