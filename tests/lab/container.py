"""A whole virtualization host in a container: Debian's systemd as process 1, libvirt, QEMU, at this machine's own speed. Boots in about three seconds.

Its root filesystem is a copy of `hostimage.debian_image`, ext4 on a loop device: once the container has stopped, what that file holds is what a thief of
the disk would find. Kernel, clock and network are this machine's; LVM, power cuts and the kernel's own features are for `HostVM`. Everything inside runs in
a process namespace that ends with the process that made it, even by SIGKILL. Source: docs/lab.md, "A whole systemd host in a container".
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab import guest
from tests.lab.debian import apt_options
from tests.lab.hostimage import copy_project, debian_image
from tests.lab.mounts import make_scratch, remove_scratch
from tests.lab.privatelibvirt import LabError, children, wait_for
from tests.lab.rawdevice import RawFilesystem

#: Seconds that a boot may take on a slow, shared machine.
BOOT = 120
#: Where a guest's kernel and initramfs lie inside.
GUEST = "/var/lib/lab"
#: A container has no cgroup controllers and no mount namespaces to give away.
QEMU_CONF = "cgroup_controllers = []\nnamespaces = []\n"
#: What the container's cgroups are named after: this, the process id of who made it, a random word.
CGROUP = "wiped-lab-"
#: What is bound in of this machine, for its pip and apt; and a path in the text of a setting.
OUTSIDE = "/var/lib/lab/outside"
NAMED = r"(?<=file://)(?P<index>/[\w./+-]+)|(?<![\w/:.])/[\w./+-]+"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Environment variables that say how this machine reaches the registries.
NETWORK = re.compile(r"(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE", re.IGNORECASE)


class Container:
    """One host; a context manager that boots it, and at the end leaves no process, mount, loop device, cgroup or file behind.

    Needs root and a mount namespace of the caller's own (`enter_private_mounts`). `environment`: what every command inside gets besides its path; `init`:
    process id of its systemd, as the caller sees it; `boot_seconds`: how long the last boot took, the copy of the root filesystem included.
    """

    def __init__(self) -> None:
        self.boot_seconds = 0.0
        self.environment: dict[str, str] = {}
        self.filesystem: RawFilesystem | None = None
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.init = 0
        self._cgroups: list[Path] = []

    def __enter__(self) -> Container:
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- life
    def boot(self) -> None:
        """Copy the root filesystem, mount it, start systemd in it and wait until everything is started; raises LabError with its console's end."""
        image = debian_image()
        self._directory = make_scratch()
        try:
            begun = time.monotonic()
            self.filesystem = RawFilesystem("ext4", self.device, copied_from=image)
            self.root.mkdir()
            self.filesystem.mount(self.root)
            with (self.root / "etc/libvirt/qemu.conf").open("a") as file:
                file.write(QEMU_CONF)
            self._start([*self._settings(), f"--bind={self.filesystem.device}"])
            self.boot_seconds = time.monotonic() - begun
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End everything inside at once, and unmount: `device` now holds what is left. Idempotent."""
        if self._process is not None:
            self._process.kill()  # process 1 of the outer namespace goes with it, and the kernel ends the others
            self._process.wait()
            wait_for(lambda: not any((path / "cgroup.procs").read_text() for top in self._cgroups for path in _tree(top)), "an empty cgroup")
            self._process, self.init = None, 0
        _remove(self._cgroups)
        self._cgroups = []
        if self.filesystem is not None:
            self.filesystem.unmount()

    def close(self) -> None:
        """Stop, and delete everything. Idempotent."""
        self.stop()
        self.filesystem = None
        if self._directory != Path():
            remove_scratch(self._directory)
            self._directory = Path()

    @property
    def device(self) -> Path:
        """The file under the loop device of the root filesystem."""
        return self._directory / "device.img"

    @property
    def root(self) -> Path:
        """Where the root filesystem is mounted outside, while the container runs."""
        return self._directory / "root"

    # -- inside
    def run(self, *argv: str, check: bool = True, timeout: float = 120, stdin: str = "", cwd: str = "/") -> subprocess.CompletedProcess[str]:
        """Run a program inside as root; raises LabError where it fails (unless told not to `check`)."""
        done = subprocess.run(self._command(argv, cwd), input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise LabError(f"in the container: {' '.join(argv)[:500]}: exit {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    def sh(self, script: str, *arguments: str, check: bool = True, timeout: float = 120) -> str:
        """Run a bash script inside (``-euo pipefail``); its standard output."""
        return self.run("bash", "-euo", "pipefail", "-c", script, "sh", *arguments, check=check, timeout=timeout).stdout

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """A file inside, with its directories."""
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=text)

    def shell(self, cwd: str) -> Shell:
        """A root shell inside, in the directory `cwd`, as somebody has it who types there."""
        return Shell(self._command(("bash", "-c", "exec bash /dev/fd/3 3<&0 </dev/null"), cwd))

    def checkout(self, path: str) -> None:
        """Put the program's files of this checkout into the new directory `path`."""
        copy_project(self.root / path.lstrip("/"))

    def give_boot_files(self) -> guest.Boot:
        """Put the lab guest's kernel and initramfs inside; their paths there."""
        boot = guest.boot_files()
        place = self.root / GUEST.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        return guest.Boot(*(Path(GUEST) / Path(shutil.copy(path, place)).name for path in (boot.kernel, boot.initrd)))

    def last_words(self) -> str:
        """The end of the console and of the journal, for messages."""
        console = (self._directory / "console.log").read_text(errors="replace")[-2000:]
        journal = self.run("journalctl", "-b", "-n", "60", "--no-pager", check=False).stdout if self.init else ""
        return f"{console}\n{journal}"

    # -- parts
    def _command(self, argv: Sequence[str], cwd: str) -> list[str]:
        if not self.init:
            raise LabError("the container does not run")
        words = [f"{name}={value}" for name, value in {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/root", **self.environment}.items()]
        return ["nsenter", f"--target={self.init}", "--mount", "--uts", "--ipc", "--pid", "--root", f"--wdns={cwd}", "env", "-i", *words, *argv]

    def _settings(self) -> list[str]:
        """Configure pip and apt inside as this machine's are; the options that bind in what those settings name, at places no package knows of."""
        done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
        settings = {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
        for name, value in re.findall(r"^[^=]*\.([\w-]+)='(.*)'$", done.stdout, re.MULTILINE):
            settings[f"PIP_{name.upper().replace('-', '_')}"] = value.replace(r"\n", " ")
        paths: set[str] = set()

        def move(named: re.Match[str]) -> str:
            path = Path(named["index"] or named[0])
            if not path.exists():
                return named[0]
            paths.add(str(path.parent if named["index"] else path))  # the pages of an index name files beside it
            return f"{OUTSIDE}{path}"

        def moved(text: str) -> str:
            return re.sub(NAMED, move, text)

        self.environment = {name: moved(value) for name, value in settings.items()}
        (self.root / "etc/apt/apt.conf.d/99mmdebstrap").write_text("".join(f"{moved(line)}\n" for line in apt_options()))
        return [f"--bind-ro={path}:{OUTSIDE}{path}" for path in sorted(paths)]

    def _start(self, options: list[str]) -> None:
        name = f"{CGROUP}{os.getpid()}-{secrets.token_hex(4)}"
        places = _own_cgroups()
        _sweep_stale(places)
        self._cgroups = [place / name for place in places]
        for path in self._cgroups:
            path.mkdir()
        enter = "".join(f"echo $$ >{shlex.quote(str(path / 'cgroup.procs'))}; " for path in self._cgroups)
        command = [
            "setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "slave",
            # What the shipped unit asks for and a container has not by itself: whether the clock is synchronised.
            "systemd-nspawn", "-q", "-D", str(self.root), "--boot", "--register=no", "--keep-unit", "--console=passive", "--link-journal=no",
            f"--machine={name}", "--hostname=lab-host", "--system-call-filter=@clock", *options,
        ]  # fmt: skip
        with (self._directory / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-ec", f'{enter}exec "$@"', "sh", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.init = wait_for(self._found_init, "systemd in the container", BOOT)
        words = ("running", "degraded")
        try:
            wait_for(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in words, "a booted container", BOOT, 0.2)
        except LabError as error:
            raise LabError(f"{error}\n{self.last_words()}") from None

    def _found_init(self) -> int:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            raise LabError(f"the container ended with {status}:\n{self.last_words()}")
        left = children(self._process.pid)
        while left:
            pid = left.pop()
            try:
                process = Path(f"/proc/{pid}")
                numbers = re.search(r"^NSpid:(.*)$", (process / "status").read_text(), re.MULTILINE)
                if numbers is not None and numbers[1].split()[-1] == "1" and (process / "comm").read_text() == "systemd\n":
                    return pid
            except OSError:
                continue
            left += children(pid)
        return 0


class Shell:
    """A shell that takes one command after another and keeps its directory and variables, as somebody's who types; a context manager that ends it."""

    def __init__(self, argv: list[str]) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._mark = f"--{secrets.token_hex(8)}--"

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def type(self, command: str) -> tuple[int, str]:
        """Type a command; its exit status, and what it printed. Blocks until it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\nprintf '\\n%s %d\\n' {self._mark} $?\n")
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line.startswith(self._mark):
                return int(line.split()[1]), "".join(printed).removesuffix("\n")
            printed.append(line)
        raise LabError(f"the shell ended at {command!r}:\n{''.join(printed)[-4000:]}")


def _own_cgroups() -> list[Path]:
    """Where this process may make cgroups for a systemd: its own in systemd's hierarchy and in the unified one."""
    mounts = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    places = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        for left, right in mounts:
            kind, _, options = right.split(" ", 2)
            if (kind == "cgroup2" and number == "0") or (kind == "cgroup" and controllers == "name=systemd" and controllers in options.split(",")):
                places.append(Path(left.split(" ")[4]) / path.lstrip("/"))
                break
    return places


def _sweep_stale(places: Sequence[Path]) -> None:
    """Remove the cgroups whose maker was killed; whatever ran in them has ended with it."""
    for top in (top for place in places for top in place.glob(CGROUP + "*")):
        if not Path(f"/proc/{top.name.removeprefix(CGROUP).split('-')[0]}").exists():
            with contextlib.suppress(OSError):
                _remove([top])


def _remove(cgroups: Sequence[Path]) -> None:
    for path in (path for top in cgroups for path in _tree(top)):
        path.rmdir()


def _tree(top: Path) -> list[Path]:
    """The directories at and beneath `top`, deepest first."""
    return [Path(path) for path, _, _ in os.walk(top, topdown=False)]
