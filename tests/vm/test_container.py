"""The host in a container: a whole systemd host, there in seconds, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.lab.container import CGROUP, Container
from tests.lab.mounts import mount_points
from tests.lab.privatelibvirt import alive, wait_for
from tests.lab.rawdevice import Markers, marked_blocks

OWNER = """
import time
from tests.lab.container import Container
from tests.lab.mounts import enter_private_mounts
enter_private_mounts()
with Container() as container:
    print(container.run("sleep", "0.1").returncode, container.init, flush=True)
    time.sleep(600)
"""


def cgroups(pid: int) -> list[Path]:
    """The cgroups of containers that the process `pid` made."""
    return [*Path("/sys/fs/cgroup").glob(f"**/{CGROUP}{pid}-*")]


def test_it_is_a_systemd_host_with_libvirt_and_leaves_nothing(private_mounts: None) -> None:
    """systemd runs without a failed unit, libvirtd answers, the loop device of its root can be read; then mounts and cgroups are as before."""
    before, markers = mount_points("/"), Markers()
    with Container() as container:
        assert container.run("cat", "/proc/1/comm").stdout == "systemd\n"
        assert container.run("systemctl", "is-system-running").stdout == "running\n"
        assert container.run("virsh", "-q", "uri").stdout.strip() == "qemu:///system"
        device = container.run("findmnt", "-n", "-o", "SOURCE", "/").stdout.strip()
        assert container.run("test", "-r", device, "-a", "-b", device).returncode == 0
        container.write("/srv/marked", markers.block(1).decode())
        assert cgroups(os.getpid()) != []
        container.stop()
        assert marked_blocks(container.device, markers.prefix) == 1
    assert (mount_points("/"), cgroups(os.getpid())) == (before, [])


def test_a_shell_keeps_what_was_typed_before(private_mounts: None) -> None:
    """Variables and directory stay, a failing command is told and ends nothing, a command that reads gets no part of what is typed."""
    with Container() as container, container.shell("/etc") as shell:
        assert shell.type("word=one; cd /usr") == (0, "")
        assert shell.type("cat; false") == (1, "")
        assert shell.type('echo "$word"; pwd >&2') == (0, "one\n/usr\n")


def test_it_ends_with_a_killed_owner(private_mounts: None) -> None:
    """SIGKILL of who made it: its systemd and everything beneath it end; the next container removes the empty cgroups."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
    assert owner.stdout is not None
    status, init = owner.stdout.readline().split()
    assert (status, alive(int(init))) == ("0", True)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    wait_for(lambda: not alive(int(init)), "the end of the container's systemd")
    assert cgroups(owner.pid) != []
    with Container():
        assert cgroups(owner.pid) == []
