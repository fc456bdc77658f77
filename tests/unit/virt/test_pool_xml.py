"""libvirt's XML of a storage pool."""

from __future__ import annotations

from wiped.virt.pool_xml import parse_pool


def test_pool_resolves_plain_volumes_only() -> None:
    """A volume of a directory pool stands beneath its target; names that climb, and other pools, resolve to nothing."""
    pool = parse_pool("<pool type='dir'><name>default</name><target><path>/srv/pool/</path></target></pool>")
    assert (pool.name, pool.volume_path("a.qcow2")) == ("default", "/srv/pool/a.qcow2")
    assert [pool.volume_path(name) for name in ("..", "", "a/b")] == ["", "", ""]
    assert parse_pool("<pool type='rbd'><name>r</name></pool>").volume_path("a") == ""
