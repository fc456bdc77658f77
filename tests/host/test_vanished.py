"""Phones that disappear from a real libvirt, images that people settle, and orphans: through the whole product, searched on raw devices."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing

import pytest

from tests.host.marked import directory, gone
from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.stage import APPROVER, OPERATOR, OTHER_APPROVER, STAFF, Product, StagedPhone, phone_with_disk, settle


def remembered(product: Product, phone: StagedPhone) -> set[str]:
    """What the phone's record names, once there is one, in the file and (a moment later) in the ledger."""
    path = product.state_dir / "remembered" / f"{phone.uuid}.json"
    wait_for(path.exists, "the phone to be remembered")

    def kept() -> bool:
        with closing(sqlite3.connect(f"file:{product.state_dir}/ledger.db?mode=ro", uri=True)) as ledger:
            return ledger.execute("SELECT 1 FROM memories WHERE uuid = ?", (phone.uuid,)).fetchone() is not None

    wait_for(kept, "the ledger to remember the phone")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return {file["path"] for file in json.loads(path.read_bytes())["files"]}


def code_of(product: Product, *words: str) -> int:
    """The exit code of a command that may be refused."""
    return product.ctl(*words, check=False).returncode


def test_undefined_by_hand_then_due(private_libvirt, raw_fs, markers):
    """`virsh undefine` before its time: nothing is touched. When its time comes its files are wiped, and the raw device is clean; a neighbour's are not."""
    phones, filesystem = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=256)
    other = phone_with_disk(private_libvirt, phones, name="phone-2", fmt="raw")
    kept = images.digest(other.disks["vda"][0])
    with Product(private_libvirt, [phones]) as product:
        product.bind(phone.uuid, ends_in=6)
        assert str(phone.disks["vda"][0]) in remembered(product, phone)
        private_libvirt.virsh("undefine", phone.uuid)
        found = product.wait_for_state(phone.uuid, "vanished")
        assert found["next"]["state"] == "due"
        assert phone.disks["vda"][0].exists()
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
        envelope = product.ctl("certificates", "get", wipe["id"]).stdout
        assert "payload" in envelope
        assert not (product.state_dir / "remembered" / f"{phone.uuid}.json").exists()
        assert other.exists()
    assert os.listdir(phones) == ["phone-2.raw"]
    assert images.digest(other.disks["vda"][0]) == kept
    assert gone(filesystem, markers) == 0


def test_deleted_with_its_volumes_is_an_incident(private_libvirt, raw_fs, markers):
    """Undefined, its disk unlinked: nothing can be proven, and it says so; the way out takes two people, and root is not the second."""
    phones, _ = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=16)
    with Product(private_libvirt, [phones], api=STAFF) as product:
        product.bind(phone.uuid, ends_in=6)
        remembered(product, phone)
        private_libvirt.virsh("undefine", phone.uuid)
        phone.disks["vda"][0].unlink()
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("quarantined", "not-sanitized")
        assert "vanished" in wipe["reasons"]
        words = ("quarantine", "dispose", phone.uuid, "--reason", "shredded", "--reference", "CASE-1", "--confirm", phone.name)
        assert [code_of(product, *words) for _ in range(2)] == [3, 3]
        assert product.wipes(phone.uuid)[0]["state"] == "quarantined"
        (waiting,) = product.ask("approvals", "list")["items"]
        assert (waiting["kind"], waiting["needed"], waiting["terms"]) == ("dispose", 2, {"reference": "CASE-1"})
        for person, code, state in ((OPERATOR, 77, "quarantined"), (APPROVER, 0, "quarantined"), (OTHER_APPROVER, 0, "disposed")):
            assert product.ctl("approvals", "approve", waiting["id"], person=person, check=False).returncode == code
            assert product.wipes(phone.uuid)[0]["state"] == state


