"""What another domain names or mentions is never this phone's."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk
from tests.patience import PATIENCE
from tests.unit.erase.host import KEY, MINE, THEIRS, Host, both, encrypted, share
from tests.unit.erase.test_ownership import image, overlay
from wiped.erase import others
from wiped.errors import RefusedError
from wiped.storage import time_limit


@pytest.mark.parametrize("how", ["uuid", "without dashes", "usage", "pool", "qemu.conf", "volume"])
def test_a_secret_that_anybody_else_mentions_stays(host: Host, how: str) -> None:
    """A neighbour by UUID or usage, a pool that logs in with it, the host's own TLS key: not erased."""
    disk, usage = image(host.images / "d.luks"), ("volume", "phones") if how != "volume" else ("volume", str(host.images / "d.luks"))
    value = host.files.secret(KEY, usage=usage)
    host.files.define("mine", uuid=MINE, devices=encrypted(disk, f"<secret type='passphrase' uuid='{KEY}'/>"))
    assert host.codes(value) == []
    match how:
        case "uuid":
            host.files.define("theirs", uuid=THEIRS, devices=f"<disk type='network'><auth><secret type='ceph' uuid='{KEY}'/></auth></disk>")
        case "without dashes":
            host.files.define("theirs", uuid=THEIRS, devices=f"<disk type='network'><auth><secret type='ceph' uuid='{KEY.replace('-', '')}'/></auth></disk>")
        case "usage":
            host.files.define("theirs", uuid=THEIRS, devices="<disk type='network'><auth><secret type='ceph' usage='phones'/></auth></disk>")
        case "pool":
            host.files.pool("p", "/srv").write_text(
                f"<pool type='rbd'><name>p</name><source><auth><secret uuid='{KEY}'/></auth></source><target><path>/x</path></target></pool>"
            )
        case "qemu.conf":
            (host.files.base / "etc/libvirt/qemu.conf").write_text(f'vnc_tls_x509_secret_uuid = "{KEY}"\n')
        case "volume":
            host.files.define("theirs", [Disk(disk, "raw")], uuid=THEIRS)
    assert host.codes(value) == ["shared-by-domain"]


@pytest.mark.parametrize("theirs", ["same", "above", "beneath", "a disk in it", "through a link"])
def test_a_shared_directory_that_overlaps_a_neighbours_is_not_this_phones(host: Host, theirs: str) -> None:
    """In either direction, and if another domain has but one file in it: none of it is erased."""
    folder = host.images / "phones/share"
    (folder / "sub").mkdir(parents=True)
    (host.images / "link").symlink_to(folder)
    own = image(folder / "file")
    both(host, devices=share(folder))
    assert host.codes(own) == []
    devices = {
        "same": share(folder),
        "above": share(folder.parent),
        "beneath": share(folder / "sub"),
        "a disk in it": f"<disk type='file'><driver type='raw'/><source file='{folder}/sub/d.raw'/><target dev='vda'/></disk>",
        "through a link": share(host.images / "link"),
    }[theirs]
    host.files.define("theirs", uuid=THEIRS, devices=devices)
    assert host.codes(own) == ["shared-by-domain"]


@pytest.mark.parametrize("kind", ["ceph", "iscsi", "tls"])
def test_credentials_of_storage_elsewhere_are_the_hosts(host: Host, kind: str) -> None:
    """Named by this phone alone, today: what opens a cluster, a target or a connection is not the phone's own data."""
    value = host.files.secret(KEY, usage=(kind, "cluster"))
    host.files.define("mine", uuid=MINE, devices=f"<disk type='network'><auth><secret type='{kind}' uuid='{KEY}'/></auth></disk>")
    assert host.codes(value) != []


def test_a_saved_state_under_this_phones_name_tells_what_its_owner_reaches(host: Host) -> None:
    """A hot-plugged disk that only the other's saved state names."""
    disk = image(host.images / "d.raw")
    host.files.define("mine", [Disk(disk, "raw")], uuid=MINE)
    host.files.define("theirs", uuid=THEIRS)
    save = host.files.saved("mine", THEIRS, [Disk(disk, "raw")])
    assert "shared-by-domain" in host.codes(disk)
    assert "shared-by-domain" in host.codes(save)


