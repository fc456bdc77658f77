"""Strangers at the doors of the whole product: two thousand connections each, while a phone is wiped and another is suspended."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import SOCKET, Product, phone_with_disk

CROWD = 2000


def crowd(family: socket.AddressFamily, address: object) -> list[socket.socket]:
    """Connections that say nothing; those that the door does not even queue are left out."""
    found = []
    for _ in range(CROWD):
        line = socket.socket(family)
        line.settimeout(0.05)
        with contextlib.suppress(OSError):
            line.connect(address)  # type: ignore[arg-type]
            found.append(line)
            continue
        line.close()
    return found


def test_crowds_at_every_door_stop_neither_a_wipe_nor_an_order(private_libvirt: PrivateLibvirt, markers: Markers) -> None:
    """Strangers are hung up on; the wipe ends, `suspend` fences, readiness answers, log and memory stay small, and metrics are there again afterwards."""
    libvirt, where = private_libvirt, private_libvirt.workdir / "phones"
    ended = phone_with_disk(libvirt, where, name="ended", markers=markers)
    kept = phone_with_disk(libvirt, where, name="kept")
    lines: list[socket.socket] = []
    with Product(libvirt, [where]) as product:
        try:
            lines += crowd(socket.AF_INET, ("127.0.0.1", product.port))
            product.bind(ended.uuid)
            product.bind(kept.uuid, ends_in=9000)
            lines += crowd(socket.AF_UNIX, str(libvirt.path(SOCKET)))
            lines += crowd(socket.AF_INET, ("127.0.0.1", product.port))
            # The crowd is of the operator's own uid, whose share of the socket it fills, until who says nothing is seen out.
            wait_for(product._answers, "the silent ones to be seen out")
            product.ctl("suspend", kept.uuid, "--reason", "lost")
            assert (product.state_dir / "fence" / kept.uuid).exists()
            assert product.wait_for_wipe(ended.uuid)["outcome"] == "clear"
            assert product.process is not None
            status = Path(f"/proc/{product.process.pid}/status").read_text()
            (resident,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            assert resident < 400 * 1024
        finally:
            for line in lines:
                line.close()
        assert product.metrics()
        assert product.log.stat().st_size < 1 << 20
