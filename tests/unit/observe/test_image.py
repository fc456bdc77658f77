"""The survey: what a phone reaches, what kind it is, and what is only told."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.observe.places import ME, OTHER, Places, disk, neighbour, phone, qcow2, saved_state
from wiped.decide.plan import make_plan
from wiped.model.inventory import ArtefactKind as Kind
from wiped.model.inventory import DiskSource, DomainState, Inventory


def kinds(inventory: Inventory) -> list[tuple[str, str, int]]:
    """(kind, file name, depth) of what was found."""
    return [(str(found.kind), os.path.basename(found.layer.location), found.depth) for found in inventory.artefacts]


def codes(inventory: Inventory) -> list[tuple[str, str]]:
    """(code, last part of the location) of the problems."""
    return [(code, os.path.basename(location)) for code, location, _ in inventory.problems]


def test_a_plain_disk(places: Places) -> None:
    """A raw disk is found with identity, sizes, root and owner."""
    path = places.raw("a.raw")
    (found,) = places.look(phone(disk(path)), with_extents=True).artefacts
    assert (found.kind, found.depth, found.owners, found.layer.problem) == (Kind.DISK_IMAGE, 0, (ME,), "")
    assert found.layer.identity is not None
    assert found.layer.identity.inode == path.stat().st_ino
    assert (found.layer.size_bytes, found.layer.under_root) == (8192, str(places.images))
    assert found.layer.extents is not None


def test_chain_over_golden(places: Places) -> None:
    """An overlay over a golden image: top first, the golden one marked by its protected root, which is not judged here."""
    base = places.raw("golden/base.raw")
    top = qcow2(places.images / "top.qcow2", backing=str(base), backing_format="raw")
    inventory = places.look(phone(disk(top, "qcow2")))
    assert kinds(inventory) == [("disk-image", "top.qcow2", 0), ("disk-image", "base.raw", 1)]
    assert inventory.artefacts[1].layer.under_protected == str(places.golden)
    assert not inventory.artefacts[1].snapshot_made


def test_snapshot_overlay(places: Places) -> None:
    """A file that this domain's snapshot names as its former disk is private; the top over it is a snapshot's overlay; nothing comes twice."""
    base = places.raw("golden/base.raw")
    first = qcow2(places.images / "first.qcow2", backing=str(base), backing_format="raw")
    second = qcow2(places.images / "second.qcow2", backing="first.qcow2")
    domain = phone(
        disk(second, "qcow2", origin="live"),
        disk(second, "qcow2", origin="inactive"),
        disk(first, "qcow2", origin="snapshot"),
        disk(second, "qcow2", origin="snapshot"),
        snapshots=("one",),
    )
    inventory = places.look(domain)
    assert kinds(inventory) == [("snapshot-overlay", "second.qcow2", 0), ("backing-private", "first.qcow2", 1), ("disk-image", "base.raw", 2)]
    assert [found.snapshot_made for found in inventory.artefacts] == [True, True, False]
    assert inventory.problems == ()


def test_internal_snapshot_keeps_its_kind(places: Places) -> None:
    """A snapshot that names the current disk itself (an internal one) does not make it an overlay."""
    top = qcow2(places.images / "top.qcow2")
    inventory = places.look(phone(disk(top, "qcow2"), disk(top, "qcow2", origin="snapshot")))
    assert kinds(inventory) == [("disk-image", "top.qcow2", 0)]


def test_disk_that_only_a_snapshot_names(places: Places) -> None:
    """After a revert, an old overlay is in no current chain; the snapshot still names it, so it is found."""
    old, new = places.raw("old.raw"), places.raw("new.raw")
    inventory = places.look(phone(disk(new), disk(old, origin="snapshot")))
    assert kinds(inventory) == [("disk-image", "new.raw", 0), ("disk-image", "old.raw", 0)]
    assert inventory.artefacts[1].snapshot_made


def test_media_is_retained(places: Places) -> None:
    """CD, floppy and read-only disks are told as media, with nothing that says they are the phone's; an empty drive is nothing."""
    iso, extra = places.raw("a.iso"), places.raw("extra.raw")
    inventory = places.look(
        phone(
            disk(iso, target="sda", device="cdrom"),
            disk("", target="sdb", device="cdrom"),
            disk(extra, target="vdb", readonly=True),
        )
    )
    assert kinds(inventory) == [("install-media", "a.iso", 0), ("install-media", "extra.raw", 0)]
    assert [(found.media, found.claim, found.retain_reason) for found in inventory.artefacts] == [(True, "", "")] * 2
    assert inventory.problems == ()


