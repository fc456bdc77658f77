"""The limit of open files."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
from wiped.machine.limits import raise_descriptors
print(raise_descriptors())
"""


def test_the_soft_limit_is_raised_as_far_as_the_hard_one_lets_it() -> None:
    """In a process of its own: a limit cannot be taken back."""
    for hard in (64, 512):
        done = subprocess.run([sys.executable, "-c", PROBE.format(hard=hard)], check=True, capture_output=True, text=True)
        assert int(done.stdout) == hard
