"""How long to wait before the next attempt: doubled after each failure, up to a longest wait. Pure.

One rule for retried wipes, queued work, notices and the connection to libvirt; what differs is the first wait, the longest, and whether the wait is
shortened at random, so that many hosts do not ask one server in the same second.
"""

from __future__ import annotations

#: Doubling more often than that changes nothing any more, and must not overflow.
_MOST_DOUBLINGS = 30


def wait(failures: int, *, first: float, longest: float, jitter: float | None = None) -> float:
    """Seconds before the next attempt, `failures` (0 counts as the first) after which the wait was doubled so often.

    `first` and `longest` are seconds. `jitter` in [0, 1) shortens the wait to between half of it and the whole; None: the whole.
    """
    whole = min(longest, first * 2.0 ** min(max(failures, 0), _MOST_DOUBLINGS))
    return whole if jitter is None else whole * (0.5 + jitter / 2)