def test_read_only_here_and_writable_there(places: Places) -> None:
    """A disk that one definition calls read-only and another writable is a medium, and told."""
    path = places.raw("a.raw")
    inventory = places.look(phone(disk(path, origin="live"), disk(path, origin="inactive", readonly=True)))
    assert inventory.artefacts[0].media
    assert codes(inventory) == [("unsupported-artefact", "a.raw")]


def test_writable_floppy_is_told(places: Places) -> None:
    """A guest can write to a floppy: it is kept, but not passed over in silence."""
    inventory = places.look(phone(disk(places.raw("floppy.img"), target="fda", device="floppy")))
    assert codes(inventory) == [("unsupported-artefact", "floppy.img")]


def test_shareable_disk(places: Places) -> None:
    """A shareable disk is kept with its problem."""
    inventory = places.look(phone(disk(places.raw("a.raw"), shareable=True)))
    assert inventory.artefacts[0].retain_reason == "shareable-disk"
    assert codes(inventory) == [("shareable-disk", "a.raw")]


def test_formats_that_disagree(places: Places) -> None:
    """Raw here and qcow2 there: nobody may say which is right."""
    path = qcow2(places.images / "a.img")
    assert codes(places.look(phone(disk(path, "raw", origin="live"), disk(path, "qcow2")))) == [("untrusted-format", "a.img")]


@pytest.mark.parametrize(
    ("source", "code", "location"),
    [
        (DiskSource("vda", "network", "", "raw"), "opaque-storage", "disk vda"),
        (DiskSource("vda", "nvme", "", "raw"), "opaque-storage", "disk vda"),
        (DiskSource("vda", "vhostuser", "", ""), "opaque-storage", "disk vda"),
        (DiskSource("vda", "dir", "/srv/dir", "raw"), "opaque-storage", "dir"),
        (DiskSource("hostdev0", "hostdev", "", "raw", device="lun"), "opaque-storage", "disk hostdev0"),
        (DiskSource("vda", "volume", "", "raw", pool="p", volume="v"), "unsupported-artefact", "disk vda"),
        (DiskSource("vda", "file", "relative.img", "raw"), "unsupported-artefact", "relative.img"),
        (DiskSource("vda", "file", "", "raw"), "unsupported-artefact", "disk vda"),
    ],
)
def test_what_cannot_be_wiped_is_told(places: Places, source: DiskSource, code: str, location: str) -> None:
    """Storage that cannot be reached is a problem of its own, never skipped, and opaque storage is called so."""
    inventory = places.look(phone(source))
    assert codes(inventory) == [(code, location)]
    assert inventory.artefacts == ()
    assert {str(refusal.code) for refusal in make_plan(inventory, 1, places.rules).refusals} == {"unsupported-artefact"}
    assert all(detail.startswith("opaque-storage") for told, _, detail in inventory.problems if told == "opaque-storage")


def test_snapshot_memory_without_a_place_is_told(places: Places) -> None:
    """libvirt says that a snapshot kept RAM, and not where."""
    assert codes(places.look(phone(has_snapshot_memory=True))) == [("unsupported-artefact", "snapshot memory")]


