"""A real guest is running when its time comes: asked to power off first, stopped hard when it does not; then wiped, on the raw device too."""

from __future__ import annotations

import os
import time
import uuid

import pytest

from tests.lab import images
from tests.lab.guest import Disk, Load, domain_xml, wait_ready
from tests.lab.rawdevice import Markers
from tests.lab.stage import Product


@pytest.mark.parametrize("ignores", [pytest.param(False, marks=pytest.mark.long), True], ids=["obeys-the-power-button", "ignores-the-power-button"])
def test_a_running_guest_is_stopped_and_wiped(private_libvirt, raw_fs, ignores):
    """The guest that obeys is off long before the limit (it powered itself off); the one that ignores is stopped at the limit, not before."""
    libvirt, markers, phone, limit = private_libvirt, Markers(), str(uuid.uuid4()), 8 if ignores else 90
    phones, golden = libvirt.workdir / "phones", libvirt.workdir / "golden"
    phones.mkdir()
    golden.mkdir()
    filesystem = raw_fs("ext4", at=phones)
    base = images.golden(golden / "base.qcow2")
    digest = images.digest(base)
    disk, log = images.overlay(phones / "disk.qcow2", base), phones / "console.log"
    load = Load(markers, files=200, ram=0, console=2, ignore_shutdown=ignores)
    libvirt.define(domain_xml("phone-1", phone, [Disk(disk)], load=load, serial_file=log))
    libvirt.virsh("start", phone)
    wait_ready(libvirt, log)
    os.sync()
    assert filesystem.count(markers.prefix) > 0
    with Product(libvirt, [phones], [golden], stop_timeout=f"{limit}s") as product:
        product.bind(phone)
        product.wait_for_wipe(phone, ("fenced",))
        began = time.monotonic()
        product.wait_for_wipe(phone, ("stopped", "locked", "reobserved", "erasing", "verifying", "removing", "judged", "released"))
        took = time.monotonic() - began
        assert (took > limit - 3) if ignores else (took < limit / 2)
        wipe = product.wait_for_wipe(phone)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0
    assert images.digest(base) == digest
