"""A complete libvirt of our own: libvirtd and virtlogd in private mount and process namespaces.

How it is built. One directory ``workdir`` (same path inside and outside) is a *shared* mount: a filesystem mounted at or
beneath it by either side is seen, and unmounted, on both. ``workdir/root`` holds what the namespace sees at the paths of
`tests.lab.namespace_init.PRIVATE`; `PrivateLibvirt.path` translates. Process 1 of the namespaces ends when this process
ends, even by SIGKILL; the kernel then ends libvirtd, virtlogd, every guest and daemon inside and drops the mounts. So
nothing has to be cleaned up by hand after a crash but the directory, and the next lab's start does that.

Process ids in this API are always those that the caller sees. Source: docs/lab.md, "A real libvirt".
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.lab.forks import Forked, server
from tests.lab.mounts import make_scratch, mount_points, remove_scratch, unmount_beneath
from tests.lab.namespace_init import PRIVATE
from tests.patience import PATIENCE

INIT = Path(__file__).with_name("namespace_init.py")
LIBVIRTD_CONF = """\
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:stderr"
"""
QEMU_CONF = """\
security_driver = "none"
user = "root"
group = "root"
namespaces = []
cgroup_controllers = []
stdio_handler = "logd"
"""
HOOK_NAME = "50-wiped"
CAPABILITIES = "/var/cache/libvirt/qemu/capabilities"

# What a libvirtd of this process has learnt of QEMU, for the next one: saves half a second a lab. libvirt itself checks
# that it still fits (emulator, libvirtd, kernel).
_capabilities: dict[str, bytes] = {}


class LabError(RuntimeError):
    """Something of the lab did not start, stop or answer; the text holds the output of what failed."""


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE, interval: float = 0.02, slowest: float = 0.3) -> Any:
    """Poll ``condition`` until it returns something true, and return that; raises LabError after ``seconds``.

    The first pause takes ``interval`` seconds, and each further one a quarter more, up to ``slowest``: asking costs the processor time that the answer needs.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds:g} s: {what}")
        time.sleep(interval)
        interval = max(interval, min(interval * 1.25, slowest))
    return answer


