"""What counts as proof, what a pass writes, and putting a wrong file back: without any process."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from wiped.erase.bounds import Bound
from wiped.erase.remove import _put_back, evidence_faults, remove_folders
from wiped.errors import RefusedError
from wiped.model.outcome import Evidence
from wiped.storage.paths import SafeFile, open_image

DIGEST = "d" * 64


GOOD = Evidence("a", "block-odirect", 4096, 0, DIGEST)


def faults(evidence: Evidence, *, digest: str = DIGEST, mapped: int = 4096, sampling: bool = False) -> int:
    return len(evidence_faults(evidence, "a", digest, mapped, sampling=sampling))


def test_flawless_evidence_has_no_fault() -> None:
    """The very artefact, everything read, nothing different."""
    assert faults(GOOD) == 0


@pytest.mark.parametrize(
    "flaw",
    [
        {"artefact_id": "b"},
        {"reasons": ("io-error",)},
        {"via": "trust-me"},
        {"mismatches": 1},
        {"mismatches": -1},
        {"map_digest": ""},
        {"bytes_verified": 4095},
    ],
    ids=lambda flaw: next(iter(flaw)),
)
def test_each_flaw_is_a_fault(flaw: dict[str, object]) -> None:
    """Every single flaw is enough."""
    assert faults(dataclasses.replace(GOOD, **flaw)) == 1  # type: ignore[arg-type]


def test_nothing_is_proven_about_unknown_ranges() -> None:
    """An artefact without a recorded map cannot be proven, even by evidence without one."""
    assert faults(dataclasses.replace(GOOD, map_digest=""), digest="") == 1


def test_a_sample_counts_only_where_it_was_configured_and_is_not_empty() -> None:
    """Sampled evidence: allowed by root's configuration, and at least something read where there is something."""
    sample = dataclasses.replace(GOOD, sampled=True, bytes_verified=512)
    assert [faults(sample), faults(sample, sampling=True)] == [1, 0]
    assert faults(dataclasses.replace(sample, bytes_verified=0), sampling=True) == 1
    assert faults(dataclasses.replace(sample, bytes_verified=0), sampling=True, mapped=0) == 0


@pytest.mark.parametrize("taken", [False, True])
def test_a_file_renamed_by_mistake_is_put_back(tmp_path: Path, taken: bool) -> None:
    """Lost the race for a name: the other file gets its own name again, unless that was taken once more; it is never lost."""
    (tmp_path / "ours").write_bytes(b"ours")
    with open_image(str(tmp_path), str(tmp_path / "ours"), write=False, expected=None) as file:
        assert isinstance(file, SafeFile)
        os.rename(tmp_path / "ours", tmp_path / "aside")
        (tmp_path / "random").write_bytes(b"theirs")
        if taken:
            (tmp_path / "ours").write_bytes(b"third")
        with pytest.raises(RefusedError) as caught:
            _put_back(file, "random")
    assert caught.value.codes == ("identity-changed",)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == ({"aside": b"ours", "random": b"theirs", "ours": b"third"} if taken else {"aside": b"ours", "ours": b"theirs"})


@pytest.mark.parametrize(
    ("location", "gone"),
    [
        ("a/UUID/tpm2/state", ["a/UUID/tpm2", "a/UUID"]),
        ("a/UUID/state", ["a/UUID"]),
        ("a/UUID/full/state", []),
        ("a/other/tpm2/state", []),
        ("a/UUID/link/state", []),
        ("UUID/state", ["UUID"]),
    ],
)
def test_empty_directories_of_the_phones_name_go(tmp_path: Path, location: str, gone: list[str]) -> None:
    """Those that bear the UUID and what is empty beneath; never one with something in it, one of another name, one above it, or one behind a link."""
    uuid = "00000000-0000-4000-8000-000000000001"
    root = tmp_path.resolve() / "root"
    for path in ("a/UUID/tpm2", "a/UUID/full/else", "a/other/tpm2", "UUID"):
        (root / path.replace("UUID", uuid)).mkdir(parents=True)
    outside = tmp_path / "outside/empty"
    outside.mkdir(parents=True)
    (root / "a" / uuid / "link").symlink_to(outside)
    if "tpm2" in location or location == "a/UUID/state":
        (root / "a" / uuid / "link").unlink()
        (root / "a" / uuid / "full/else").rmdir()
        (root / "a" / uuid / "full").rmdir()
    if location == "a/UUID/state":
        (root / "a" / uuid / "tpm2").rmdir()
    before = {path for path in root.rglob("*") if path.is_dir()}
    remove_folders(str(root / location.replace("UUID", uuid)), uuid, Bound(str(root)))
    after = {path for path in root.rglob("*") if path.is_dir()}
    assert before - after == {root / path.replace("UUID", uuid) for path in gone}
    assert outside.is_dir()
    remove_folders("/nowhere/x", uuid, Bound(str(root)))
    assert root.is_dir()
