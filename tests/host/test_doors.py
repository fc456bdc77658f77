"""Strangers at the doors of the whole product: two thousand connections each, while a phone is wiped and another is suspended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.billing_server import TOKEN, Billing
from tests.host.marked import directory, gone
from tests.host.test_billing_feed import in_a_loop_of_its_own, record, secret_file
from tests.host.test_hung_guest import frozen, hang
from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import OPERATOR, SOCKET, STAFF, Product, StagedPhone, phone_with_disk

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


def peak_kib(product: Product) -> int:
    """The most memory that the daemon ever had."""
    assert product.process is not None
    status = Path(f"/proc/{product.process.pid}/status").read_text()
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return peak


def readiness(product: Product) -> str:
    """What `/readyz` says, as text."""
    try:
        return product.said(b"GET /readyz HTTP/1.0\r\nHost: wiped\r\n\r\n").decode()
    except OSError as error:
        return f"no answer: {error}"


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
            assert peak_kib(product) < 400 * 1024
        finally:
            for line in lines:
                line.close()
        assert product.metrics()
        assert product.log.stat().st_size < 1 << 20


#: Documents that cost their reader more than their length, or have no end.
HOSTILE = (b"[" * 60_000, b'{"a":' * 10_000, b'{"reason": "' + b"\\" * 60_000, b"\xff" * 60_000, b"{}" * 30_000, b'{"reason": 1e400}', b"-" * 60_000)


@pytest.mark.long
def test_everything_at_once_stops_neither_a_wipe_nor_an_order(private_libvirt: PrivateLibvirt, raw_fs: Any, markers: Markers) -> None:
    """Crowds at the doors, a feed that answers with 60 MB, hostile documents and images, a guest in state D; then libvirt itself stands still. One phone is
    wiped (raw device searched), another is fenced and stopped, a third is fenced while libvirt answers nobody; readiness names what is wrong."""
    libvirt = private_libvirt
    phones, filesystem = directory(libvirt, raw_fs)
    apart, _ = directory(libvirt, raw_fs, name="apart")
    ended, kept, late = (phone_with_disk(libvirt, phones, name=name, fmt="raw", markers=markers, blocks=16) for name in ("ended", "kept", "late"))
    hung = phone_with_disk(libvirt, apart, name="hung", fmt="raw")
    target = images.create(apart / "target.raw", fmt="raw")
    for name, head in (("quadratic", b"# Disk DescriptorFile\n" + b"\n" * (4 << 20)), ("vast", b"QFI\xfb" + b"\xff" * 8192)):
        path = phones / f"{name}.img"
        path.write_bytes(head)
        StagedPhone(libvirt, name, {"vda": (path, "vmdk" if name == "quadratic" else "qcow2")}).define()
    for phone in (kept, late, hung):
        libvirt.virsh("start", phone.uuid)
    lines: list[socket.socket] = []
    with in_a_loop_of_its_own() as loop, contextlib.ExitStack() as ends:
        billing = Billing()
        asyncio.run_coroutine_threadsafe(billing.__aenter__(), loop).result(30)
        ends.callback(lambda: asyncio.run_coroutine_threadsafe(billing.__aexit__(), loop).result(30))
        token = secret_file(libvirt, "token", TOKEN)
        feed = f'kind = "http"\nurl = "{billing.url}"\ntoken_file = "{token}"\ninterval = "1s"\ntimeout = "20s"'
        billing.publish([*(record(phone, 15) for phone in (ended, hung)), *(record(phone, 86_400) for phone in (kept, late))])
        product = ends.enter_context(Product(libvirt, [phones, apart], stop_timeout="1s", api=STAFF, feed=feed))
        ends.callback(lambda: [line.close() for line in lines])
        wait_for(lambda: len(product.ask("subscriptions", "list", person=OPERATOR)["items"]) == 4, "the terms to be taken")
        with frozen(apart):
            hang(libvirt, hung, target)
            billing.trouble = "flood"
            for _ in range(2):
                lines += crowd(socket.AF_INET, ("127.0.0.1", product.port))
                lines += crowd(socket.AF_UNIX, str(libvirt.path(SOCKET)))
            # Root's own crowd fills root's share of the socket, until who says nothing is seen out; the operator has another.
            wait_for(product._answers, "the silent ones to be seen out")
            for body in HOSTILE:
                head = f"POST /v1/phones/{kept.uuid}:suspend HTTP/1.0\r\nHost: wiped\r\nContent-Length: {len(body)}\r\n\r\n"
                assert product.said(head.encode() + body).split(b" ")[1] in {b"400", b"413", b"422"}, body[:20]
            product.ctl("suspend", kept.uuid, "--reason", "lost", person=OPERATOR)
            assert (product.state_dir / "fence" / kept.uuid).exists()
            wait_for(lambda: kept.state == "shut off", "the suspended phone to be stopped")
            assert product.wait_for_wipe(ended.uuid)["outcome"] == "clear"
            wait_for(lambda: "state D" in readiness(product) and hung.uuid in readiness(product), "readiness to name the guest that hangs")
            wait_for(lambda: product.metrics().get('wiped_feed_errors_total{reason="too-large"}'), "the feed's fault to be named")
            libvirt.signal_libvirtd(signal.SIGSTOP)
            try:
                product.ctl("suspend", late.uuid, "--reason", "lost", person=OPERATOR, check=False)
                wait_for((product.state_dir / "fence" / late.uuid).exists, "the fence, without libvirt")
                wait_for(lambda: " 503 " in (said := readiness(product)) and '"libvirt"' in said, "readiness to name libvirt")
            finally:
                libvirt.signal_libvirtd(signal.SIGCONT)
            wait_for(lambda: late.state == "shut off", "the last one to be stopped, with libvirt back")
        assert peak_kib(product) < 400 * 1024
        assert product.log.stat().st_size < 1 << 20
    with target.open("r+b") as copy:
        copy.write(bytes(target.stat().st_size))
    assert gone(filesystem, markers) == 32
