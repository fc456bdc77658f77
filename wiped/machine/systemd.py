"""What the daemon tells systemd: ready, stopping, still alive (sd_notify(3))."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket


def notify(message: str) -> None:
    """Send `message` to systemd (sd_notify(3)), if systemd listens. Never raises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.setblocking(False)  # a systemd that does not read must not stop us
        line.connect("\0" + address[1:] if address.startswith("@") else address)
        line.sendall(message.encode())


async def watchdog() -> None:
    """Send WATCHDOG=1 at half of systemd's interval, as long as the event loop turns."""
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval if interval > 0 else 3_600)
