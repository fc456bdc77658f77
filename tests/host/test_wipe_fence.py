"""The fence and the locks, through the whole product: what must not start does not, what must not be written is not (I2, I6)."""

from __future__ import annotations

import os
import subprocess
import uuid

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import Product, phone_with_disk, settle


def staged(libvirt, raw_fs, kind="ext4", **options):
    """A phone on a raw filesystem of `kind`, and the directory that is the root."""
    phones = libvirt.workdir / "phones"
    phones.mkdir()
    raw_fs(kind, at=phones)
    return phone_with_disk(libvirt, phones, markers=Markers(), blocks=2048, **options), phones


def test_a_phone_cannot_start_while_it_is_wiped(private_libvirt, raw_fs):
    """In the middle of the overwriting `virsh start` fails, under its own and another UUID; another phone starts."""
    phone, phones = staged(private_libvirt, raw_fs)
    other = phone_with_disk(private_libvirt, phones, name="other")
    with Product(private_libvirt, [phones], storage='rate_limit = "2MiB"') as product:
        product.bind(phone.uuid)
        product.wait_for_wipe(phone.uuid, ("erasing",))
        assert "fenced" in private_libvirt.virsh("start", phone.uuid, check=False).stderr
        assert private_libvirt.create(phone.xml_as(str(uuid.uuid4()), "impostor"), check=False).returncode != 0
        assert private_libvirt.virsh("start", other.uuid).returncode == 0
        assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    assert other.state == "running"


def test_a_fence_outlives_daemon_and_libvirtd(private_libvirt, raw_fs):
    """A quarantined phone stays fenced after both were restarted, and with the daemon dead; another phone starts."""
    phone, phones = staged(private_libvirt, raw_fs, "btrfs", fmt="raw")
    other = phone_with_disk(private_libvirt, phones, name="other")
    digest = images.digest(phone.disks["vda"][0])
    product = Product(private_libvirt, [phones])
    with product:
        product.bind(phone.uuid)
        assert product.wait_for_wipe(phone.uuid)["state"] == "quarantined"
        product.kill()
        private_libvirt.restart()
        assert "fenced" in private_libvirt.virsh("start", phone.uuid, check=False).stderr
        product.start()
        impostor = private_libvirt.create(phone.xml_as(str(uuid.uuid4()), "impostor"), check=False)
        assert "fenced" in impostor.stderr
        assert private_libvirt.virsh("start", other.uuid).returncode == 0
        assert product.explain(phone.uuid)["state"] == "quarantined"
    assert images.digest(phone.disks["vda"][0]) == digest


def hold_by_unlocked_node(disk):
    """A QEMU block node with `locking=off`, as some backup tools open images."""
    node = f"driver=qcow2,file.driver=file,file.filename={disk},file.locking=off"
    process = subprocess.Popen(["qemu-io", "--image-opts", node], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_for(lambda: any(os.path.realpath(f"/proc/{process.pid}/fd/{n}") == str(disk) for n in os.listdir(f"/proc/{process.pid}/fd")), "qemu-io to open it")

    def let_go() -> None:
        process.communicate(b"quit\n")

    return let_go


@pytest.mark.long
def test_an_image_in_use_is_never_half_wiped(private_libvirt, raw_fs):
    """Held by a node without locks: refused as `in-use` with every byte in place; wiped once it is let go. (Loop devices, readers: the eraser's tests.)"""
    phone, phones = staged(private_libvirt, raw_fs)
    disk = phone.disks["vda"][0]
    digest = images.digest(disk)
    with Product(private_libvirt, [phones]) as product:
        let_go = hold_by_unlocked_node(disk)
        try:
            product.bind(phone.uuid)
            wipe = product.wait_for_wipe(phone.uuid, ("stopped",))
            settle(3)
            assert images.digest(disk) == digest
            assert product.wipes(phone.uuid)[0]["state"] in ("stopped", "fenced", "intent")
            assert all(item["bytes_overwritten"] == 0 for item in wipe["artefacts"])
            wait_for(lambda: "in-use" in [reason["code"] for reason in product.explain(phone.uuid)["reasons"]], "the refusal to be told")
            assert images.digest(disk) == digest
        finally:
            let_go()
    product.start()
    try:
        assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    finally:
        product.stop()