def test_nvram_and_logs(places: Places) -> None:
    """NVRAM (former ones too), console logs and their rotated files are found; what is not there, /dev/null and look-alikes are not."""
    nvram, former = places.raw("state/nvram.fd"), places.raw("state/former.fd")
    log = places.raw("logs/console.log")
    for name in (
        "console.log.0",
        "console.log.12",
        "console.log.01",
        "console.log.old",
        "console.log.gz",
        "console.log.",
        "console.log.3.gz",
        "console.log-20260101",
        "other.log.0",
        "console.log.²",
    ):
        places.raw(f"logs/{name}")
    domain = phone(nvram=str(nvram), former_nvram=(str(former),), console_logs=(str(log), f"{places.base}/logs/gone.log", "/dev/null"))
    assert kinds(places.look(domain)) == [
        ("nvram", "nvram.fd", 0),
        ("nvram", "former.fd", 0),
        ("console-log", "console.log", 0),
        ("console-log", "console.log-20260101", 0),
        ("console-log", "console.log.0", 0),
        ("console-log", "console.log.12", 0),
        ("console-log", "console.log.3.gz", 0),
    ]


def test_rotated_logs_of_a_log_that_is_gone(places: Places) -> None:
    """The rotated files count although the current log is not there."""
    places.raw("logs/console.log.0")
    assert kinds(places.look(phone(console_logs=(f"{places.base}/logs/console.log",)))) == [("console-log", "console.log.0", 0)]


def test_a_directory_that_cannot_be_listed_is_told(places: Places) -> None:
    """Not to have looked is not to have found nothing: a save or log directory that is there and cannot be listed refuses the plan."""
    path, save, logs = places.raw("a.raw"), Path(places.directories.state, "save"), places.images / "logs"
    assert codes(places.look(phone(disk(path)))) == []
    if save.is_dir():
        save.rmdir()
    for loop in (save, logs):
        loop.symlink_to(loop.name)  # ELOOP, which root meets too
    found = places.look(phone(disk(path), console_logs=(str(logs / "console.log"),)), with_extents=True)
    assert {("unreadable", "save"), ("unreadable", "logs")} <= set(codes(found))
    assert make_plan(found, 1, places.rules).refusals != ()


def test_managed_save(places: Places) -> None:
    """The saved RAM of this name and this UUID is a memory image."""
    places.raw("state/save/phone.save", saved_state(ME))
    inventory = places.look(phone(has_managed_save=True))
    assert kinds(inventory) == [("memory-image", "phone.save", 0)]
    assert inventory.artefacts[0].layer.libvirt_owned
    assert inventory.problems == ()


@pytest.mark.parametrize(
    "content",
    [saved_state(OTHER), b"", b"LibvirtQemudSave", saved_state(ME, magic=b"SomethingElse!!!"), saved_state(ME, length=0), saved_state(ME, length=2**32 - 1)],
    ids=["another uuid", "empty", "cut off", "another magic", "no length", "huge length"],
)
def test_saved_state_that_is_not_known_to_be_ours(places: Places, content: bytes) -> None:
    """A save of another UUID, or one that cannot be read, is told; whose RAM it is decides whether it may be erased."""
    places.raw("state/save/phone.save", content)
    assert codes(places.look(phone(has_managed_save=True))) == [("identity-changed", "phone.save")]


def test_unfinished_save_counts(places: Places) -> None:
    """A state whose writing was interrupted holds RAM too."""
    places.raw("state/save/phone.save", saved_state(ME, magic=b"LibvirtQemudPart"))
    inventory = places.look(phone())
    assert kinds(inventory) == [("memory-image", "phone.save", 0)]
    assert inventory.problems == ()


def test_managed_save_that_is_missing(places: Places) -> None:
    """libvirt says that there is one, the directory says no."""
    assert codes(places.look(phone(has_managed_save=True))) == [("missing", "phone.save")]


def test_own_saved_state_under_another_name_is_told(places: Places) -> None:
    """RAM of this phone that stands under a name it has no longer is never left out; another's under any name is not ours to tell."""
    places.raw("state/save/former.save", saved_state(ME))
    places.raw("state/save/other.save", saved_state(OTHER))
    inventory = places.look(phone())
    assert codes(inventory) == [("unsupported-artefact", "former.save")]
    assert kinds(inventory) == []


