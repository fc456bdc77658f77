"""What a domain's disk may reach, read as liberally as can be."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.unit.storage.headers import DATA_FILE, qcow2
from tests.unit.storage.test_image_chain import identity, overlay
from wiped.storage.image_chain import names_reached


def test_reaches_by_every_way(pool: Path) -> None:
    """Symbolic links, missing formats, data files, file: and json: names all lead to what must be protected."""
    for name in ("base", "data", "filed", "jsoned"):
        (pool / name).write_bytes(b"x")
    (pool / "link").symlink_to("base")
    named = json.dumps({"driver": "qcow2", "file": {"driver": "file", "filename": f"{pool}/jsoned"}})
    (pool / "d").write_bytes(qcow2(features=4, extensions=((DATA_FILE, b"data"),), backing=b"link"))
    overlay(pool / "c", f"json:{named}", "")
    overlay(pool / "b", f"file:{pool}/filed", "")
    for top, target in (("d", "data"), ("d", "base"), ("c", "jsoned"), ("b", "filed")):
        reached = names_reached(str(pool / top), "qcow2")
        assert identity(pool / target) in reached.identities
        assert str(pool / target) in reached.paths
        assert not reached.incomplete


def test_format_by_magic_protects_more(pool: Path) -> None:
    """With no format stated, a qcow2 magic is followed: QEMU might do so too."""
    (pool / "base").write_bytes(b"x")
    overlay(pool / "mid", "base", "")
    overlay(pool / "top", "mid", "")
    assert identity(pool / "base") in names_reached(str(pool / "top"), "").identities


def test_incomplete_answers(pool: Path) -> None:
    """What is there and cannot be followed is said to be incomplete; what is in doubt, not there, remote or already wiped is not."""
    (pool / "cut").write_bytes(qcow2()[:80])
    (pool / "cow").write_bytes(b"x")
    (pool / "wiped").write_bytes(os.urandom(65536))
    overlay(pool / "nbd", "nbd://host/export", "raw")
    overlay(pool / "odd", "blkdebug:conf:x", "raw")
    overlay(pool / "broken-json", "json:{", "raw")
    answers = {name: names_reached(str(pool / name), "cow" if name == "cow" else "qcow2").incomplete for name in
               ("cut", "cow", "wiped", "none", "nbd", "odd", "broken-json")}  # fmt: skip
    assert answers == {"cut": False, "cow": False, "wiped": False, "none": False, "nbd": False, "odd": True, "broken-json": True}
    assert names_reached("relative", "raw").incomplete


def test_spellings(pool: Path) -> None:
    """A path under a linked directory is reached by both of its names."""
    (pool / "disk").write_bytes(b"x")
    (pool.parent / "alias").symlink_to(pool)
    assert names_reached(f"{pool.parent}/alias/disk", "raw").paths >= {f"{pool.parent}/alias/disk", f"{pool}/disk"}
