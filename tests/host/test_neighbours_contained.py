"""One bad neighbour refuses only those phones whose files it could reach (K9): damaged images and lost volumes on a real host, raw devices searched."""

from __future__ import annotations

import os

import pytest

from tests.host.marked import directory, gone
from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.stage import Product, StagedPhone, phone_with_disk

BROKEN = b"QFI\xfb" + b"\xff" * 8192


@pytest.mark.long
def test_damaged_images_and_lost_volumes_hold_back_what_they_may_name(private_libvirt, raw_fs, markers):
    """Four stopped strangers: an image of 0xff, one whose damaged head names phone-1's disk by a link, a volume of no pool, one of the name of phone-2's disk.
    Phones 3 to 5 are wiped, raw device searched; 1 and 2 are refused with the name of whom they wait for, and keep every byte; then they are wiped too."""
    phones, filesystem = directory(private_libvirt, raw_fs)
    elsewhere, _ = directory(private_libvirt, raw_fs, name="elsewhere")
    staged = [phone_with_disk(private_libvirt, phones, name=f"phone-{n}", fmt="raw", markers=markers, blocks=16) for n in range(1, 6)]
    disks = [phone.disks["vda"][0] for phone in staged]
    (elsewhere / "shortcut").symlink_to(disks[0])
    heads = {"blank": BROKEN, "linking": BROKEN + b"\0../elsewhere/shortcut\0" + b"\xff" * 100}
    strangers = []
    for name, head in heads.items():
        path = elsewhere / f"{name}.qcow2"
        path.write_bytes(head)
        strangers.append(StagedPhone(private_libvirt, name, {"vda": (path, "qcow2")}).define())
    for name, volume in (("stale", "nobody.raw"), ("same-name", disks[1].name)):
        phone = StagedPhone(private_libvirt, name, {"vda": (elsewhere / "unused", "raw")})
        text = phone.xml.replace(f"<source file='{elsewhere}/unused'/>", f"<source pool='long-gone' volume='{volume}'/>").replace(
            "type='file'", "type='volume'"
        )
        assert "long-gone" in text, text
        definition = private_libvirt.workdir / f"{name}.xml"
        definition.write_text(text)
        private_libvirt.virsh("define", definition)
        strangers.append(phone)
    kept = [images.digest(disk) for disk in disks[:2]]
    with Product(private_libvirt, [phones, elsewhere]) as product:
        for phone in staged:
            product.bind(phone.uuid)
        for phone in staged[2:]:
            assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
        for phone in staged[:2]:
            wait_for(lambda phone=phone: product.explain(phone.uuid)["refusals"], "the refusal")
        first, second = (product.get(f"/v1/phones/{phone.uuid}/plan")["refusals"] for phone in staged[:2])
        assert [(item["code"], item["location"]) for item in second] == [("unreadable", str(disks[1]))]
        assert strangers[3].uuid in second[0]["detail"]
        assert {item["code"] for item in first} <= {"unreadable", "shared-by-domain"}
        assert first
        assert [images.digest(disk) for disk in disks[:2]] == kept
        for stranger in strangers:
            private_libvirt.virsh("undefine", stranger.uuid)
        product.stop()
        product.start()
        for phone in staged[:2]:
            assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    assert os.listdir(phones) == []
    assert gone(filesystem, markers) == 0