def test_a_saved_state_of_nobody_is_told(places: Places) -> None:
    """RAM whose header tells nothing and whose name is nobody's may be this phone's; what bears another's name, is empty or half removed is not asked."""
    places.raw("state/save/former.save", saved_state(ME, length=0))
    places.raw("state/save/former.save.bak", saved_state(ME, magic=b"SomethingElse!!!"))
    places.raw("state/save/phone.save.old", saved_state(ME))
    for name in ("neighbour.save", "neighbour.save.old", f".wiped-{'a' * 32}"):
        places.raw(f"state/save/{name}", b"no header at all" * 512)
    places.raw("state/save/empty.save", b"")
    (places.base / "state/save/link.save").symlink_to("/nowhere")
    expected = [
        ("unreadable", "former.save"),  # nobody can tell where its XML ends: it may name any file
        ("unreadable", "link.save"),
        ("unsupported-artefact", "phone.save.old"),
        ("untrusted-format", "former.save"),
        ("untrusted-format", "former.save.bak"),
    ]
    assert sorted(codes(places.look(phone(), neighbour()))) == expected
    places.raw("state/save/phone.save", b"no header at all" * 512)
    assert ("untrusted-format", "phone.save") not in codes(places.look(phone(), neighbour()))


def test_disk_that_only_the_saved_state_names(places: Places) -> None:
    """A disk attached to the running phone only is known from nowhere but its saved state."""
    known, hot = places.raw("a.raw"), places.raw("hot.raw")
    disks = "".join(f"<disk type='file' device='disk'><source file='{path}'/><target dev='vd{n}'/></disk>" for n, path in enumerate((known, hot)))
    places.raw("state/save/phone.save", saved_state(ME, disks=disks))
    assert codes(places.look(phone(disk(known), has_managed_save=True))) == [("unsupported-artefact", "hot.raw")]


@pytest.mark.parametrize("name", ["*", "[ab]", "?", "phone.save"])
def test_names_are_no_patterns(places: Places, name: str) -> None:
    """A domain's name is taken letter by letter: `*` reaches no other name's saved state."""
    places.raw("state/save/phone.save", saved_state(OTHER))
    places.raw("state/save/a.save", saved_state(OTHER))
    assert places.look(phone(name=name)).artefacts == ()


@pytest.mark.parametrize("name", ["../phone", "a/b", "a\0b", ""])
def test_names_that_leave_the_directory(places: Places, name: str) -> None:
    """A name with a slash or NUL is refused before it becomes a path."""
    places.raw("state/phone.save", saved_state(ME))
    assert codes(places.look(phone(name=name))) == [("unsupported-artefact", "managed save")]


def test_owners_by_path_identity_and_chain(places: Places) -> None:
    """Others reach a file by its path, through their chain, another name of the same inode, a log, NVRAM, a snapshot, or a shared directory."""
    a, b = places.raw("a.raw"), places.raw("b.raw")
    base = qcow2(places.images / "base.qcow2")
    mine = qcow2(places.images / "mine.qcow2", backing=str(base))
    theirs = qcow2(places.images / "theirs.qcow2", backing=str(base))
    (places.base / "elsewhere/link.raw").symlink_to(b)
    log = places.raw("logs/x.log.0")
    domain = phone(disk(a), disk(b, target="vdb"), disk(mine, "qcow2", target="vdc"), console_logs=(f"{places.base}/logs/x.log",))

    def shared(*others_disks: DiskSource, **facts: object) -> set[str]:
        found = places.look(domain, neighbour(*others_disks, **facts)).artefacts
        return {os.path.basename(item.layer.location) for item in found if OTHER in item.owners}

    assert all(ME in found.owners for found in places.look(domain).artefacts)
    assert shared() == set()
    assert shared(disk(a, origin="snapshot")) == {"a.raw"}
    assert shared(disk(a, device="cdrom")) == {"a.raw"}
    assert shared(disk(places.base / "elsewhere/link.raw")) == {"b.raw"}
    assert shared(disk(theirs, "qcow2")) == {"base.qcow2"}
    assert shared(disk(theirs, "")) == {"base.qcow2"}
    assert shared(nvram=str(a)) == {"a.raw"}
    assert shared(console_logs=(str(places.base / "logs/x.log"),)) == {"x.log.0"}
    assert shared(console_logs=(str(log),)) == {"x.log.0"}
    assert shared(snapshot_memory_files=(str(b),)) == {"b.raw"}
    assert shared(shared_directories=(str(places.images),)) == {"a.raw", "b.raw", "mine.qcow2", "base.qcow2"}
    assert shared(disk(f"{places.images}/../images/./a.raw")) == {"a.raw"}


