"""The whole product on every filesystem and format: markers on the raw device before, none after, or an honest `not-sanitized`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt
from tests.lab.rawdevice import Markers, RawFilesystem
from tests.lab.stage import Product, StagedPhone, phone_with_disk

BLOCKS = 512


class Device:
    """A raw filesystem at `phones` beneath the libvirt's workdir, and the golden directory beside it."""

    def __init__(self, libvirt: PrivateLibvirt, raw_fs, kind: str) -> None:
        self.phones = libvirt.workdir / "phones"
        self.phones.mkdir()
        self.filesystem: RawFilesystem = raw_fs(kind, at=self.phones)
        self.golden = libvirt.workdir / "golden"
        self.golden.mkdir()
        self.markers = Markers()

    def before(self) -> int:
        """Marked blocks on the raw device now (the filesystem is synced)."""
        import os  # noqa: PLC0415

        os.sync()
        return self.filesystem.count(self.markers.prefix)

    def after(self) -> int:
        """Marked blocks on the raw device once the filesystem is unmounted."""
        self.filesystem.unmount()
        return self.filesystem.count(self.markers.prefix)


def made(libvirt: PrivateLibvirt, device: Device, shape: str) -> StagedPhone:
    """A phone of the given shape with BLOCKS marked blocks or more."""
    if shape == "raw-sparse":
        return phone_with_disk(libvirt, device.phones, fmt="raw", markers=device.markers, blocks=BLOCKS)
    if shape == "raw-preallocated":
        return phone_with_disk(libvirt, device.phones, fmt="raw", markers=device.markers, blocks=BLOCKS, preallocate=True)
    if shape == "qcow2-internal-snapshot":
        phone = phone_with_disk(libvirt, device.phones, markers=device.markers, blocks=BLOCKS)
        libvirt.virsh("snapshot-create-as", phone.uuid, "inside")
        images.write_markers(phone.disks["vda"][0], device.markers, BLOCKS, at_block=BLOCKS)
        return phone
    base = images.golden(device.golden / "base.qcow2")
    phone = phone_with_disk(libvirt, device.phones, markers=device.markers, blocks=BLOCKS, base=base)
    tops = images.external_snapshots(libvirt, phone.uuid, device.phones, 2)
    for number, top in enumerate(tops, start=1):
        images.write_markers(top, device.markers, BLOCKS, at_block=number * BLOCKS)
    return phone


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("ext4", "raw-sparse"), ("xfs", "raw-preallocated"), ("ext4", "qcow2-internal-snapshot"), ("xfs", "qcow2-chain-of-three"),
        pytest.param("xfs", "raw-sparse", marks=pytest.mark.long), pytest.param("ext4", "raw-preallocated", marks=pytest.mark.long),
        pytest.param("xfs", "qcow2-internal-snapshot", marks=pytest.mark.long), pytest.param("ext4", "qcow2-chain-of-three", marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_every_marker_is_gone_from_the_raw_device(private_libvirt, raw_fs, kind, shape):
    """ext4 and XFS, raw and qcow2 with snapshots and chains: `clear`, nothing of the phone left, the golden image untouched."""
    device = Device(private_libvirt, raw_fs, kind)
    phone = made(private_libvirt, device, shape)
    golden = {path: images.digest(path) for path in device.golden.iterdir()}
    assert device.before() >= BLOCKS
    with Product(private_libvirt, [device.phones], [device.golden]) as product:
        product.bind(phone.uuid)
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"], wipe["reasons"]) == ("released", "clear", [])
        assert all(item["mismatches"] == 0 and item["bytes_verified"] > 0 for item in wipe["artefacts"])
        assert {item["verified_via"] for item in wipe["artefacts"]} <= {"block-odirect", "file-odirect"}
        assert len(wipe["artefacts"]) == (3 if shape == "qcow2-chain-of-three" else 1)
    assert list(device.phones.glob("*.*")) == []
    assert device.after() == 0
    assert {path: images.digest(path) for path in device.golden.iterdir()} == golden
    assert not phone.exists()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("btrfs", "cow-filesystem"), pytest.param("ext4-journal", "journaled-data", marks=pytest.mark.long), ("ext4-journal-default", "journaled-data")],
)
def test_what_cannot_be_proven_is_quarantined(private_libvirt, raw_fs, kind, reason):
    """btrfs and data=journal (by mount option and hidden as a default): not-sanitized with its reason, fenced, in place, told by metric and exit code."""
    device = Device(private_libvirt, raw_fs, kind)
    phone = phone_with_disk(private_libvirt, device.phones, fmt="raw", markers=device.markers, blocks=BLOCKS)
    disk = phone.disks["vda"][0]
    before = images.digest(disk)
    with Product(private_libvirt, [device.phones], grace="3s") as product:
        product.bind(phone.uuid)
        plan = product.ask("plan", phone.uuid)
        assert plan["expected_outcome"] == "not-sanitized"
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"], wipe["reasons"]) == ("quarantined", "not-sanitized", [reason])
        assert product.explain(phone.uuid)["state"] == "quarantined"
        samples = product.metrics()
        assert samples["wiped_quarantined_phones"] == 1
        assert samples['wiped_wipes_total{outcome="not-sanitized",trigger="expiry"}'] == 1
        assert product.ctl("wipes", "watch", wipe["id"], check=False).returncode == 4
        started = private_libvirt.virsh("start", phone.uuid, check=False)
        assert started.returncode != 0
        assert "fenced" in started.stderr
        assert [item["phone"]["uuid"] for item in product.ask("quarantine", "list")["items"]] == [phone.uuid]
        incident = product.ctl("certificates", "get", wipe["certificate_id"]).stdout
        assert '"payloadType"' in incident
    assert images.digest(disk) == before


