"""Media, classification and golden pools: what is the phone's own, and what is everybody's."""

from __future__ import annotations

import os

from tests.unit.observe.places import ME, OTHER, Places, disk, neighbour, phone, qcow2
from wiped.decide.plan import make_plan
from wiped.model.inventory import DomainState, FoundArtefact, Inventory


def codes(inventory: Inventory) -> list[tuple[str, str]]:
    """(code, last part of the location) of the problems."""
    return [(code, os.path.basename(location)) for code, location, _ in inventory.problems]


def only(inventory: Inventory, name: str) -> FoundArtefact:
    """The artefact at a file of that name."""
    (found,) = (each for each in inventory.artefacts if os.path.basename(each.layer.location) == name)
    return found


def fate(places: Places, inventory: Inventory, name: str) -> str:
    """`erased`, `kept`, or the refusal's code, as `decide/` makes of it."""
    plan = make_plan(inventory, 1, places.rules)
    if any(os.path.basename(step.location) == name for step in plan.steps):
        return "erased"
    refused = [str(refusal.code) for refusal in plan.refusals if os.path.basename(refusal.location) == name]
    return refused[0] if refused else "kept" if any(os.path.basename(kept.location) == name for kept in plan.retained) else ""


def test_a_seed_by_its_place(places: Places) -> None:
    """A CD whose file or directory bears the phone's UUID is its own; another's UUID says nothing."""
    own, beneath = places.raw(f"images/{ME}-seed.iso"), places.raw(f"images/{ME}/cidata.iso")
    foreign = places.raw(f"images/{OTHER}-seed.iso")
    drives = [disk(path, target=f"sd{n}", device="cdrom", readonly=True) for n, path in enumerate((own, beneath, foreign))]
    inventory = places.look(phone(*drives), with_extents=True)
    assert [bool(found.claim) for found in inventory.artefacts] == [True, True, False]
    assert all(found.media for found in inventory.artefacts)
    assert [fate(places, inventory, path.name) for path in (own, beneath, foreign)] == ["erased", "erased", "ambiguous-base"]


def test_media_that_is_everybodys(places: Places) -> None:
    """Protected, in another's drive, outside the roots: kept, even with the phone's UUID in its name."""
    protected, theirs, outside = places.raw(f"golden/{ME}.iso"), places.raw(f"images/{ME}.iso"), places.raw("elsewhere/a.iso")
    drives = [disk(path, target=f"sd{n}", device="cdrom") for n, path in enumerate((protected, theirs, outside))]
    inventory = places.look(phone(*drives), neighbour(disk(theirs, device="cdrom")), with_extents=True)
    assert [fate(places, inventory, "a.iso"), only(inventory, "a.iso").claim] == ["kept", ""]
    assert {step.location for step in make_plan(inventory, 1, places.rules).steps} == set()
    assert inventory.artefacts[1].owners == (ME, OTHER)


def test_classified_media(places: Places) -> None:
    """`wipectl images classify` settles a CD both ways; a record of another inode at the path settles nothing."""
    private, golden, stale = places.raw("private.iso"), places.raw("golden.iso"), places.raw("stale.iso")
    for path, word in ((private, "private"), (golden, "golden"), (stale, "private")):
        places.classify(path, word)
    stale.rename(places.images / "old.iso")
    places.raw("stale.iso")
    drives = [disk(path, target=f"sd{n}", device="cdrom") for n, path in enumerate((private, golden, stale))]
    inventory = places.look(phone(*drives), with_extents=True)
    assert [found.classified for found in inventory.artefacts] == ["private", "golden", ""]
    assert [fate(places, inventory, path.name) for path in (private, golden, stale)] == ["erased", "kept", "ambiguous-base"]


def test_classified_base(places: Places) -> None:
    """A base that a person called private is told so, and erased with its phone."""
    base = qcow2(places.images / "base.qcow2")
    top = qcow2(places.images / "top.qcow2", backing=str(base))
    before = places.look(phone(disk(top, "qcow2")), with_extents=True)
    assert fate(places, before, "base.qcow2") == "ambiguous-base"
    places.classify(base, "private")
    assert fate(places, places.look(phone(disk(top, "qcow2")), with_extents=True), "base.qcow2") == "erased"


