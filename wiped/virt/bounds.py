"""How long each question to libvirt may take, and how a lost connection is tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Every bound of the door, in seconds unless said otherwise. A hung libvirtd is dropped after `keepalive_interval * (keepalive_count + 1)`."""

    open: float = 10.0
    call: float = 15.0
    sweep: float = 60.0
    destroy: float = 45.0
    start: float = 60.0
    keepalive_interval: int = 5
    keepalive_count: int = 3
    backoff_first: float = 0.5
    backoff_most: float = 30.0
    #: A connection that lived this long was a good one: the back-off starts anew.
    settled: float = 30.0
    #: Threads, and how many of them may be stuck before calls are refused at once.
    threads: int = 8
    stuck: int = 4