def test_owners_by_a_saved_state(places: Places) -> None:
    """A disk that was attached to another running phone is known from nowhere but that phone's saved state: it is that phone's."""
    hot = places.raw("hot.raw")
    disks = f"<disk type='file' device='disk'><source file='{hot}'/><target dev='vdb'/></disk>"
    places.raw("state/save/neighbour.save", saved_state(OTHER, name="neighbour", disks=disks))
    places.raw("state/save/broken.save", b"LibvirtQemudSave")
    (found,) = places.look(phone(disk(hot))).artefacts
    assert found.owners == (ME, OTHER)


def test_owners_by_a_directory_that_is_a_disk(places: Places) -> None:
    """A disk of type dir shows everything beneath it to its guest."""
    (found,) = places.look(phone(disk(places.raw("a.raw"))), neighbour(DiskSource("vda", "dir", str(places.images), "raw"))).artefacts
    assert found.owners == (ME, OTHER)


def test_image_of_another_that_is_missing(places: Places) -> None:
    """A missing image of another domain still counts by its path: it may come back."""
    missing = places.images / "gone.raw"
    (found,) = places.look(phone(disk(missing)), neighbour(disk(missing))).artefacts
    assert (found.layer.problem, found.owners) == ("missing", (ME, OTHER))


def test_image_of_another_that_cannot_be_understood(places: Places) -> None:
    """What a neighbour reaches is not known: what its head may name is told as `unreadable` rather than let the phone be stopped; other phones go on."""
    broken = places.raw("broken.qcow2", b"QFI\xfb" + b"\xff" * 4096 + b"/srv/phones/a.raw")
    inventory = places.look(phone(disk(places.raw("a.raw"))), neighbour(disk(broken, "qcow2")))
    assert codes(inventory) == [("unreadable", "a.raw")]
    assert places.look(phone(disk(places.raw("b.raw"))), neighbour(disk(broken, "qcow2"))).problems == ()
    assert places.look(phone(disk(places.raw("a.raw"))), neighbour(disk(broken, "raw"))).problems == ()


def test_this_phone_among_the_others(places: Places) -> None:
    """The phone's own facts among the others make no second owner."""
    domain = phone(disk(places.raw("a.raw")))
    (found,) = places.look(domain, domain).artefacts
    assert found.owners == (ME,)


def test_broken_chains(places: Places) -> None:
    """A missing base, a circle and a chain that is too deep end the walk with the reason."""
    top = qcow2(places.images / "top.qcow2", backing="gone.qcow2")
    assert places.look(phone(disk(top, "qcow2"))).artefacts[1].layer.problem == "missing"
    one = qcow2(places.images / "one.qcow2", backing="two.qcow2")
    qcow2(places.images / "two.qcow2", backing="one.qcow2")
    last = places.look(phone(disk(one, "qcow2"))).artefacts[-1].layer
    assert (last.problem, last.detail) == ("untrusted-format", "the backing chain is circular")
    for number in range(65):
        qcow2(places.images / f"{number}.qcow2", backing=f"{number + 1}.qcow2" if number < 64 else "")
    deep = places.look(phone(disk(places.images / "0.qcow2", "qcow2"))).artefacts
    assert (len(deep), deep[-1].layer.problem, deep[-1].layer.detail) == (64, "untrusted-format", "the backing chain is deeper than 64")
    exact = places.look(phone(disk(places.images / "1.qcow2", "qcow2"))).artefacts
    assert (len(exact), exact[-1].layer.problem) == (64, "")


