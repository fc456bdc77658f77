"""The connection to libvirt that listens for events, and the thread in which libvirt's event loop runs. Questions go through `connection.py`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import libvirt

from wiped.errors import HypervisorError
from wiped.virt.bounds import Bounds


class _EventThread:
    """libvirt's own event loop, started once a process, before the first connection. Never stopped: a daemon thread that sleeps in poll."""

    _lock = threading.Lock()
    _started = False

    @classmethod
    def start(cls) -> None:
        with cls._lock:
            if not cls._started:
                libvirt.registerErrorHandler(_ignore, None)  # else libvirt prints every error to stderr
                libvirt.virEventRegisterDefaultImpl()
                threading.Thread(target=cls._run, name="libvirt events", daemon=True).start()
                cls._started = True

    @staticmethod
    def _run() -> None:
        while True:
            try:
                libvirt.virEventRunDefaultImpl()
            except libvirt.libvirtError:
                time.sleep(0.1)  # poll() itself failed; never spin


def _ignore(_context: object, _error: object) -> None:
    """libvirt's error handler: every error reaches us as an exception too."""


class Listener:
    """The connection that listens: lifecycle events, keep-alive, the close callback. No question is ever asked on it.

    Made and closed in threads of their own, since both may hang.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[str], None], left: Callable[[str], None]) -> None:
        self._loop, self._ring, self._left = loop, ring, left
        self._events: int | None = None
        self._conn: Any = None
        self.lost = asyncio.Event()

    def open(self, uri: str, bounds: Bounds) -> Listener:
        """Connect (blocking). Raises HypervisorError."""
        _EventThread.start()
        try:
            self._conn = connect(uri, bounds)
            with contextlib.suppress(libvirt.libvirtError):
                self._conn.registerCloseCallback(self._closed, None)
            self._events = self._conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._event, None)
        except libvirt.libvirtError as error:
            self._close()
            raise HypervisorError(f"cannot connect to libvirt: {words(error)}") from error
        return self

    def close(self) -> None:
        """Close in a thread that nobody waits for."""
        threading.Thread(target=self._close, name="libvirt close", daemon=True).start()

    def _close(self) -> None:
        """Blocking; may hang with a hung libvirtd until keep-alive gives up. Never raises."""
        if self._conn is None:
            return
        steps = [self._conn.unregisterCloseCallback, self._conn.close]
        if self._events is not None:
            steps.insert(0, partial(self._conn.domainEventDeregisterAny, self._events))
        for step in steps:
            with contextlib.suppress(libvirt.libvirtError):
                step()

    def _closed(self, _conn: object, _reason: int, _opaque: object) -> None:
        self._over(self.lost.set)

    def _event(self, _conn: object, domain: Any, event: int, detail: int, _opaque: object) -> None:
        uuid = domain.UUIDString()
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
            self._over(partial(self._left, uuid))  # before the hint, so that whoever is woken by it can ask
        self._over(partial(self._ring, uuid))

    def _over(self, callback: Callable[[], None]) -> None:
        """From libvirt's thread to ours; a closed loop listens no more."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)


def connect(uri: str, bounds: Bounds) -> Any:
    """Open a connection with keep-alive (blocking). Raises libvirtError."""
    conn = libvirt.open(uri)
    with contextlib.suppress(libvirt.libvirtError):  # drivers inside this process have no keep-alive and need none
        conn.setKeepAlive(bounds.keepalive_interval, bounds.keepalive_count)
    return conn


def words(error: Any) -> str:
    """libvirt's error message."""
    return error.get_error_message() or str(error)
