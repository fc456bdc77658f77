"""Time in tests. No test asserts a speed: waits end at one bound for the whole suite, and what must not grow out of hand is counted as work."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Final

#: Seconds that a test waits at most for what must happen. It is reached only where something hangs; pytest's own `timeout` lies above it.
PATIENCE: Final = 240.0


class Work:
    """A context manager: `units` is afterwards the processor time of what was done within, by this process and the child processes that ended meanwhile, in
    units of a plain loop of a million turns (about 0.02 s). A slow or busy machine stretches both alike, so a bound on the units is one on the work."""

    units = 0.0

    def __enter__(self) -> Work:
        self._unit = _loop()
        self._before = _spent()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        spent = _spent() - self._before
        self.units = spent / max(self._unit, _loop())


def _spent() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _loop() -> float:
    """Processor seconds of a loop of a million turns, measured over four millions."""
    began = time.process_time()
    for _ in range(4_000_000):
        pass
    return max((time.process_time() - began) / 4, 0.001)