def test_a_record_that_cannot_be_read_refuses(places: Places) -> None:
    """It may be the one that says `golden`."""
    path = places.raw("a.raw")
    places.classify(path, "golden")
    next((places.base / "classified").iterdir()).write_text("{")
    inventory = places.look(phone(disk(path)), with_extents=True)
    assert [code for code, _ in codes(inventory)] == ["unreadable"]
    assert make_plan(inventory, 1, places.rules).refusals != ()


def test_writable_floppies(places: Places) -> None:
    """The guest may have written to a floppy: its own is erased, one that would be kept is told."""
    own, shared = places.raw(f"images/{ME}.img"), places.raw("golden/floppy.img")
    inventory = places.look(phone(disk(own, target="fda", device="floppy")), with_extents=True)
    assert (fate(places, inventory, own.name), inventory.problems) == ("erased", ())
    assert codes(places.look(phone(disk(shared, target="fda", device="floppy")))) == [("unsupported-artefact", "floppy.img")]
    assert codes(places.look(phone(disk(own, target="fda", device="floppy")), neighbour(disk(own)))) == [("unsupported-artefact", own.name)]


def test_an_own_medium_that_only_the_running_phone_has(places: Places) -> None:
    """A seed inserted into the running phone alone would be forgotten at the stop; everybody's install CD is no matter."""
    seed, install = places.raw(f"images/{ME}.iso"), places.raw("golden/install.iso")
    drives = [disk(path, target=f"sd{n}", device="cdrom", origin="live") for n, path in enumerate((seed, install))]
    assert codes(places.look(phone(*drives, state=DomainState.RUNNING))) == [("live-only", seed.name)]


def test_what_lies_beneath_media(places: Places) -> None:
    """The base of a medium is kept with it, and of the phone's own seed it is judged like any base."""
    base = qcow2(places.images / "base.qcow2")
    medium = qcow2(places.images / "medium.qcow2", backing=str(base))
    seed = qcow2(places.images / f"{ME}.qcow2", backing=str(base))
    assert places.look(phone(disk(medium, "qcow2", readonly=True))).artefacts[1].retain_reason == "beneath-media"
    assert places.look(phone(disk(seed, "qcow2", readonly=True))).artefacts[1].retain_reason == ""


def test_a_chain_that_only_the_definition_states_is_told(places: Places) -> None:
    """QEMU opens what is stated. What the headers lead to, under whatever name, is no news."""
    base, hidden = places.raw("base.raw"), places.raw("hidden.raw")
    top = qcow2(places.images / "top.qcow2", backing=str(base), backing_format="raw")
    link = places.images / "link.raw"
    link.symlink_to(base)
    stated = (disk(base), disk(link), disk(f"{places.images}/sub/../base.raw"))
    refused = [code for code, *_ in places.look(phone(disk(top, "qcow2"), stated_chain=stated)).problems]
    assert "unsupported-artefact" not in refused
    for member, where in ((disk(hidden), "hidden.raw"), (disk("", type="network"), "disk vda"), (disk("base.raw"), "base.raw")):
        inventory = places.look(phone(disk(top, "qcow2"), stated_chain=(*stated, member)))
        assert ("unsupported-artefact", where) in codes(inventory), member


def test_what_a_transient_disk_left_is_the_phones(places: Places) -> None:
    """Beside the disk, with the phone's name or without; beside a disk that others share it is not, and another domain's is another's."""
    own = places.raw("own.raw")
    for name in ("own.raw.TRANSIENT", "own.raw.TRANSIENT-phone", "own.raw.TRANSIENT-before", "own.raw.TRANSIENT-else"):
        places.raw(name)
    inventory = places.look(phone(disk(own), former_names=("before",)))
    found = {os.path.basename(each.layer.location): (str(each.kind), each.owners) for each in inventory.artefacts}
    assert found.pop("own.raw") == ("disk-image", (ME,))
    assert found == {f"own.raw.TRANSIENT{end}": ("snapshot-overlay", (ME,)) for end in ("", "-phone", "-before")}
    shared = places.look(phone(disk(own, shareable=True)))
    assert [os.path.basename(each.layer.location) for each in shared.artefacts] == ["own.raw"]
    overlay = places.images / "own.raw.TRANSIENT"
    both = places.look(phone(disk(overlay)), neighbour(disk(own)))
    assert {each.owners for each in both.artefacts if each.layer.location == str(overlay)} == {(ME, OTHER)}
