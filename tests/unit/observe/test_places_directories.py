"""Whole directories: shared with the guest, the phone's own by its profile, and templates of backups."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.observe.places import ME, OTHER, Places, disk, neighbour, phone
from wiped.decide.plan import make_plan
from wiped.model.inventory import DomainState, Inventory
from wiped.observe import image
from wiped.wire.framing import decode, encode
from wiped.wire.messages import MAX_STEPS, Surveyed


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Directories of this test."""
    return Places(Path(os.path.realpath(tmp_path)))


def kinds(inventory: Inventory) -> list[tuple[str, str]]:
    """(kind, file name) of what was found."""
    return [(str(found.kind), os.path.basename(found.layer.location)) for found in inventory.artefacts]


def codes(inventory: Inventory) -> list[tuple[str, str]]:
    """(code, last part of the location) of the problems."""
    return [(code, os.path.basename(location)) for code, location, _ in inventory.problems]


def test_a_shared_directory(places: Places) -> None:
    """Every regular file in it is an artefact; links, sockets, devices and second names are told."""
    share = places.images / "share"
    places.raw("images/share/deep/er/a")
    places.raw("images/share/b")
    (share / "link").symlink_to("/etc/passwd")
    os.mkfifo(share / "fifo")
    os.link(places.raw("images/share/linked"), places.base / "elsewhere/second")
    inventory = places.look(phone(shared_directories=(str(share),)), with_extents=True)
    assert kinds(inventory) == [("shared-directory", "b"), ("shared-directory", "a")]
    assert sorted(codes(inventory)) == [("hard-link", "linked"), ("not-regular", "fifo"), ("symlink", "link")]


def test_a_shared_directory_that_is_not_the_phones_alone(places: Places) -> None:
    """Outside the roots, protected, around a protected root, or reached by another in either direction: told whole, and nothing in it is taken."""
    share = places.images / "share"
    inside = places.raw("images/share/a")
    domain = phone(shared_directories=(str(share),))
    assert kinds(places.look(domain)) == [("shared-directory", "a")]
    for other in (
        neighbour(shared_directories=(str(places.images),)),
        neighbour(shared_directories=(str(share / "below"),)),
        neighbour(shared_directories=(str(share),), shared_readonly=(str(share),)),
        neighbour(disk(inside)),
        neighbour(disk(share / "gone.raw")),
    ):
        inventory = places.look(domain, other)
        assert (codes(inventory), inventory.artefacts) == ([("shared-by-domain", "share")], ())
    for directory, code in ((places.base / "elsewhere", "outside-roots"), (places.golden, "outside-roots"), (places.images, "outside-roots")):
        assert codes(places.look(phone(shared_directories=(str(directory),)))) == [(code, directory.name)]
    roots = (str(places.base),)
    assert codes(places.look(phone(shared_directories=(str(places.golden),)), roots=roots)) == [("protected-root", "golden")]
    assert codes(places.look(phone(shared_directories=(str(places.base),)), roots=(str(places.base.parent),))) == [("protected-root", places.base.name)]


def test_a_directory_that_the_guest_only_reads(places: Places) -> None:
    """It is kept, and said to be."""
    share = places.images / "share"
    places.raw("images/share/a")
    inventory = places.look(phone(disk(places.raw("a.raw")), shared_directories=(str(share),), shared_readonly=(str(share),)), with_extents=True)
    plan = make_plan(inventory, 1, places.rules)
    assert plan.refusals == ()
    assert [(kept.location, kept.reason) for kept in plan.retained] == [(str(share), "read-only-share")]


def test_a_disk_within_a_shared_directory_comes_once(places: Places) -> None:
    """As the disk that it is."""
    path = places.raw("images/share/a.raw")
    inventory = places.look(phone(disk(path), shared_directories=(str(path.parent),)))
    assert kinds(inventory) == [("disk-image", "a.raw")]


def test_templates(places: Places) -> None:
    """Backups by template, wherever the operator said; another phone's are not reached, and a name never is."""
    for uuid in (ME, OTHER):
        places.raw(f"backup/{uuid}/2026/disk.raw")
    os.symlink("/etc/passwd", places.base / "backup" / ME / "link")
    inventory = places.look(phone(name="*"), extra_artefacts=(f"{places.base}/backup/{{uuid}}/**",))
    assert [(str(found.kind), found.layer.location) for found in inventory.artefacts] == [("extra", f"{places.base}/backup/{ME}/2026/disk.raw")]
    assert inventory.artefacts[0].layer.under_root == f"{places.base}/backup/{ME}"
    assert "{uuid}" in inventory.artefacts[0].claim
    assert codes(inventory) == [("symlink", "link")]


def test_a_template_reaches_nothing_golden_or_of_others(places: Places) -> None:
    """Owners and protected roots count for copies as for anything."""
    copy = places.raw(f"images/{ME}/copy.raw")
    templates = (f"{places.images}/{{uuid}}/*",)
    assert places.look(phone(), neighbour(disk(copy)), extra_artefacts=templates).artefacts[0].owners == (ME, OTHER)
    found = places.look(phone(), extra_artefacts=templates, protected=(str(places.images),)).artefacts[0]
    assert found.layer.under_protected == str(places.images)


