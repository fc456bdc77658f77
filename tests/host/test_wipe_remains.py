"""Places where a byte of a phone could remain after a `clear`, through the whole product."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.host.marked import directory, gone
from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.stage import Product, StagedPhone, phone_with_disk, settle


def disk_xml(path: Path, target: str, fmt: str = "raw") -> str:
    """A `<disk>` to be attached."""
    return f"<disk type='file' device='disk'><driver name='qemu' type='{fmt}'/><source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"


def test_a_disk_that_only_the_live_xml_names(private_libvirt, raw_fs, markers):
    """Hot-plugged without --config: refused with the phone running; attached for good, it is wiped with the rest."""
    phones, filesystem = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=16)
    plugged = images.create(phones / "plugged.raw", fmt="raw")
    images.write_markers(plugged, markers, 64, "raw")
    private_libvirt.virsh("start", phone.uuid)
    xml = private_libvirt.workdir / "plug.xml"
    xml.write_text(disk_xml(plugged, "vdb"))
    private_libvirt.virsh("attach-device", phone.uuid, xml, "--live")
    with Product(private_libvirt, [phones], stop_timeout="1s") as product:
        product.bind(phone.uuid)
        wait_for(lambda: "live-only" in str(product.explain(phone.uuid)["reasons"]), "the refusal to be told")
        assert phone.state == "running"
        assert product.wipes(phone.uuid)[0]["state"] == "queued"
        private_libvirt.virsh("attach-device", phone.uuid, xml, "--config")
        product.stop()
        product.start()
        assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    assert os.listdir(phones) == []
    assert gone(filesystem, markers) == 0


@pytest.mark.long
def test_a_log_that_a_redefinition_took_from_a_running_phone(private_libvirt, raw_fs, markers):
    """Redefined while it ran: the stop makes libvirt forget the former console log. Refused as drift with the phone off and fenced, never `clear`."""
    phones, _ = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=16)
    private_libvirt.virsh("undefine", phone.uuid)
    phone.console_log = phones / "former.log"
    phone.define()
    private_libvirt.virsh("start", phone.uuid)
    markers.write(phone.console_log, 8)
    phone.console_log = phones / "new.log"
    phone.define()
    with Product(private_libvirt, [phones], stop_timeout="1s") as product:
        product.bind(phone.uuid)
        wait_for(lambda: "ambiguous-base" in str(product.explain(phone.uuid)["reasons"]), "the eraser's refusal")
        product.stop()
        product.start()
        wait_for(lambda: "drift" in str(product.explain(phone.uuid)["reasons"]), "the refusal to be told")
        assert (phone.state, product.wipes(phone.uuid)[0]["outcome"]) == ("shut off", "")
        assert "fenced" in product.explain(phone.uuid)["flags"]
    assert (phones / "former.log").exists()


@pytest.mark.parametrize("kind", ["ext4", pytest.param("xfs", marks=pytest.mark.long)])
def test_small_blocks(private_libvirt, raw_fs, markers, kind):
    """1 KiB blocks: odd sizes, 512 bytes, preallocation beyond the end, a grown qcow2 with an internal snapshot, rotated logs, three disks of one phone."""
    option = ("-b", "1024") if kind == "ext4" else ("-b", "size=1024")
    phones, filesystem = directory(private_libvirt, raw_fs, kind, mkfs_options=option)
    disk = phones / "odd.raw"
    disk.write_bytes(b"".join(markers.block(n) for n in range(33))[: 32 * 4096 + 512])
    subprocess.run(["fallocate", "-n", "-o", "2MiB", "-l", "1MiB", str(disk)], check=True)
    second = phones / "tiny.raw"
    second.write_bytes(markers.block(7)[:512])
    grown = images.create(phones / "grown.qcow2", 8 << 20)
    images.write_markers(grown, markers, 100)
    subprocess.run(["qemu-img", "resize", "-q", "-f", "qcow2", str(grown), "64M"], check=True)
    images.write_markers(grown, markers, 100, at_block=3000)
    images.internal_snapshot(grown, "a")
    images.write_markers(grown, markers, 100, at_block=3050)
    log = phones / "p.log"
    log.write_bytes(markers.one(1) * 3)
    (phones / "p.log.0").write_bytes(markers.one(1) * 9)
    (phones / "p.log.1").write_bytes(markers.one(2) * 90)
    phone = StagedPhone(private_libvirt, "phone", {"vda": (disk, "raw"), "vdb": (second, "raw"), "vdc": (grown, "qcow2")}, console_log=log).define()
    os.sync()
    assert filesystem.count(markers.prefix) > 200
    with Product(private_libvirt, [phones]) as product:
        product.bind(phone.uuid)
        wipe = product.wait_for_wipe(phone.uuid)
    assert wipe["outcome"] == "clear"
    assert list(phones.glob("*.*")) == []
    assert gone(filesystem, markers) == 0


def test_a_real_managed_save(private_libvirt, raw_fs, markers):
    """libvirt itself saves a running phone to a raw device mounted over its save directory: nothing of its RAM or XML is left there."""
    phones, filesystem = directory(private_libvirt, raw_fs)
    save = private_libvirt.path("/var/lib/libvirt/qemu/save")
    save.mkdir(parents=True, exist_ok=True)
    saves = raw_fs("ext4", at=save)
    phone = phone_with_disk(private_libvirt, phones, fmt="raw", markers=markers, blocks=16)
    private_libvirt.virsh("start", phone.uuid)
    settle(1)
    private_libvirt.virsh("managedsave", phone.uuid)
    os.sync()
    needle = phone.uuid.encode()
    assert saves.count(needle) > 0
    assert saves.count(b"SeaBIOS") > 0
    with Product(private_libvirt, [phones]) as product:
        product.bind(phone.uuid)
        wipe = product.wait_for_wipe(phone.uuid)
    assert wipe["outcome"] == "clear"
    assert {a["kind"] for a in wipe["artefacts"]} == {"disk-image", "memory-image", "console-log"}
    assert gone(filesystem, markers) == 0
    saves.unmount()
    assert saves.count(needle) == 0
    assert saves.count(b"SeaBIOS") == 0


@pytest.mark.long
def test_chain_made_while_running_and_pivoted(private_libvirt, raw_fs, markers):
    """Two disks with snapshots taken while running, one committed and pivoted, which leaves its overlays behind unused: those are wiped too."""
    phones, filesystem = directory(private_libvirt, raw_fs)
    phone = phone_with_disk(private_libvirt, phones, markers=markers, blocks=64)
    second = images.create(phones / "second.qcow2")
    images.write_markers(second, markers, 64)
    private_libvirt.virsh("undefine", phone.uuid)
    phone.disks["vdb"] = (second, "qcow2")
    phone.define()
    private_libvirt.virsh("start", phone.uuid)
    for n in (1, 2):
        private_libvirt.virsh("snapshot-create-as", phone.uuid, f"s{n}", "--disk-only", "--atomic",
            "--diskspec", f"vda,snapshot=external,file={phones}/a.s{n}", "--diskspec", f"vdb,snapshot=external,file={phones}/b.s{n}")  # fmt: skip
    private_libvirt.virsh("blockcommit", phone.uuid, "vdb", "--active", "--pivot", "--wait")
    assert (phones / "b.s2").exists()
    with Product(private_libvirt, [phones], stop_timeout="1s") as product:
        product.bind(phone.uuid)
        wipe = product.wait_for_wipe(phone.uuid)
        assert (wipe["outcome"], len(wipe["artefacts"])) == ("clear", 7)
    assert os.listdir(phones) == []
    assert gone(filesystem, markers) == 0


@pytest.mark.long
def test_renamed_after_it_ran_its_old_log_goes_too(private_libvirt, raw_fs, markers):
    """`virsh domrename` leaves OLDNAME.log: wiped with the phone, without a person. One that another domain's name claims by now is told and stays."""
    phones, _ = directory(private_libvirt, raw_fs)
    logs = private_libvirt.workdir / "root/var/log/libvirt/qemu"
    renamed = {name: phone_with_disk(private_libvirt, phones, name=name, fmt="raw", markers=markers, blocks=16) for name in ("before-1", "before-2")}
    for phone in renamed.values():
        private_libvirt.virsh("start", phone.uuid)
        private_libvirt.virsh("destroy", phone.uuid)
    assert all((logs / f"{name}.log").exists() for name in renamed)
    with Product(private_libvirt, [phones], stop_timeout="1s") as product:
        for phone in renamed.values():
            product.bind(phone.uuid, ends_in=8)
            record = product.state_dir / "remembered" / f"{phone.uuid}.json"
            seen = (f"{phone.name}.log", '"generation":1')  # of this term: what was seen while it began is not kept
            wait_for(lambda record=record, seen=seen: record.exists() and all(word in record.read_text() for word in seen), "the log to be remembered")
            private_libvirt.virsh("domrename", phone.uuid, phone.name.replace("before", "after"))
        phone_with_disk(private_libvirt, phones, name="before-2", fmt="raw")  # the name of a former phone is given again
        assert product.wait_for_wipe(renamed["before-1"].uuid)["outcome"] == "clear"
        wait_for(lambda: "unknown-file" in product.explain(renamed["before-2"].uuid)["refusals"], "the other log to be told")
    assert not (logs / "before-1.log").exists()
    assert (logs / "before-2.log").exists()


