"""How long each question to libvirt may take, and how a lost connection is tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Every bound of the door, in seconds unless said otherwise. A hung libvirtd is dropped after `keepalive_interval * (keepalive_count + 1)`."""

    open: float = 10.0
    call: float = 15.0
    sweep: float = 60.0
    #: One domain while the list does not answer, and whether libvirt answers at all.
    glance: float = 4.0
    #: libvirt kills an emulator by force twice, and waits 40 s for it each time.
    destroy: float = 100.0
    start: float = 60.0
    keepalive_interval: int = 5
    keepalive_count: int = 3
    backoff_first: float = 0.5
    backoff_most: float = 30.0
    #: A connection that lived this long was a good one: the back-off starts anew.
    settled: float = 30.0
    #: Threads, and how many calls may be stuck (one for each domain at most) before all are refused at once.
    threads: int = 8
    stuck: int = 32
