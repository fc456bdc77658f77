"""The real clocks: realtime, boottime, which boot it is, and what the kernel says of synchronisation (port Clock). Nothing here can set a clock."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from functools import cache

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: adjtimex(2): the status bit of a clock that nobody synchronises.
_STA_UNSYNC = 0x40


class _Timex(ctypes.Structure):
    """`struct timex` of 64-bit Linux: 208 bytes, of which only `status` is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 160),
    )


@cache
def _libc() -> ctypes.CDLL | None:
    if ctypes.sizeof(ctypes.c_long) != 8:
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        library.adjtimex.argtypes = [ctypes.POINTER(_Timex)]
        library.adjtimex.restype = ctypes.c_int
    except (OSError, AttributeError):
        return None
    return library


def synchronised() -> bool | None:
    """Whether the kernel's clock is synchronised (adjtimex(2) with no mode: it changes nothing); None where the call is not to be had."""
    library = _libc()
    if library is None:
        return None
    asked = _Timex()
    if library.adjtimex(ctypes.byref(asked)) < 0:
        return None
    return not asked.status & _STA_UNSYNC


@cache
def boot_id() -> str:
    """The kernel's random name of this boot; "" where it cannot be read."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


class SystemClock:
    """Port Clock."""

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.now(UTC)

    def boottime(self) -> float:
        """CLOCK_BOOTTIME, seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """See `boot_id`."""
        return boot_id()

    def synchronised(self) -> bool | None:
        """See `synchronised`."""
        return synchronised()
