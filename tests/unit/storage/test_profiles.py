"""Profiles: what a phone's directory may hold, shipped and an operator's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wiped.errors import RefusedError
from wiped.model.inventory import ArtefactKind
from wiped.storage.profiles import PACKAGED, classify_directory, load_profile, profile_fault

PHONE = "0f3ab1c2-1d2e-4f50-8a6b-7c8d9e0f1a2b"
OWN = 'file = [\n  { glob = "keep/**", kind = "extra", keep = true },\n  { glob = "**/*.img", kind = "disk-image" },\n]\n'


def fill(directory: Path, *names: str) -> Path:
    """Files in a directory without links above it."""
    directory = directory.resolve()
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(b"x")
    return directory


def kinds(directory: Path, profile: str) -> dict[str, str]:
    """Relative path -> kind, `unknown`, or `kept`."""
    seen = classify_directory(str(directory), PHONE, profile)
    assert seen.problems == ()
    told = {path: str(kind) for path, kind in seen.files} | dict.fromkeys(seen.unknown, "unknown") | {path: "kept" for path, _ in seen.kept}
    return {os.path.relpath(path, directory): kind for path, kind in told.items()}


CUTTLEFISH = {
    "userdata.img": "disk-image", "overlay.img": "snapshot-overlay", "ap_overlay.img": "snapshot-overlay", "sdcard.img": "disk-image",
    "persistent_composite.img": "disk-image", "NVChip": "tpm-state", "access-kregistry": "nvram", "hwcomposer-pmem": "nvram", "pstore": "extra",
    "modem_nvram.json": "nvram", "weaver_storage.json": "key", "gatekeeper_secure": "key", "uboot_env.img": "disk-image", "qemu.mem": "memory-image",
    "recording/screen.webm": "extra", "tombstones/tombstone_00": "extra", "logs/logcat": "console-log", "logs/kernel.log": "console-log",
    "internal/bootconfig": "disk-image", "cuttlefish_config.json": "extra", "somebody_elses.qcow2": "unknown", "wallet.dat": "unknown",
}  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "cuttlefish/instances/cvd-1/"])
def test_cuttlefish(tmp_path: Path, prefix: str) -> None:
    """The files of a device by their kinds, in the instance's directory and in the home above; what it does not make is unknown."""
    directory = fill(tmp_path, *(prefix + name for name in CUTTLEFISH))
    assert kinds(directory, "cuttlefish") == {prefix + name: kind for name, kind in CUTTLEFISH.items()}


def test_cuttlefish_keeps_the_builds_system_images(tmp_path: Path) -> None:
    """In the home itself they are the build's; the same name in an instance's directory is the device's own copy."""
    directory = fill(tmp_path, "super.img", "bin/cvd", "cuttlefish/instances/cvd-1/super.img")
    assert kinds(directory, "cuttlefish") == {"super.img": "kept", "bin/cvd": "kept", "cuttlefish/instances/cvd-1/super.img": "disk-image"}


def test_libvirt(tmp_path: Path) -> None:
    """Disks, overlays, seeds, firmware variables, saved memory and logs; a document is unknown."""
    expected = {
        "disk.qcow2": "disk-image", "data.raw": "disk-image", "disk.snap1": "snapshot-overlay", "seed.iso": "install-media", "OVMF_VARS.fd": "nvram",
        "ram.save": "memory-image", "crash.core": "core-dump", "console.log": "console-log", "console.log.0": "console-log", "user-data": "extra",
        "sub/disk.vmdk": "disk-image", "notes.docx": "unknown", "id_rsa": "unknown",
    }  # fmt: skip
    assert kinds(fill(tmp_path, *expected), "libvirt") == expected


def test_sockets_pipes_and_links(tmp_path: Path) -> None:
    """Where the profile lists them they hold nothing and are left alone; elsewhere they are problems; a link called like a disk always is one."""
    directory = fill(tmp_path, "internal/x")
    os.mkfifo(directory / "internal/kernel-log-pipe")
    (directory / "boot.img").symlink_to("/usr/share/boot.img")
    assert classify_directory(str(directory), PHONE, "cuttlefish").problems == ()
    os.mkfifo(directory / "strange")
    (directory / "userdata.img").symlink_to("/srv/elsewhere")
    problems = classify_directory(str(directory), PHONE, "cuttlefish").problems
    assert {os.path.basename(path): code for code, path, _ in problems} == {"strange": "not-regular", "userdata.img": "symlink"}
    assert [code for code, _, _ in classify_directory(str(directory / "userdata.img"), PHONE, "cuttlefish").problems] == ["symlink"]


def test_one_of_the_operators_own(tmp_path: Path) -> None:
    """The first entry that matches counts; what nobody lists is unknown."""
    own = tmp_path / "own.toml"
    own.write_text(OWN)
    directory = fill(tmp_path / "d", "keep/a.img", "b.img", "c/d.img", "e")
    assert kinds(directory, str(own)) == {"keep/a.img": "kept", "b.img": "disk-image", "c/d.img": "disk-image", "e": "unknown"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "lists no"),
        ("file = []", "lists no"),
        ("files = []", "'files' is no key"),
        ('file = [{ glob = "x" }]', "no artefact kind"),
        ('file = [{ glob = "x", kind = "disk" }]', "no artefact kind"),
        ('file = [{ glob = "/x", kind = "key" }]', "relative path"),
        ('file = [{ glob = "../x", kind = "key" }]', "relative path"),
        ('file = [{ glob = "a**", kind = "key" }]', "between slashes"),
        ('file = [{ glob = "{name}", kind = "key" }]', "braces"),
        ('file = [{ glob = "x", kind = "key", keep = 1 }]', "true or false"),
        ('file = [{ glob = "x", kind = "key", erase = true }]', "glob and kind"),
        ("file = [", "TOML"),
    ],
)
def test_a_faulty_profile_is_refused(tmp_path: Path, text: str, part: str) -> None:
    """With its place: a profile that is half understood would leave files behind, or take too many."""
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(RefusedError) as caught:
        load_profile(str(own))
    assert caught.value.codes == ("unreadable",)
    assert part in str(caught.value) or part == "TOML"


def test_a_profile_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """As is one behind a link, a missing one, and a name that is not packaged."""
    own = tmp_path / "own.toml"
    own.write_text(OWN)
    (tmp_path / "link").symlink_to(own)
    own.chmod(0o666)
    for name in (str(own), str(tmp_path / "link"), str(tmp_path / "none"), "android"):
        with pytest.raises(RefusedError):
            load_profile(name)


def test_names() -> None:
    """Packaged ones load and have entries of sound kinds; in the configuration a path must be absolute."""
    for name in PACKAGED:
        assert profile_fault(name) == ""
        assert {entry.kind for entry in load_profile(name).entries} <= set(ArtefactKind)
    assert profile_fault("/etc/wiped/own.toml") == ""
    assert "neither" in profile_fault("own.toml")
    assert "neither" in profile_fault("/etc/../own.toml")
