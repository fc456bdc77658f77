"""What systemd is told: a socket that is full or absent stops nobody."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wiped.machine.systemd import notify, watchdog


def test_a_systemd_that_does_not_read_does_not_stop_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket is full: the daemon goes on."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        for _ in range(10_000):
            notify("WATCHDOG=1")


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No NOTIFY_SOCKET, or one that is not there: no error."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/notify")
    notify("READY=1")


async def test_the_watchdog_is_fed_at_half_of_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two messages arrive well within one interval of ten seconds only if the interval is read from WATCHDOG_USEC."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        feeding = asyncio.create_task(watchdog(), name="watchdog")
        async with asyncio.timeout(PATIENCE):
            heard = [await asyncio.get_running_loop().sock_recv(systemd, 64) for _ in range(2)]
        feeding.cancel()
        await asyncio.wait([feeding])
    assert heard == [b"WATCHDOG=1"] * 2
