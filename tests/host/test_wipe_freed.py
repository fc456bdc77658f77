"""Blocks that left the phone's disk before its wipe, through the whole product: still on the raw device before, gone after, and said as it is."""

from __future__ import annotations

import pytest

from tests.host.test_wipe_filesystems import Device
from tests.lab import images
from tests.lab.stage import Product, phone_with_disk

BLOCKS = 4096
SPAN = 64 * images.MIB


@pytest.mark.parametrize(
    ("kind", "trim"), [("ext4", True), pytest.param("ext4", False, marks=pytest.mark.long), pytest.param("xfs", True, marks=pytest.mark.long), ("xfs", False)]
)
def test_what_the_guest_trimmed_is_gone_too_where_the_device_can_show_it(private_libvirt, raw_fs, kind, trim):
    """4,096 marked blocks, all of them discarded by the guest: with FITRIM none is left and the certificate says so; without it they stay, and it says so."""
    device = Device(private_libvirt, raw_fs, kind)
    phone = phone_with_disk(private_libvirt, device.phones, fmt="raw", markers=device.markers, blocks=BLOCKS, size=SPAN)
    assert device.before() == BLOCKS
    images.discard(phone.disks["vda"][0], 0, BLOCKS, "raw")
    images.write_markers(phone.disks["vda"][0], device.markers, 16, "raw", at_block=BLOCKS)
    assert device.before() >= BLOCKS // 2
    with Product(private_libvirt, [device.phones], [device.golden], storage="" if trim else "trim = false") as product:
        product.bind(phone.uuid)
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
        certificate = product.get(f"/v1/certificates/{wipe['certificate_id']}")
        assert certificate["payload"]
        freed = [code for code in wipe["residuals"] if code.startswith("freed-blocks")]
        told = [entry["body"]["method"] for entry in product.get("/v1/audit?last=200")["items"] if entry["kind"] == "trimmed"]
    if trim:
        assert (freed, told, device.after()) == (["freed-blocks-reallocated"], ["fitrim"], 0)
    else:
        assert (freed, told) == (["freed-blocks-untraced"], [])
        assert device.after() >= BLOCKS // 2
