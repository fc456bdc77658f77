"""Beneath which directory a file may be opened."""

from __future__ import annotations

from tests.lab.libvirtfiles import Disk
from tests.unit.erase.host import MINE, THEIRS, Host, both


def test_bounds_are_as_narrow_as_the_way_in_which_a_file_is_ours(host: Host) -> None:
    """A root first; else the directory of that kind; what an XML names by path else only libvirt's state and logs; a root itself is beneath nothing."""
    logs, state, swtpm = str(host.files.logs), str(host.files.state), str(host.files.swtpm)
    both(host, disks=[Disk(str(host.images / "d"), "raw"), Disk("/elsewhere/d", "raw")], nvram=f"{state}/nvram/x", log=f"{logs}/x.log")
    claims = host.claims()
    where = {
        f"{host.images}/d": str(host.images),
        "/elsewhere/d": None,
        f"{state}/nvram/x": state,
        f"{logs}/x.log": logs,
        f"{logs}/mine.log": logs,
        f"{swtpm}/{MINE}/a": swtpm,
        f"{swtpm}/{THEIRS}/a": None,
        f"{state}/dump/mine.core": f"{state}/dump",
        str(host.images): None,
    }
    found = {path: claims.bound(path) for path in where}
    assert {path: bound and bound.directory for path, bound in found.items()} == where
