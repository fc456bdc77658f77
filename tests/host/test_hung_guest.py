"""A guest whose storage hangs (its emulator in state D): nobody else waits for it, and the fault is told by its name (K16)."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.marked import directory, gone
from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.stage import OPERATOR, STAFF, Product, StagedPhone, phone_with_disk


@contextlib.contextmanager
def frozen(path: Path) -> Iterator[None]:
    """The filesystem at `path`, whose writers wait."""
    subprocess.run(["fsfreeze", "-f", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", str(path)], check=True)


def hang(libvirt: PrivateLibvirt, phone: StagedPhone, target: Path) -> None:
    """A write of QEMU's into the frozen filesystem, without holding its monitor: a job behind libvirt's back."""
    arguments = {"device": "libvirt-1-format", "job-id": "hanging", "sync": "full", "mode": "existing", "format": "raw", "target": str(target)}
    done = libvirt.virsh("qemu-monitor-command", phone.uuid, json.dumps({"execute": "drive-backup", "arguments": arguments}))
    assert "error" not in done.stdout, done.stdout


@pytest.mark.long
def test_a_hung_guest_delays_nobody_else(private_libvirt, raw_fs, markers):
    """One phone's disk lies on a frozen filesystem. It and three others are due: the three are wiped, a fifth is suspended and stopped, readiness names the
    emulator's state; thawed, the first is wiped too, and the raw devices are clean."""
    phones, _ = directory(private_libvirt, raw_fs)
    apart, other = directory(private_libvirt, raw_fs, name="apart")
    hung = phone_with_disk(private_libvirt, apart, name="hung", fmt="raw", markers=markers, blocks=16)
    healthy = [phone_with_disk(private_libvirt, phones, name=f"phone-{n}", fmt="raw", markers=markers, blocks=16) for n in range(1, 5)]
    target = images.create(apart / "target.raw", fmt="raw")
    for phone in (hung, healthy[0], healthy[3]):
        private_libvirt.virsh("start", phone.uuid)
    with Product(private_libvirt, [phones, apart], stop_timeout="1s", api=STAFF) as product:
        product.bind(healthy[3].uuid, ends_in=3600)
        product.wait_for_state(healthy[3].uuid, "active", "notice")
        with frozen(apart):
            hang(private_libvirt, hung, target)
            product.bind(hung.uuid)
            for phone in healthy[:3]:
                product.bind(phone.uuid)
            for phone in healthy[:3]:
                assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
            product.ctl("suspend", healthy[3].uuid, "--reason", "stolen", person=OPERATOR)
            wait_for(lambda: healthy[3].state == "shut off", "the suspended phone to be stopped")
            wait_for(lambda: "state D" in str(product.ask("status")["faults"]), "the fault to be named", 60)
            told = product.ask("status")
            assert hung.uuid in told["faults"]["libvirt"]
            assert not product.wipes(hung.uuid) or product.wipes(hung.uuid)[0]["state"] in {"queued", "intent", "fenced"}
        assert product.wait_for_wipe(hung.uuid)["outcome"] == "clear"
        wait_for(lambda: "libvirt" not in product.ask("status")["faults"], "the fault to pass")
    with target.open("r+b") as copy:  # the job went on when it could: its copy is nobody's business here
        copy.write(bytes(target.stat().st_size))
    assert gone(other, markers) == 0