def test_backing_without_format_is_not_followed(places: Places) -> None:
    """A backing file whose format is not stated ends the walk: it would have to be guessed."""
    secret = places.raw("elsewhere/secret")
    top = qcow2(places.images / "top.qcow2", backing=str(secret), backing_format="")
    (found,) = places.look(phone(disk(top, "qcow2"))).artefacts
    assert found.layer.problem == "untrusted-format"


def test_header_in_a_raw_disk_is_never_read(places: Places) -> None:
    """A guest that writes a qcow2 header naming a host file into its raw disk reaches nothing (CVE-2024-32498)."""
    secret = places.raw("elsewhere/secret")
    evil = qcow2(places.images / "evil.raw", backing=str(secret), backing_format="raw")
    assert kinds(places.look(phone(disk(evil, "raw")))) == [("disk-image", "evil.raw", 0)]
    assert kinds(places.look(phone(disk(evil, "")))) == [("disk-image", "evil.raw", 0)]


def test_a_running_phone_can_be_planned(places: Places) -> None:
    """A disk that is locked (by the running phone, or by our own eraser) is not called in use by the survey."""
    path = places.raw("a.raw", b"x" * 65536)
    domain = phone(disk(path, origin="live"), disk(path, origin="inactive"))
    with path.open("r+b") as held:
        fcntl.fcntl(held, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 5, 0))  # 37: F_OFD_SETLK
        inventory = places.look(domain, with_extents=True)
    plan = make_plan(inventory, 1, places.rules)
    assert plan.refusals == ()
    assert [step.location for step in plan.steps] == [str(path)]


def test_a_disk_that_only_the_running_phone_has_is_told(places: Places) -> None:
    """Hot-plugged and not in the definition: the stop would make libvirt forget it. Media, and what the definition or a snapshot names, are no matter."""
    kept, plugged, cd, former = (places.raw(name, b"x" * 65536) for name in ("a.raw", "plugged.raw", "cd.iso", "former.raw"))
    live = (disk(kept, origin="live"), disk(plugged, origin="live"), disk(cd, origin="live", device="cdrom", readonly=True), disk(former, origin="live"))
    lasting = (disk(kept, origin="inactive"), disk(former, origin="snapshot"))
    running = replace(phone(*live, *lasting), state=DomainState.RUNNING)
    assert codes(places.look(running)) == [("live-only", "plugged.raw")]
    assert codes(places.look(replace(running, state=DomainState.SHUTOFF))) == []


def test_swap_of_no_process_is_nothing(places: Places) -> None:
    """A missing, malformed or reused pid file tells nothing about swap."""
    off = phone(state=DomainState.SHUTOFF)
    assert places.look(off).swap_bytes == 0
    for content in ("", "x", "999999999", str(os.getpid())):
        places.raw("run/qemu/phone.pid", content.encode())
        assert places.look(off).swap_bytes == 0


@pytest.mark.parametrize("state", [state for state in DomainState if state is not DomainState.SHUTOFF])
def test_whatever_is_not_off_has_a_process(places: Places, state: DomainState) -> None:
    """A crashed phone that is kept for a look, and one of a state that nobody knows: its RAM in files and its swap are told."""
    inventory = places.look(phone(state=state, memory_backing_file=True))
    assert ("live-only", "ram") in codes(inventory)
    assert inventory.swap_bytes > 0


