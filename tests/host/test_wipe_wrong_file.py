"""Files that are not the phone's, or not any more, are never wiped in its place, through the whole product."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.host.marked import directory
from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import Product, StagedPhone, phone_with_disk


def refused(product, phone, code):
    """Wait until the phone's plan is refused with this code, and see that no byte was changed."""
    wait_for(lambda: code in [reason["code"] for reason in product.explain(phone.uuid)["reasons"]], f"{code} to be told")
    assert all(item["bytes_overwritten"] == 0 for wipe in product.wipes(phone.uuid) for item in wipe["artefacts"])


def test_former_names(private_libvirt, raw_fs, markers):
    """B's RAM stands under the name that is A's now: refused, B's RAM and disk are as they were."""
    phones, _ = directory(private_libvirt, raw_fs)
    a = phone_with_disk(private_libvirt, phones, name="a", markers=markers, blocks=8)
    b = phone_with_disk(private_libvirt, phones, name="b", markers=markers, blocks=8)
    private_libvirt.virsh("start", b.uuid)
    private_libvirt.virsh("managedsave", b.uuid)
    save = private_libvirt.path("/var/lib/libvirt/qemu/save")
    os.rename(save / "b.save", save / "a.save")
    private_libvirt.virsh("domrename", b.uuid, "c", check=False)
    before = images.digest(save / "a.save"), images.digest(b.disks["vda"][0])
    with Product(private_libvirt, [phones]) as product:
        product.bind(a.uuid)
        refused(product, a, "identity-changed")
    assert before == (images.digest(save / "a.save"), images.digest(b.disks["vda"][0]))


@pytest.mark.long
def test_own_save_under_another_name(private_libvirt, raw_fs, markers):
    """RAM of the phone under a name that it has no longer is refused, never left behind by a `clear`; under its name again it is wiped with the rest."""
    phones, _ = directory(private_libvirt, raw_fs)
    a = phone_with_disk(private_libvirt, phones, name="a", markers=markers, blocks=8)
    private_libvirt.virsh("start", a.uuid)
    private_libvirt.virsh("managedsave", a.uuid)
    save = private_libvirt.path("/var/lib/libvirt/qemu/save")
    os.rename(save / "a.save", save / "former.save")
    private_libvirt.restart()
    with Product(private_libvirt, [phones]) as product:
        product.bind(a.uuid)
        refused(product, a, "unsupported-artefact")
        os.rename(save / "former.save", save / "a.save")
        product.stop()
        product.start()
        wipe = product.wait_for_wipe(a.uuid)
        assert (wipe["outcome"], {item["kind"] for item in wipe["artefacts"]}) == ("clear", {"disk-image", "memory-image", "console-log"})
    assert os.listdir(save) == []


@pytest.mark.long
def test_names(private_libvirt, raw_fs, markers):
    """Phones called `*` and `b [a-z]?` with RAM on disk: wiped, and the neighbour's RAM stays."""
    phones, _ = directory(private_libvirt, raw_fs)
    a = phone_with_disk(private_libvirt, phones, name="*", markers=markers, blocks=8)
    b = phone_with_disk(private_libvirt, phones, name="b [a-z]?", markers=markers, blocks=8)
    n = phone_with_disk(private_libvirt, phones, name="neighbour", markers=Markers(), blocks=8)
    for p in (a, b, n):
        private_libvirt.virsh("start", p.uuid)
        private_libvirt.virsh("managedsave", p.uuid)
    save = private_libvirt.path("/var/lib/libvirt/qemu/save")
    before = images.digest(save / "neighbour.save")
    with Product(private_libvirt, [phones]) as product:
        product.bind(a.uuid)
        product.bind(b.uuid)
        assert product.wait_for_wipe(a.uuid)["outcome"] == "clear"
        assert product.wait_for_wipe(b.uuid)["outcome"] == "clear"
    assert before == images.digest(save / "neighbour.save")
    assert os.listdir(save) == ["neighbour.save"]


def test_redefined_between_plan_and_erase(private_libvirt, raw_fs, markers):
    """Given a new disk under the same UUID in the middle of the erasing: not called clear, not undefined, the new disk untouched."""
    phones, _ = directory(private_libvirt, raw_fs)
    a = phone_with_disk(private_libvirt, phones, name="a", markers=markers, blocks=2048)
    spare = images.create(phones / "next-customer.qcow2")
    images.write_markers(spare, markers, 64)
    before = images.digest(spare)
    old = a.disks["vda"]
    with Product(private_libvirt, [phones], storage='rate_limit = "4MiB"') as product:
        product.bind(a.uuid)
        product.wait_for_wipe(a.uuid, ("erasing",))
        a.disks = {"vda": (spare, "qcow2")}
        a.define()
        assert product.wait_for_wipe(a.uuid)["outcome"] == "not-sanitized"
        assert a.exists()
        assert old[0].exists()
    assert images.digest(spare) == before


def test_the_neighbours_internal_and_external_snapshots(private_libvirt, raw_fs, markers):
    """Only a neighbour's snapshot still leads, through an overlay, to this phone's disk: refused, untouched."""
    phones, _ = directory(private_libvirt, raw_fs)
    a = phone_with_disk(private_libvirt, phones, name="a", markers=markers, blocks=8)
    over = images.overlay(phones / "over.qcow2", a.disks["vda"][0])
    n = StagedPhone(private_libvirt, "n", {"vda": (over, "qcow2")}).define()
    private_libvirt.virsh("snapshot-create-as", n.uuid, "in")
    fresh = images.create(phones / "fresh.qcow2")
    n.disks = {"vda": (fresh, "qcow2")}
    n.define()
    before = images.digest(a.disks["vda"][0])
    with Product(private_libvirt, [phones]) as product:
        product.bind(a.uuid)
        refused(product, a, "shared-by-domain")
    assert images.digest(a.disks["vda"][0]) == before


def test_a_protected_image_behind_links_and_mounts(private_libvirt, raw_fs, markers):
    """A golden image as a phone's own disk through a bind mount beneath the root, and another one through a symbolic link: refused, untouched."""
    phones, _ = directory(private_libvirt, raw_fs)
    golden, _ = directory(private_libvirt, raw_fs, name="golden")
    for name in ("x.raw", "y.raw"):
        markers.write(golden / name, 8)
    (phones / "alias").symlink_to(golden)
    bound = phones / "bound"
    bound.mkdir()
    subprocess.run(["mount", "--bind", str(golden), str(bound)], check=True)
    a = StagedPhone(private_libvirt, "a", {"vda": (bound / "x.raw", "raw")}).define()
    b = StagedPhone(private_libvirt, "b", {"vda": (phones / "alias" / "y.raw", "raw")}).define()
    before = [images.digest(golden / name) for name in ("x.raw", "y.raw")]
    try:
        with Product(private_libvirt, [phones], [golden]) as product:
            product.bind(a.uuid)
            product.bind(b.uuid)
            refused(product, a, "protected-root")
            refused(product, b, "symlink")
    finally:
        subprocess.run(["umount", str(bound)], check=True)
    assert [images.digest(golden / name) for name in ("x.raw", "y.raw")] == before
