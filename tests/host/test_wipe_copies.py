"""Copies that libvirt makes of a phone and forgets: seen while they are made, remembered, and never passed over by a `clear` (K15, I13)."""

from __future__ import annotations

import json
import random

import pytest

from tests.host.marked import directory
from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.stage import Product, StagedPhone

MIB = 1 << 20


def paced(libvirt, uuid: str, speed: int) -> None:
    """The backup's job in QEMU goes at so many bytes a second (0: as fast as it can)."""
    jobs = json.loads(libvirt.virsh("qemu-monitor-command", uuid, '{"execute":"query-block-jobs"}').stdout)["return"]
    assert jobs, "the backup was over too soon"
    order = {"execute": "block-job-set-speed", "arguments": {"device": jobs[0]["device"], "speed": speed}}
    libvirt.virsh("qemu-monitor-command", uuid, json.dumps(order))


@pytest.mark.long
@pytest.mark.parametrize("mode", ["push", "pull"])
def test_a_backup_that_ended_is_told_by_name(private_libvirt, raw_fs, markers, mode):
    """Begun and ended while the daemon ran; its file lies in a root and nothing names it: the wipe refuses with its path, and goes on when it is gone."""
    phones, _ = directory(private_libvirt, raw_fs, size=512 * MIB)
    disk = phones / "phone-1.raw"
    disk.write_bytes(random.Random(1).randbytes(192 * MIB if mode == "push" else 8 * MIB))
    images.write_markers(disk, markers, 64, "raw")
    phone = StagedPhone(private_libvirt, "phone-1", {"vda": (disk, "raw")}).define()
    virsh = private_libvirt.virsh
    virsh("start", phone.uuid)
    copy = phones / "copy.img"
    xml = private_libvirt.workdir / "backup.xml"
    if mode == "push":
        place = f"<disk name='vda' type='file'><driver type='raw'/><target file='{copy}'/></disk>"
        xml.write_text(f"<domainbackup mode='push'><disks>{place}</disks></domainbackup>")
    else:
        images.create(copy, 8 * MIB)
        place = f"<disk name='vda' type='file'><driver type='qcow2'/><scratch file='{copy}'/></disk>"
        server = f"<server transport='unix' socket='{private_libvirt.workdir}/export'/>"
        xml.write_text(f"<domainbackup mode='pull'>{server}<disks>{place}</disks></domainbackup>")
    with Product(private_libvirt, [phones], stop_timeout="1s") as product:
        product.bind(phone.uuid, ends_in=25)
        record = product.state_dir / "remembered" / f"{phone.uuid}.json"
        wait_for(record.exists, "the phone to be remembered")
        virsh("backup-begin", phone.uuid, xml, *(("--reuse-external",) if mode == "pull" else ()))
        if mode == "push":
            paced(private_libvirt, phone.uuid, MIB)
        wait_for(lambda: str(copy) in record.read_text(), "the running backup to be seen")
        if mode == "push":
            paced(private_libvirt, phone.uuid, 0)
            wait_for(lambda: "None" in virsh("domjobinfo", phone.uuid).stdout, "the backup to end")
        else:
            virsh("domjobabort", phone.uuid)
        assert copy.exists()
        wait_for(lambda: "unknown-file" in product.explain(phone.uuid)["refusals"], "the copy to be told")
        (told,) = product.get(f"/v1/phones/{phone.uuid}/plan")["refusals"]
        assert (told["code"], told["location"]) == ("unknown-file", str(copy))
        wait_for(lambda: phone.state == "shut off", "the refused phone to be stopped")
        copy.unlink()
        product.stop()
        product.start()
        wipe = product.wait_for_wipe(phone.uuid)
        assert wipe["outcome"] == "clear"
        assert "copies-unseen" in wipe["residuals"]
