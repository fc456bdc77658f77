"""`python -m tests.sim.stories FIRST COUNT [STEPS]`: simulated hosts by their seeds; each violation is printed with its story."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import structlog

from tests.sim.host import DAY, ViolationError, simulated


async def told(seed: int, steps: int, often: tuple[str, ...] = ()) -> tuple[float, str]:
    """(true days that passed, "" or what was violated)."""
    async with simulated(seed, often) as host:
        try:
            await host.run(steps)
        except ViolationError as error:
            return host.now / DAY, str(error)
        return host.now / DAY, ""


def main() -> int:
    """Returns 1 where a story broke the promise."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first, count = int(sys.argv[1]), int(sys.argv[2])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    began, days, broken = time.monotonic(), 0.0, 0
    for seed in range(first, first + count):
        passed, why = asyncio.run(told(seed, steps))
        days += passed
        if why:
            broken += 1
            print(why, flush=True)
    print(f"{count} hosts, {days / 365:.1f} host-years, {time.monotonic() - began:.0f} s, {broken} broken", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