def children(pid: int) -> list[int]:
    """Ids of the living child processes of ``pid``, in no order."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[1] == str(pid) and fields[0] != "Z":
                found.append(int(entry.name))
    return found


class LabProcess:
    """A program running inside the namespaces. Its own id, not the one of the ``nsenter`` (or its like) that waits for it."""

    def __init__(self, popen: subprocess.Popen[str] | Forked) -> None:
        self.popen = popen
        self.stdin, self.stdout, self.stderr = popen.stdin, popen.stdout, popen.stderr

        def child() -> int | None:
            return next(iter(children(popen.pid)), None) or (-1 if popen.poll() is not None else None)

        self.pid: int = wait_for(child, "nsenter's child")

    def poll(self) -> int | None:
        """Exit status (negative: the signal) or None while it runs."""
        return self.popen.poll()

    def wait(self, timeout: float | None = PATIENCE) -> int:
        """Wait for the end (seconds); raises subprocess.TimeoutExpired."""
        return self.popen.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Send a signal to the program itself, if it still runs."""
        if self.popen.poll() is None and self.pid > 0:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL the program and wait for it."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def terminate(self, timeout: float = PATIENCE) -> int:
        """SIGTERM, then SIGKILL after ``timeout`` seconds; returns the exit status."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait()


class PrivateLibvirt:
    """One private libvirt; a context manager. ``workdir`` None: a scratch directory of its own, deleted at the end.

    ``qemu_conf`` and ``libvirtd_conf`` are appended to the private qemu.conf and libvirtd.conf. `uri` is for programs inside, `connect_uri` for those outside.
    """

    uri = "qemu:///system"

    def __init__(self, workdir: Path | None = None, *, qemu_conf: str = "", libvirtd_conf: str = "") -> None:
        self._own_scratch = workdir is None
        self._given_workdir = workdir
        self._qemu_conf = QEMU_CONF + qemu_conf
        self._libvirtd_conf = LIBVIRTD_CONF + libvirtd_conf
        self._init: subprocess.Popen[str] | None = None
        self._libvirtd: LabProcess | None = None
        self._virtlogd: LabProcess | None = None
        self._started: list[LabProcess] = []
        self._logs: list[IO[str]] = []
        self.workdir = Path()
        self.holder_pid = 0

    # -- life -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> PrivateLibvirt:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Make the namespaces, start virtlogd and libvirtd, wait until libvirtd answers. Raises LabError."""
        self.workdir = make_scratch() if self._given_workdir is None else self._given_workdir.resolve()
        try:
            self._populate()
            subprocess.run(["mount", "--bind", self.workdir, self.workdir], check=True)
            subprocess.run(["mount", "--make-private", self.workdir], check=True)
            subprocess.run(["mount", "--make-shared", self.workdir], check=True)
            self._start_init()
            self._virtlogd = self._start_daemon("virtlogd", "/run/libvirt/virtlogd-sock")
            self.start_libvirtd()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process inside, drop every mount, delete the scratch directory. Idempotent."""
        if self._init is not None:
            assert self._init.stdin is not None
            if self.workdir != Path():
                _capabilities.update({file.name: file.read_bytes() for file in self.path(CAPABILITIES).glob("*.xml")})
            pids = self.pids()
            for process in self._started:
                if process.poll() is None:  # an nsenter that stopped itself with its child would not reap it
                    process.popen.send_signal(signal.SIGCONT)
                    process.send_signal(signal.SIGCONT)
            self._started.clear()
            self._init.stdin.close()  # process 1 ends, and the kernel ends the others before it is reaped
            try:
                self._init.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.kill(self.holder_pid, signal.SIGKILL)
                self._init.wait(PATIENCE)
            if self._init.stdout is not None:
                self._init.stdout.close()
            for daemon in (self._libvirtd, self._virtlogd):
                if daemon is not None:
                    daemon.wait()
            wait_for(lambda: not any(alive(pid) for pid in pids), "all processes of the namespace gone")
        self._init = self._libvirtd = self._virtlogd = None
        for log in self._logs:
            log.close()
        self._logs.clear()
        if self.workdir != Path():
            unmount_beneath(self.workdir)
            if self._own_scratch and self.workdir.exists():
                remove_scratch(self.workdir)
            self.workdir = Path()

    # -- libvirtd ---------------------------------------------------------------------------------------------------

    @property
    def libvirtd_pid(self) -> int:
        """Process id of libvirtd, as the caller sees it."""
        if self._libvirtd is None:
            raise LabError("libvirtd is not running")
        return self._libvirtd.pid

    def start_libvirtd(self) -> None:
        """Start libvirtd (again) and wait until it answers."""
        self._libvirtd = self._start_daemon("libvirtd", "/run/libvirt/libvirt-sock")
        wait_for(lambda: self.virsh("uri", check=False).returncode == 0, "an answer of libvirtd")

    def signal_libvirtd(self, number: int) -> None:
        """Send a signal to libvirtd alone."""
        assert self._libvirtd is not None
        self._libvirtd.send_signal(number)

    def stop_libvirtd(self, number: int = signal.SIGTERM) -> None:
        """End libvirtd alone and wait for it; guests and virtlogd keep running."""
        assert self._libvirtd is not None
        self._libvirtd.send_signal(number)
        self._libvirtd.wait()
        self._libvirtd = None

    def restart(self) -> None:
        """Stop and start libvirtd; guests keep running."""
        self.stop_libvirtd()
        self.start_libvirtd()

    def hup(self) -> None:
        """SIGHUP libvirtd: it re-reads its configuration and looks for hooks; returns once it answers again."""
        os.kill(self.libvirtd_pid, signal.SIGHUP)
        time.sleep(0.3)
        wait_for(lambda: self.virsh("list", check=False).returncode == 0, "an answer of libvirtd after SIGHUP")

    def sigstop(self) -> None:
        """Freeze libvirtd (it hangs: connections are accepted by the kernel and never answered).

        Its ``nsenter`` stops itself with it, and would never reap it if it stayed stopped: `sigcont` must follow.
        """
        os.kill(self.libvirtd_pid, signal.SIGSTOP)
        wait_for(lambda: self._nsenter_state() == "T", "nsenter stopped with its child")

    def sigcont(self) -> None:
        """Thaw libvirtd."""
        assert self._libvirtd is not None
        os.kill(self._libvirtd.popen.pid, signal.SIGCONT)
        os.kill(self.libvirtd_pid, signal.SIGCONT)

    def _nsenter_state(self) -> str:
        assert self._libvirtd is not None
        return Path(f"/proc/{self._libvirtd.popen.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def install_hook(self, source: Path, name: str = HOOK_NAME, *, reload: bool = True) -> Path:
        """Install a qemu hook as ``/etc/libvirt/hooks/qemu.d/<name>`` and let libvirtd find it; returns its path outside."""
        target = self.path("/etc/libvirt/hooks/qemu.d") / name
        target.parent.mkdir(mode=0o755, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755)
        if reload:
            self.hup()
        return target

    @property
    def connect_uri(self) -> str:
        """URI for libvirt-python or virsh outside of the namespace."""
        return f"{self.uri}?socket={self.path('/run/libvirt/libvirt-sock')}"

    # -- inside -----------------------------------------------------------------------------------------------------

    def path(self, inside: str | Path) -> Path:
        """Where a path of the namespace is seen from outside. Paths under ``workdir`` are the same on both sides."""
        text = os.path.normpath(inside)
        if any(text == private or text.startswith(private + "/") for private in PRIVATE):
            return Path(f"{self.workdir}/root{text}")
        return Path(text)

    def argv(self, command: Sequence[str | Path], cwd: str | Path | None = None) -> list[str]:
        """The command line that runs ``command`` inside."""
        where = str(cwd if cwd is not None else os.getcwd())
        prefix = ["nsenter", f"--target={self.holder_pid}", "--mount", "--pid", f"--wdns={where}", "--"]
        return prefix + [str(word) for word in command]

    def run(
        self,
        command: Sequence[str | Path],
        *,
        check: bool = True,
        timeout: float | None = PATIENCE,
        stdin_text: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end, output captured as text; raises LabError with it if it fails and ``check``."""
        done = subprocess.run(
            self.argv(command, cwd), capture_output=True, text=True, timeout=timeout, env=env, check=False,
            **({"stdin": subprocess.DEVNULL} if stdin_text is None else {"input": stdin_text}),
        )  # fmt: skip
        if check and done.returncode != 0:
            raise LabError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def popen(self, command: Sequence[str | Path], *, cwd: str | Path | None = None, **options: Any) -> LabProcess:
        """Start a command inside; ``options`` are subprocess.Popen's. It ends with the namespaces at the latest."""
        options.setdefault("stdin", subprocess.DEVNULL)
        process = LabProcess(subprocess.Popen(self.argv(command, cwd), text=True, **options))
        self._started.append(process)
        return process

    def fork(self, entry: str, argv: Sequence[str], *, cwd: Path, stdin: IO[Any] | None = None, stdout: IO[Any], stderr: IO[Any],
             env: Mapping[str, str], person: Sequence[str] = (), helpers: bool = False) -> LabProcess:  # fmt: skip
        """Start a program of the product inside as `tests.lab.forks` does: `entry` is "module:function", `argv` becomes sys.argv."""
        with open(os.devnull, "rb") as nothing:
            standard = ((stdin or nothing).fileno(), stdout.fileno(), stderr.fileno())
            process = LabProcess(server().start(entry, argv, standard, cwd=cwd, env=env, holder=self.holder_pid, person=person, helpers=helpers))
        self._started.append(process)
        return process

    def run_forked(self, entry: str, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin_text: str = "", timeout: float = PATIENCE,
                   person: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """`fork` to the program's end, output captured as text. Raises subprocess.TimeoutExpired."""
        with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            asked.write(stdin_text)
            asked.seek(0)
            process = self.fork(entry, argv, cwd=cwd, stdin=asked, stdout=out, stderr=err, env=env, person=person)
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(argv, status, out.read(), err.read())

    def virsh(self, *words: str | Path, check: bool = True, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run virsh inside against the private libvirtd."""
        return self.run(["virsh", "-q", "-c", self.uri, *words], check=check, timeout=timeout)

    def define(self, xml: str) -> None:
        """Define a domain from its XML."""
        self._with_xml("define", xml)

    def create(self, xml: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Create (start) a transient domain from its XML."""
        return self._with_xml("create", xml, check)

    def state(self, domain: str) -> str:
        """``virsh domstate``, or ``undefined``."""
        done = self.virsh("domstate", domain, check=False)
        return done.stdout.strip() if done.returncode == 0 else "undefined"

    def pids(self) -> list[int]:
        """Every process of the namespaces, process 1 included, as the caller sees them."""
        if not self.holder_pid or self._init is None:
            return []
        try:
            mine = os.readlink(f"/proc/{self.holder_pid}/ns/pid")
        except OSError:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "ns/pid") == mine:
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def mounted(self) -> list[Path]:
        """Mount points at or beneath the scratch directory, its own included; deepest first."""
        return mount_points(self.workdir)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _populate(self) -> None:
        root = self.workdir / "root"
        for path in PRIVATE:
            (root / path.lstrip("/")).mkdir(parents=True, mode=0o755)
            Path(path).mkdir(parents=True, exist_ok=True)  # a mount point must exist; an empty one harms nobody
        for path in ("run/lock", "run/libvirt", "etc/libvirt/hooks", "var/log/libvirt/qemu", "var/lib/wiped/fence"):
            (root / path).mkdir(parents=True, exist_ok=True)
        for name, content in _capabilities.items():
            cached = root / CAPABILITIES.lstrip("/") / name
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(content)
        (root / "etc/libvirt/libvirtd.conf").write_text(self._libvirtd_conf)
        (root / "etc/libvirt/qemu.conf").write_text(self._qemu_conf)
        (root / "etc/libvirt/virtlogd.conf").write_text('log_outputs = "2:stderr"\n')

    def _start_init(self) -> None:
        self._init = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "unchanged", "--",
             sys.executable, "-I", str(INIT), f"{self.workdir}/root"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._init.stdout is not None
        words = self._init.stdout.readline().split()
        if len(words) != 2 or words[1] != "ready":
            raise LabError(f"the namespaces could not be made (root needed): {words}")
        self.holder_pid = int(words[0])

    def _start_daemon(self, name: str, socket: str) -> LabProcess:
        """Start a daemon in the foreground, its messages in ``workdir/<name>.log``, and wait for its socket."""
        log_path = self.workdir / f"{name}.log"
        log = log_path.open("a")
        self._logs.append(log)
        self.path(socket).unlink(missing_ok=True)
        process = self.popen([name], stdout=log, stderr=log, cwd="/")

        def listening() -> bool:
            if process.poll() is not None:
                raise LabError(f"{name} ended with {process.poll()}:\n{log_path.read_text()[-2000:]}")
            return self.path(socket).exists()

        wait_for(listening, f"socket of {name}")
        return process

    def _with_xml(self, verb: str, xml: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(["virsh", "-q", "-c", self.uri, verb, "/dev/stdin"], stdin_text=xml, check=check)


def alive(pid: int) -> bool:
    """Whether a process of this id exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
