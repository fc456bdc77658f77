"""A phone that somebody undefines while its bytes go, on real libvirt: finished by its own record, searched on the raw device (K15, I8)."""

from __future__ import annotations

import json

import pytest

from tests.host.marked import directory, gone
from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.stage import Product, StagedPhone, phone_with_disk

STEPS = ("erasing", "overwritten", "erased", "read-back", "removing", "unlinked", "verdict")


@pytest.mark.long
def test_undefined_at_any_moment_after_the_last_word(private_libvirt, raw_fs, markers):
    """Seven phones, each undefined at another step: all released as `clear`, no byte and no name left; the neighbour keeps every byte."""
    phones, filesystem = directory(private_libvirt, raw_fs)
    staged = {step: phone_with_disk(private_libvirt, phones, name=f"phone-{step}", fmt="raw", markers=markers, blocks=64) for step in STEPS}
    other = phone_with_disk(private_libvirt, phones, name="neighbour", fmt="raw")
    kept = images.digest(other.disks["vda"][0])
    plot = [{"name": phone.name, "step": step, "command": f"virsh -q -c qemu:///system undefine {phone.uuid}"} for step, phone in staged.items()]
    script = private_libvirt.workdir / "undefine.json"
    script.write_text(json.dumps(plot))
    product = Product(private_libvirt, [phones])
    product.start("tests.lab.attacking_daemon", str(script))
    try:
        for phone in staged.values():
            product.bind(phone.uuid)
        ended = {step: product.wait_for_wipe(phone.uuid) for step, phone in staged.items()}
    finally:
        product.stop()
    assert {step: (wipe["state"], wipe["outcome"], wipe["reasons"]) for step, wipe in ended.items()} == dict.fromkeys(STEPS, ("released", "clear", []))
    assert product.log.read_text().count("-> 0") == len(STEPS)
    assert [phone.name for phone in staged.values() if phone.uuid in private_libvirt.virsh("list", "--all", "--uuid").stdout] == []
    assert images.digest(other.disks["vda"][0]) == kept
    assert [path.name for path in phones.iterdir()] == ["neighbour.raw"]
    assert gone(filesystem, markers) == 0


@pytest.mark.parametrize("heir", [True, pytest.param(False, marks=pytest.mark.long)])
def test_undefined_and_somebody_else_took_the_file(private_libvirt, raw_fs, markers, heir):
    """Undefined before its first byte went and given to another domain (or remembered as another phone's): nobody's byte goes, and the record says why."""
    phones, _ = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, name="phone-1", fmt="raw", markers=markers, blocks=64)
    disk = phone.disks["vda"][0]
    before = images.digest(disk)
    taker = StagedPhone(private_libvirt, "heir", {"vda": (disk, "raw")})
    definition = private_libvirt.workdir / "heir.xml"
    definition.write_text(taker.xml)
    virsh = "virsh -q -c qemu:///system"
    command = f"{virsh} undefine {phone.uuid} && {virsh} define {definition}"
    product = Product(private_libvirt, [phones])
    if not heir:  # the record of another phone names the same file
        record = {"uuid": "00000000-0000-4000-8000-0000000000aa", "generation": 1, "at": "2026-01-01T00:00:00Z", "files": []}
        record["files"] = [{"kind": "disk-image", "path": str(disk), "device": disk.stat().st_dev, "inode": disk.stat().st_ino, "local": True}]
        other = private_libvirt.workdir / "other.json"
        other.write_text(json.dumps(record))
        command = f"{virsh} undefine {phone.uuid} && install -m 600 {other} {product.state_dir}/remembered/{record['uuid']}.json"
    script = private_libvirt.workdir / "undefine.json"
    script.write_text(json.dumps([{"name": phone.name, "step": "erasing", "command": command}]))
    product.start("tests.lab.attacking_daemon", str(script))
    try:
        product.bind(phone.uuid)
        wait_for(lambda: product.wipes(phone.uuid) and product.wipes(phone.uuid)[0]["state"] == "quarantined", "the wipe to be judged", 60)
        (wipe,) = product.wipes(phone.uuid)
    finally:
        product.stop()
    assert wipe["outcome"] == "not-sanitized"
    assert "shared-by-domain" in wipe["reasons"]
    assert images.digest(disk) == before
