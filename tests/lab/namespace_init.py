"""Process 1 of a lab's namespaces: arranges the mounts, reaps orphans, and ends when its maker does.

Run by `tests.lab.privatelibvirt` as ``unshare --mount --pid --fork ... python3 -I namespace_init.py ROOT``; standalone,
standard library only. Every directory beneath ROOT that is named in PRIVATE is bind-mounted over the one of the host.
Prints its process id as the host sees it, then ``ready``. When standard input reaches its end (the maker has exited,
however it came about), it exits; the kernel then kills every process of the namespace and drops its mounts, and the
loop devices under them.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys

PRIVATE = (
    "/run",
    "/etc/libvirt",
    "/var/lib/libvirt",
    "/var/log/libvirt",
    "/var/cache/libvirt",
    "/etc/wiped",
    "/var/lib/wiped",
)


def main() -> None:
    """Set up, report, then wait for the end of standard input while reaping children."""
    root = sys.argv[1]
    host_pid = os.readlink("/proc/self")  # /proc is still the host's here
    for path in PRIVATE:
        subprocess.run(["mount", "--bind", root + path, path], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    # Without cgroups libvirt places its guests nowhere: no directory is left behind, none is shared with another lab.
    subprocess.run(["umount", "--lazy", "--recursive", "/sys/fs/cgroup"], check=False, stderr=subprocess.DEVNULL)
    ctypes.CDLL(None).prctl(15, b"wiped-lab-init", 0, 0, 0)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print(host_pid, "ready", flush=True)
    while True:
        readable, _, _ = select.select([0, read_end], [], [])
        if read_end in readable:
            os.read(read_end, 4096)
            reap()
        if 0 in readable and not os.read(0, 4096):
            return


def reap() -> None:
    """Collect every child that has ended: libvirt takes a zombie guest for a living one."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


if __name__ == "__main__":
    main()