def test_own_directory(places: Places) -> None:
    """Every file of the phone's own directory by its profile; what the profile does not list stops the wipe."""
    top = places.raw(f"phones/{ME}/disk.qcow2", b"x" * 8192)
    places.raw(f"phones/{ME}/old.raw")
    seed = places.raw(f"phones/{ME}/seed.iso")
    spare = places.raw(f"phones/{ME}/spare-seed.iso")
    domain = phone(disk(top, "raw"), disk(seed, target="sda", device="cdrom"))
    inventory = places.look(domain, phone_directories=(f"{places.base}/phones/{{uuid}}",), with_extents=True)
    assert sorted(kinds(inventory)) == [
        ("disk-image", "disk.qcow2"),
        ("disk-image", "old.raw"),
        ("install-media", "seed.iso"),
        ("install-media", "spare-seed.iso"),
    ]
    assert inventory.problems == ()
    assert {found.layer.location for found in inventory.artefacts if found.media and found.claim} == {str(seed), str(spare)}
    places.raw(f"phones/{ME}/novel.docx")
    assert codes(places.look(domain, phone_directories=(f"{places.base}/phones/{{uuid}}",))) == [("unknown-file", "novel.docx")]


def test_own_directory_with_a_profile_that_is_not_there(places: Places) -> None:
    """Nothing can be told of the directory then."""
    directories = (f"{places.base}/phones/{{uuid}}",)
    assert [code for code, _ in codes(places.look(phone(), phone_directories=directories, profile=f"{places.base}/none.toml"))] == ["unreadable"]
    assert places.look(phone(), phone_directories=directories).problems == ()


def test_names_that_are_no_text(places: Places) -> None:
    """A file whose name is not UTF-8 is told in escapes that any digest, ledger or terminal takes."""
    places.raw("images/share/a")
    os.close(os.open(os.fsencode(places.images / "share") + b"/b\xff\x1b[31m", os.O_CREAT | os.O_WRONLY))
    inventory = places.look(phone(shared_directories=(str(places.images / "share"),)))
    ((code, where, detail),) = inventory.problems
    assert code == "untrusted-format"
    (where + detail).encode("utf-8")
    assert kinds(inventory) == [("shared-directory", "a")]


def test_tpm_state(places: Places) -> None:
    """swtpm's directory of this UUID, whether or not the XML still has a TPM; another's is not touched."""
    for uuid in (ME, OTHER):
        places.raw(f"swtpm/{uuid}/tpm2/tpm2-00.permall")
    inventory = places.look(phone(), neighbour())
    assert [(str(found.kind), found.layer.location) for found in inventory.artefacts] == [("tpm-state", f"{places.base}/swtpm/{ME}/tpm2/tpm2-00.permall")]
    assert inventory.artefacts[0].layer.libvirt_owned


def test_a_tpm_without_state(places: Places) -> None:
    """A running phone whose TPM has no directory keeps its state elsewhere; one that never ran has none."""
    assert codes(places.look(phone(tpm=True, state=DomainState.RUNNING))) == [("unsupported-artefact", "tpm")]
    assert places.look(phone(tpm=True, state=DomainState.SHUTOFF)).problems == ()


def test_links_in_the_tpm_directory(places: Places) -> None:
    """What stands there and is no plain file of one name refuses."""
    places.raw(f"swtpm/{ME}/x")
    os.link(places.base / "swtpm" / ME / "x", places.base / "elsewhere/second")
    (places.base / "swtpm" / ME / "link").symlink_to("x")
    assert sorted(codes(places.look(phone()))) == [("hard-link", "x"), ("symlink", "link")]


def test_more_files_than_one_plan_takes_are_refused_by_name(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guest strewed over its shared directory cannot outgrow the wire: the phone is refused with the number."""
    monkeypatch.setattr(image, "MAX_STEPS", 40)
    share = places.images / "share"
    share.mkdir()
    for number in range(40):
        (share / f"file-{number}").touch()
    assert places.look(phone(shared_directories=(str(share),))).problems == ()
    (share / "one-more").touch()
    crowded = places.look(phone(shared_directories=(str(share),)))
    ((code, where, detail),) = crowded.problems
    assert (code, where, "41 files" in detail, len(crowded.artefacts)) == ("unsupported-artefact", str(share), True, 40)


def test_as_many_files_as_a_plan_takes_cross_the_wire(places: Places) -> None:
    """With paths and reasons of the longest kind, and nothing lost on the way."""
    path = places.raw("a.raw")
    (found,) = places.look(phone(disk(path)), with_extents=True).artefacts
    long = replace(found, layer=replace(found.layer, location="/srv/" + "directory/" * 150 + "name"), claim="a file that the phone shares with the host" * 4)
    message = Surveyed(Inventory(phone(), (long,) * MAX_STEPS))
    line = encode(message)
    assert len(line) > 16 << 20
    assert bool(decode(line) == message)