def test_btrfs_nodatacow_is_clear_by_its_file(private_libvirt, raw_fs):
    """A nodatacow file on btrfs is overwritten in place: `clear`, and the certificate says via btrfs-nodatacow-file."""
    device = Device(private_libvirt, raw_fs, "btrfs-nodatacow")
    phone = phone_with_disk(private_libvirt, device.phones, fmt="raw", markers=device.markers, blocks=BLOCKS)
    assert device.before() >= BLOCKS
    with Product(private_libvirt, [device.phones]) as product:
        product.bind(phone.uuid)
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
        assert [item["verified_via"] for item in wipe["artefacts"]] == ["btrfs-nodatacow-file"]
    assert device.after() == 0


def test_memory_nvram_and_console_log_are_searched_too(private_libvirt, raw_fs):
    """Managed save, NVRAM and console log on raw devices of their own: markers before, none after."""
    libvirt = private_libvirt
    device = Device(libvirt, raw_fs, "ext4")
    extras = {}
    for name in ("nvram", "logs", "save"):
        at = libvirt.workdir / name
        at.mkdir()
        extras[name] = raw_fs("ext4", at=at)
    phone = phone_with_disk(libvirt, device.phones, fmt="raw", markers=device.markers, blocks=BLOCKS)
    libvirt.virsh("undefine", phone.uuid)
    phone.nvram, phone.console_log = libvirt.workdir / "nvram" / "vars.fd", libvirt.workdir / "logs" / "console.log"
    phone.nvram.write_bytes(Path("/usr/share/OVMF/OVMF_VARS.fd").read_bytes() + b"".join(device.markers.block(n) for n in range(64)))
    phone.define()
    phone.console_log.write_bytes(b"".join(device.markers.block(n) for n in range(32)))
    with Product(libvirt, [device.phones, libvirt.workdir / "nvram", libvirt.workdir / "logs"]) as product:
        product.bind(phone.uuid)
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
        assert {item["kind"] for item in wipe["artefacts"]} == {"disk-image", "nvram", "console-log"}
    assert device.after() == 0
    for name in ("nvram", "logs"):
        extras[name].unmount()
        assert extras[name].count(device.markers.prefix) == 0