def test_an_ephemeral_secret_and_the_tpms_directory_go_too(private_libvirt, raw_fs, markers):
    """A key that stands in no file, and the directory that bears the phone's UUID; another phone's secret and directory stay."""
    phones, _ = directory(private_libvirt, raw_fs)
    ours, theirs = "11111111-2222-4333-8444-000000000001", "11111111-2222-4333-8444-000000000002"
    staged = {}
    for name, secret in (("phone-1", ours), ("phone-2", theirs)):
        phone = phone_with_disk(private_libvirt, phones, name=name, fmt="raw", markers=markers, blocks=16)
        path = phone.disks["vda"][0]
        xml = private_libvirt.workdir / f"{name}-secret.xml"
        xml.write_text(f"<secret ephemeral='yes' private='yes'><uuid>{secret}</uuid><usage type='volume'><volume>{path}</volume></usage></secret>")
        private_libvirt.virsh("secret-define", xml)
        private_libvirt.virsh("secret-set-value", secret, "--base64", "c2VjcmV0LXNlY3JldC1zZWNyZXQ=")
        encryption = f"<encryption format='luks'><secret type='passphrase' uuid='{secret}'/></encryption><target dev='vda'"
        definition = private_libvirt.workdir / f"{name}.xml"
        definition.write_text(phone.xml.replace("<target dev='vda'", encryption))
        private_libvirt.virsh("define", definition)
        state = private_libvirt.path("/var/lib/libvirt/swtpm") / phone.uuid / "tpm2" / "tpm2-00.permall"
        state.parent.mkdir(parents=True)
        markers.write(state, 1)
        staged[name] = (phone, state)
    with Product(private_libvirt, [phones]) as product:
        phone, state = staged["phone-1"]
        product.bind(phone.uuid)
        assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    left = private_libvirt.virsh("secret-list").stdout
    assert (ours in left, theirs in left) == (False, True)
    assert not state.parent.parent.exists()
    assert state.parent.parent.parent.exists()
    assert staged["phone-2"][1].exists()