def test_a_neighbours_saved_state_that_is_not_understood_holds_back_what_it_names(places: Places) -> None:
    """By name, in the plan as by the eraser; the phone's own by its name does not."""
    own, free = places.raw("own.raw"), places.raw("free.raw")
    xml = f"<disk type='file'><source file='{own}'/></disk>"
    for name, held in (("neighbour", [True, False]), ("phone", [False, False])):
        data = bytearray(saved_state(OTHER if name == "neighbour" else ME, name=name, disks=xml))
        data[16] = 4
        path = places.raw(f"state/save/{name}.save", bytes(data))
        inventory = places.look(phone(disk(own), disk(free, target="vdb")), neighbour())
        told = {place for code, place, _ in inventory.problems if code == "unreadable"}
        assert [str(each) in told for each in (own, free)] == held, (name, inventory.problems)
        Path(path).unlink()


def test_a_neighbours_saved_state_without_an_end_holds_everything_back(places: Places) -> None:
    """Where its header states no length of an XML, or one of which not everything is looked through, it may name any file."""
    own = places.raw("own.raw")
    for length in (0, 1 << 30, 65 << 10):
        data = bytearray(saved_state(OTHER, name="neighbour", length=length))
        data[16] = 4
        places.raw("state/save/neighbour.save", bytes(data) + bytes(128 << 10))
        assert ("unreadable", "neighbour.save") in codes(places.look(phone(disk(own)), neighbour())), length


def test_what_only_the_saved_state_names_is_told(places: Places) -> None:
    """Logs, variables, directories, devices and QEMU's own words of the phone as it ran; what the definition has too is not."""
    log, shared = places.raw("run.log"), places.images / "shared"
    shared.mkdir()
    devices = (
        f"<serial type='file'><source path='{log}'/></serial><serial type='file'><source path='/dev/null'/></serial>"
        f"<filesystem type='mount'><source dir='{shared}'/><target dir='x'/></filesystem><vault/>"
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>"
        "<disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vdz'/></disk>"
        "<disk type='file' device='cdrom'><target dev='sda'/></disk><disk type='file' device='cdrom'><source file='/srv/cd.iso'/><target dev='sdb'/></disk>"
    )
    places.raw("state/save/phone.save", saved_state(ME, disks=devices))
    own = phone(has_managed_save=True)
    told = {location for code, location, _ in places.look(own).problems if code == "unsupported-artefact"}
    assert told == {str(log), str(shared), "devices/vault", "devices/hostdev", "disk vdz", "/srv/cd.iso"}
    known = phone(has_managed_save=True, console_logs=(str(log),), shared_directories=(str(shared),))
    assert str(log) not in {location for _, location, _ in places.look(known).problems}


def test_owners_by_whatever_another_states(places: Places) -> None:
    """A chain that only its definition states, with what lies beneath; relative paths, since libvirt runs in `/`; a part of a file."""
    base = places.raw("base.raw")
    middle, log = qcow2(places.images / "middle.qcow2", backing=str(base), backing_format="raw"), places.raw("log")
    own = phone(disk(middle, "qcow2"), disk(base, target="vdb"), console_logs=(str(log),))
    for facts in (
        {"stated_chain": (disk(middle, "qcow2"),)},
        {"disks": (disk(str(middle).lstrip("/"), "qcow2"),)},
        {"disks": (disk(middle, "raw", part=True), disk(base, "raw", part=True))},
        {"nvram": str(base).lstrip("/"), "former_nvram": (str(middle).lstrip("/"),)},
    ):
        inventory = places.look(own, replace(neighbour(), **facts))
        assert {found.owners for found in inventory.artefacts if found.layer.location in (str(base), str(middle))} == {(ME, OTHER)}, facts
    logged = places.look(own, neighbour(console_logs=(str(log).lstrip("/"),)))
    assert {found.owners for found in logged.artefacts if found.layer.location == str(log)} == {(ME, OTHER)}
    unclear = places.look(own, neighbour(disk(places.raw("container"), "qcow2", part=True)))
    assert ("unreadable", "container") in codes(unclear)
