"""What another domain names or mentions is never this phone's."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk
from tests.patience import PATIENCE
from tests.unit.erase.host import KEY, MINE, THEIRS, Host, both, encrypted, share
from tests.unit.erase.test_ownership import image
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
