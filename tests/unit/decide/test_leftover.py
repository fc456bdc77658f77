"""Former files of a phone that no definition references refuse the plan while they are still the same file."""

from __future__ import annotations

from tests.unit.decide.nouns import NEIGHBOUR, PHONE, found, inventory
from wiped.decide.leftover import left_over, unnamed
from wiped.decide.plan import make_plan
from wiped.model.images import GOLDEN
from wiped.model.inventory import ArtefactKind, FileIdentity, Inventory
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.model.sightings import RememberedFile

FORMER = RememberedFile(ArtefactKind.DISK_IMAGE, "/srv/phones/former.qcow2", FileIdentity(7, 99), local=True)


def codes(seen: Inventory) -> list[RefusalCode]:
    """What the former file's survey comes to."""
    return [refusal.code for refusal in left_over(seen, [FORMER])]


def test_only_files_that_the_plan_does_not_know_are_looked_at() -> None:
    """What is erased, kept or refused by the plan needs no second look."""
    plan = make_plan(inventory(found("/srv/phones/a", 1)), 1, StorageRules(roots=("/srv/phones",)))
    step = RememberedFile(ArtefactKind.DISK_IMAGE, "/srv/phones/a", FileIdentity(7, 1), local=True)
    assert unnamed(plan, [step, FORMER]) == (FORMER,)


def test_the_same_file_refuses() -> None:
    """Still there under its identity: no certificate may say `clear` beside it. The refusal names a domain that reaches it now."""
    assert codes(inventory(found(FORMER.location, 99, owners=()))) == [RefusalCode.UNKNOWN_FILE]
    (refusal,) = left_over(inventory(found(FORMER.location, 99, owners=(PHONE, NEIGHBOUR))), [FORMER])
    assert NEIGHBOUR in refusal.detail


def test_another_file_a_missing_one_and_a_golden_one_do_not() -> None:
    """A rotated log, a removed disk, an image that a person called golden."""
    assert codes(inventory(found(FORMER.location, 100))) == []
    assert codes(inventory()) == []
    assert codes(inventory(found(FORMER.location, 0, problem=RefusalCode.MISSING, identity=None))) == []
    golden = inventory(found(FORMER.location, 99))
    (only,) = golden.artefacts
    object.__setattr__(only, "classified", GOLDEN)
    assert codes(golden) == []


def test_one_that_cannot_be_looked_at_refuses() -> None:
    """Nobody knows whether it is still the phone's; a link or a directory in its place is another file."""
    assert codes(inventory(found(FORMER.location, 0, problem="io-error", identity=None))) == [RefusalCode.UNREADABLE]
    assert codes(inventory(found(FORMER.location, 0, problem=RefusalCode.SYMLINK, identity=None))) == []