def test_a_file_that_another_domain_picked_up_is_untouched(private_libvirt, raw_fs, markers):
    """The disk of the vanished phone is another domain's by the time it is due: digest the same, and the other starts."""
    phones, _ = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=16)
    disk = phone.disks["vda"][0]
    before = images.digest(disk)
    with Product(private_libvirt, [phones]) as product:
        product.bind(phone.uuid, ends_in=6)
        remembered(product, phone)
        private_libvirt.virsh("undefine", phone.uuid)
        heir = StagedPhone(private_libvirt, "heir", {"vda": (disk, "raw")}).define()
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["reasons"]) == ("quarantined", ["copy-not-reached"])
        assert images.digest(disk) == before
        private_libvirt.virsh("start", heir.uuid)
        assert heir.state == "running"
        private_libvirt.virsh("destroy", heir.uuid)


def test_defined_again_before_it_is_due(private_libvirt, raw_fs, markers):
    """It is a phone as before, active while its term runs; nothing of it was touched."""
    phones, _ = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=16)
    before = images.digest(phone.disks["vda"][0])
    with Product(private_libvirt, [phones]) as product:
        product.bind(phone.uuid, ends_in=3600)
        remembered(product, phone)
        private_libvirt.virsh("undefine", phone.uuid)
        product.wait_for_state(phone.uuid, "vanished")
        phone.define()
        product.wait_for_state(phone.uuid, "active", "notice")
        settle(2)
        assert product.wipes(phone.uuid) == []
    assert images.digest(phone.disks["vda"][0]) == before


@pytest.mark.long
@pytest.mark.parametrize("meaning", ["golden", "private"])
def test_an_ambiguous_base_is_settled_by_a_person(private_libvirt, raw_fs, markers, meaning):
    """Refused, fenced and stopped first; classified golden it is kept bit by bit, classified private by two people it is wiped with its overlay."""
    phones, filesystem = directory(private_libvirt, raw_fs)
    base = images.create(phones / "base.raw", fmt="raw")
    images.write_markers(base, markers, 64, "raw")
    digest = images.digest(base)
    overlay = images.overlay(phones / "phone-1.qcow2", base, "raw")
    phone = StagedPhone(private_libvirt, "phone-1", {"vda": (overlay, "qcow2")}).define()
    private_libvirt.virsh("start", phone.uuid)
    with Product(private_libvirt, [phones], stop_timeout="1s", api=STAFF) as product:
        product.bind(phone.uuid)
        wait_for(lambda: "ambiguous-base" in product.explain(phone.uuid)["refusals"], "the refusal")
        wait_for(lambda: phone.state == "shut off", "the refused phone to be stopped")
        assert (product.state_dir / "fence" / phone.uuid).exists()
        assert str(base) not in (product.state_dir / "fence" / phone.uuid).read_text()
        assert product.ctl("images", "classify", "/etc/hostname", meaning, "--reason", "x", check=False).returncode == 3
        assert product.ctl("images", "classify", str(phones / "none"), meaning, "--reason", "x", check=False).returncode == 3
        words, inode = ("images", "classify", str(base), meaning, "--reason", "the installer says so"), base.stat().st_ino
        if meaning == "golden":
            product.ctl(*words, person=OPERATOR)
        else:
            product.agreed(*words)
        (told,) = product.ask("images", "classified")["items"]
        assert (told["path"], told["as"], told["inode"]) == (str(base), meaning, inode)
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear"), wipe
    assert not overlay.exists()
    if meaning == "golden":
        assert images.digest(base) == digest
    else:
        assert not base.exists()
        assert gone(filesystem, markers) == 0


def test_orphans_are_listed_and_left(private_libvirt, raw_fs, markers):
    """What no domain reaches, with size and last owner; counted for the metric; nothing is touched."""
    phones, _ = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=16)
    lost = images.create(phones / "lost.raw", fmt="raw")
    (phones / "a-link").symlink_to(lost)
    with Product(private_libvirt, [phones]) as product:
        product.bind(phone.uuid, ends_in=3600)
        remembered(product, phone)
        assert [item["location"] for item in product.ask("images", "orphans")["items"]] == [str(lost)]
        private_libvirt.virsh("undefine", phone.uuid)
        product.wait_for_state(phone.uuid, "vanished")
        found = {item["location"]: item["owner_name"] for item in product.ask("images", "orphans")["items"]}
        assert found == {str(lost): "", str(phone.disks["vda"][0]): phone.name}
        assert product.metrics()["wiped_orphan_images"] == 2
        assert "lost.raw" in product.ctl("images", "orphans").stdout
    assert lost.exists()