def test_a_neighbours_image_whose_storage_hangs_refuses_everything_by_name(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what lies beneath it; and the eraser does not wait for ever."""
    gate = threading.Event()
    monkeypatch.setattr(time_limit, "LOOK_SECONDS", 0.05)
    real = others.names_reached
    mine, theirs = image(host.images / "mine.raw"), image(host.images / "theirs.qcow2")
    monkeypatch.setattr(others, "names_reached", lambda path, *words, **how: gate.wait(PATIENCE) if path == theirs else real(path, *words, **how))
    both(host, disks=[Disk(mine, "raw")])
    host.files.define("theirs", [Disk(theirs, "qcow2")], uuid=THEIRS)
    with pytest.raises(RefusedError, match="its storage hangs") as error:
        host.claims()
    assert error.value.codes == ("unreadable",)
    gate.set()


def newer(save: Path) -> Path:
    """Of a form that this program does not know."""
    data = bytearray(save.read_bytes())
    data[16] = 4
    save.write_bytes(data)
    return save


def test_a_neighbours_saved_state_that_is_not_understood_holds_back_what_it_names(host: Host) -> None:
    """A newer libvirt's form, or damage: by name, and through links; not what it does not name, and not once its head is gone, which is half wiped."""
    named, linked, free = (image(host.images / name) for name in ("named.raw", "linked.raw", "free.raw"))
    (host.images / "shortcut").symlink_to(linked)
    host.files.define("mine", [Disk(path, "raw") for path in (named, linked, free)], uuid=MINE)
    host.files.define("theirs", uuid=THEIRS)
    save = newer(host.files.saved("theirs", THEIRS, [Disk(named, "raw"), Disk(str(host.images / "shortcut"), "raw")]))
    assert set(host.codes(named)) >= {"unreadable"}
    assert set(host.codes(linked)) == {"shared-by-domain"}
    assert host.codes(free) == []
    save.write_bytes(bytes(8192))
    assert [host.codes(path) for path in (named, linked, free)] == [[], [], []]


def test_the_phones_own_damaged_saved_state_does_not_hold_it_back(host: Host) -> None:
    """It is erased by its name, and the disks that its head names are the phone's own. One of another name does."""
    disk = image(host.images / "d.raw")
    host.files.define("mine", [Disk(disk, "raw")], uuid=MINE)
    host.files.define("theirs", uuid=THEIRS)
    newer(host.files.saved("mine", MINE, [Disk(disk, "raw")]))
    assert host.codes(disk) == []
    newer(host.files.saved("gone", THEIRS, [Disk(disk, "raw")]))
    assert "unreadable" in host.codes(disk)


def test_a_saved_state_that_cannot_be_read_may_name_anything(host: Host) -> None:
    """A link in libvirt's directory is not followed, and not taken for nothing."""
    both(host, disks=[Disk(image(host.images / "d.raw"), "raw")])
    (Path(host.files.state) / "save").mkdir(exist_ok=True)
    (Path(host.files.state) / "save/theirs.save").symlink_to("/nowhere")
    with pytest.raises(RefusedError, match=r"theirs\.save") as error:
        host.claims()
    assert error.value.codes == ("unreadable",)


def test_a_neighbours_saved_state_without_an_end_may_name_anything(host: Host) -> None:
    """Its header states no length of an XML, or more than is looked through."""
    both(host, disks=[Disk(image(host.images / "d.raw"), "raw")])
    for length in (0, 65 << 10, 1 << 31):
        save = newer(host.files.saved("theirs", THEIRS))
        data = bytearray(save.read_bytes())
        data[20:24] = length.to_bytes(4, "little")
        save.write_bytes(data)
        with pytest.raises(RefusedError, match="may name any file") as error:
            host.claims()
        assert error.value.codes == ("unreadable",)


def test_a_neighbours_saved_state_claims_whatever_it_mentions(host: Host) -> None:
    """QEMU's own words in it too."""
    disk = image(host.images / "d.raw")
    host.files.define("mine", [Disk(disk, "raw")], uuid=MINE)
    host.files.define("theirs", uuid=THEIRS)
    save = host.files.saved("theirs", THEIRS)
    words = f"<x:commandline xmlns:x='urn:x'><x:arg value='file={disk}'/></x:commandline></domain>"
    data = bytearray(save.read_bytes().replace(b"</domain>", words.encode(), 1).ljust(16384, b"\0"))
    data[20:24] = (8192).to_bytes(4, "little")
    save.write_bytes(data)
    assert host.codes(disk) == ["shared-by-domain"]


def test_the_phones_own_saved_state_is_accounted_for(host: Host) -> None:
    """A device that only the phone as it ran had."""
    both(host)
    save = host.files.saved("mine", MINE)
    save.write_bytes(save.read_bytes().replace(b"<input type='mouse' bus='ps2'/>", b"<vault path='/a/b/c/d/e/fghij'/>"))
    assert "devices/vault" in host.claims().unaccounted


STATED = "<backingStore type='file'><format type='{}'/><source file='{}'/></backingStore>"


def test_a_chain_that_a_neighbour_states_is_its_own(host: Host) -> None:
    """Whatever its headers say: QEMU opens what is stated, and what lies beneath that."""
    base = image(host.images / "base.raw")
    middle = overlay(host.images / "middle.qcow2", base, "raw")
    top = image(host.images / "top.raw")
    host.files.define("mine", [Disk(middle, "qcow2"), Disk(base, "raw")], uuid=MINE)
    host.files.define("theirs", [Disk(top, "qcow2", extra=STATED.format("qcow2", middle))], uuid=THEIRS)
    assert [host.codes(path) for path in (middle, base)] == [["shared-by-domain"], ["shared-by-domain"]]


def test_what_a_neighbour_names_by_a_relative_path_is_its_own(host: Host) -> None:
    """libvirt and QEMU run in `/`; this program need not."""
    files = [image(host.images / name) for name in ("disk.raw", "console.log", "vars.fd")]
    host.files.define("mine", [Disk(path, "raw") for path in files], uuid=MINE)
    disk, log, nvram = (path.lstrip("/") for path in files)
    host.files.define("theirs", [Disk(disk, "raw")], uuid=THEIRS, log=log, nvram=nvram)
    assert [host.codes(path) for path in files] == [["shared-by-domain"]] * 3


def test_a_neighbours_disk_that_is_a_part_of_a_file(host: Host) -> None:
    """Raw, it is that file's; of a format that names others, nobody can follow it."""
    disk, other = image(host.images / "d.raw"), image(host.images / "container")
    both(host, disks=[Disk(disk, "raw")])
    part = "<disk type='file'><driver type='{}'/><source file='{}'><slices><slice type='storage' offset='512' size='512'/></slices></source></disk>"
    host.files.define("theirs", uuid=THEIRS, devices=part.format("raw", disk))
    assert host.codes(disk) == ["shared-by-domain"]
    host.files.define("theirs", uuid=THEIRS, devices=part.format("qcow2", other))
    with pytest.raises(RefusedError, match="a part of the file") as error:
        host.claims()
    assert error.value.codes == ("unreadable",)


def test_overlays_of_transient_disks(host: Host) -> None:
    """Beside a disk of this phone's: its own. Beside a neighbour's: the neighbour's."""
    own, theirs = image(host.images / "own.raw"), image(host.images / "theirs.raw")
    overlays = {name: image(host.images / name) for name in ("own.raw.TRANSIENT", "own.raw.TRANSIENT-mine", "own.raw.TRANSIENT-else")}
    other = image(host.images / "theirs.raw.TRANSIENT-theirs")
    host.files.define("mine", [Disk(own, "raw"), Disk(other, "raw")], uuid=MINE)
    host.files.define("theirs", [Disk(theirs, "raw")], uuid=THEIRS)
    assert [host.codes(path) for path in overlays.values()] == [[], [], ["ambiguous-base"]]
    assert host.codes(other) == ["shared-by-domain"]
