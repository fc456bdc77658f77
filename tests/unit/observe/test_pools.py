"""libvirt's storage pools: which directories are golden, where a volume stands."""

from __future__ import annotations

from tests.unit.observe.places import ME, OTHER, Places, disk, neighbour, phone, qcow2
from tests.unit.observe.test_places_disks import codes
from wiped.model.inventory import DiskSource


def test_golden_pools(places: Places) -> None:
    """The directory of a golden pool is protected; a golden pool that libvirt's files do not know, or that cannot be read, refuses."""
    pool = "<pool type='dir'><name>{}</name><target><path>{}</path></target></pool>"
    places.raw("etc/storage/templates.xml", pool.format("templates", places.images).encode())
    base = qcow2(places.images / "base.qcow2")
    top = qcow2(places.base / "elsewhere/top.qcow2", backing=str(base))
    inventory = places.look(phone(disk(top, "qcow2")), golden_pools=("templates",))
    assert inventory.artefacts[1].layer.under_protected == str(places.images)
    assert inventory.problems == ()
    assert codes(places.look(phone(disk(top, "qcow2")), golden_pools=("unknown",))) == [("unreadable", "pool unknown")]
    places.raw("etc/storage/templates.xml", b"<pool")
    ((code, where, detail),) = places.look(phone(disk(top, "qcow2")), golden_pools=("templates",)).problems
    assert (code, where) == ("unreadable", "pool templates")
    assert "templates.xml" in detail


def test_a_running_pool_and_its_definition_that_differ(places: Places) -> None:
    """Both directories are golden."""
    pool = "<pool type='dir'><name>templates</name><target><path>{}</path></target></pool>"
    places.raw("etc/storage/templates.xml", pool.format(places.images).encode())
    places.raw("run/storage/templates.xml", f"<poolstate>{pool.format(places.base / 'elsewhere')}</poolstate>".encode())
    for path in (places.raw("a.raw"), places.raw("elsewhere/b.raw")):
        assert places.look(phone(disk(path)), golden_pools=("templates",)).artefacts[0].layer.under_protected


def test_volumes_are_found_through_their_pools(places: Places) -> None:
    """A volume whose pool is not active is found by libvirt's files, the phone's and the neighbour's; one that cannot be found refuses, and names whom."""
    places.raw("etc/storage/p.xml", f"<pool type='dir'><name>p</name><target><path>{places.images}</path></target></pool>".encode())
    path = places.raw("a.raw")
    volume = DiskSource("vda", "volume", "", "raw", pool="p", volume="a.raw")
    assert places.look(phone(volume)).artefacts[0].layer.location == str(path)
    assert places.look(phone(disk(path)), neighbour(volume)).artefacts[0].owners == (ME, OTHER)
    lost = DiskSource("vda", "volume", "", "raw", pool="q", volume="a.raw")
    ((code, where, detail),) = places.look(phone(disk(path)), neighbour(lost)).problems
    assert (code, where, OTHER in detail) == ("unreadable", str(path), True)
    assert places.look(phone(disk(places.raw("b.raw"))), neighbour(lost)).problems == ()
    remote = "<pool type='rbd'><name>q</name><source><name>rbd</name></source></pool>"
    places.raw("etc/storage/q.xml", remote.encode())
    assert places.look(phone(disk(path)), neighbour(lost)).problems == ()
    assert codes(places.look(phone(lost))) == [("opaque-storage", "disk vda")]
