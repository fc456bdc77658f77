"""SIGKILL of daemon, eraser or observer at every named step: the next start ends in the same proven state, once.

The steps of `OFTEN` are tried in `make test`, all of them in `make test-long`; tests/unit/conduct tries every prefix of the order without a host.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import Markers, marked_blocks
from tests.lab.stage import Product, phone_with_disk

BLOCKS = 512

KILLS = [
    ("intent", "daemon"),
    ("fence-put", "daemon"),
    ("autostart-off", "daemon"),
    ("fenced", "daemon"),
    ("stopped", "daemon"),
    ("locked", "daemon"),
    ("ranges-saved", "daemon"),
    ("reobserved", "daemon"),
    ("erasing", "daemon"),
    ("erase-progress", "daemon"),
    ("overwritten", "daemon"),
    ("erased", "daemon"),
    ("verifying", "daemon"),
    ("read-back-progress", "daemon"),
    ("looked-at", "daemon"),
    ("read-back", "daemon"),
    ("removing", "daemon"),
    ("unlinked", "daemon"),
    ("removed", "daemon"),
    ("verdict", "daemon"),
    ("undefined", "daemon"),
    ("locked", "eraser"),
    ("erasing", "eraser"),
    ("erase-progress", "eraser"),
    ("verifying", "eraser"),
    ("read-back", "eraser"),
    ("removed", "eraser"),
    ("locked", "observer"),
    ("erasing", "observer"),
    ("verifying", "observer"),
    ("read-back-progress", "observer"),
]

OFTEN = {
    ("erasing", "daemon"),
    ("erase-progress", "daemon"),
    ("removed", "daemon"),
    ("erase-progress", "eraser"),
}


def _cases() -> list[Any]:
    """Each kill; the ones that are tried in long runs only bear the mark."""
    return [pytest.param(step, target, id=f"{target}-at-{step}", marks=() if (step, target) in OFTEN else (pytest.mark.long,)) for step, target in KILLS]


@pytest.fixture(scope="module")
def golden(module_libvirt):
    """A golden image that every phone here lies over."""
    directory = module_libvirt.workdir / "golden"
    directory.mkdir(exist_ok=True)
    return images.golden(directory / "base.qcow2")


@pytest.mark.parametrize(("step", "target"), _cases())
def test_killed_at_a_step(module_libvirt, golden, raw_fs, step, target, request):
    """Killed at the step: a restart (or the daemon itself, if a helper died) ends `clear`, with one certificate, nothing on the raw device."""
    libvirt = module_libvirt
    phones = libvirt.workdir / f"phones-{target}-{step}"
    phones.mkdir()
    filesystem, markers = raw_fs("ext4", at=phones), Markers()
    phone = phone_with_disk(libvirt, phones, name=f"{target}-{step}", markers=markers, blocks=BLOCKS * (8 if step == "erase-progress" else 1), base=golden)
    digest = images.digest(golden)
    # Slow enough that the kill comes in the middle of the overwriting: half of the qcow2 is then keystream.
    slow = 'rate_limit = "4MiB"' if step == "erase-progress" else ""
    product = Product(libvirt, [phones], [golden.parent], storage=slow, safety="breaker_max = 1000")  # one phone after the other on one ledger
    try:
        product.start("tests.lab.killing_daemon", step, target, "3" if slow else "1")
        product.bind(phone.uuid)
        if step == "erase-progress":
            wait_for(lambda: f"killing {target} [" in product.log.read_text(), "the kill")
            assert 0 < marked_blocks(phone.disks["vda"][0], markers.prefix) < BLOCKS * 8
        if target == "daemon":
            wait_for(lambda: product.process is not None and product.process.poll() is not None, f"the daemon to be killed at {step}")
            product.process = None
            product.start()
        wipe = product.wait_for_wipe(phone.uuid, ("released",))
        assert f"killing {target} [" in product.log.read_text()
        assert f"killing {target} [] " not in product.log.read_text()
        assert (wipe["outcome"], wipe["reasons"]) == ("clear", [])
        assert len(product.wipes(phone.uuid)) == 1
        judged = [entry for entry in product.get("/v1/audit?last=500")["items"] if entry["kind"] == "judged" and entry["body"]["wipe_id"] == wipe["id"]]
        assert len(judged) == 1
        assert not (product.state_dir / "fence" / phone.uuid).exists()
        assert product.ctl("audit", "verify").returncode == 0
    except BaseException:
        print(product.log.read_text()[-8000:])
        raise
    finally:
        product.stop()
        product.log.unlink(missing_ok=True)
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0
    assert images.digest(golden) == digest
