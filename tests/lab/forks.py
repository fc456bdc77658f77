"""The product's programs, started by forking a process that has loaded them: loading takes most of a short program's processor time, and the suite starts
hundreds.

One server per process of the suite: started at the first use, ended with this process (its line is closed, by SIGKILL too). What is forked has
the namespaces, the user, the directory, the environment and the three standard descriptors that it is asked for, nothing else of the server's, and runs the
program's own entry point to its end. A daemon started with `helpers=True` has its helpers forked in the same way, instead of loading
each anew. The programs themselves, as installed, are started by the tour, the demo, the tests of the unit, of the helpers' line and of crashes.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import fcntl
import gc
import grp
import importlib
import json
import os
import pwd
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

_PIDS, _MOUNTS = 0x20000000, 0x00020000  # CLONE_NEWPID, CLONE_NEWNS of sched.h


class Forked:
    """A forked program, with those methods of `subprocess.Popen` that the lab uses. `pid` is its parent's, which waits for it, as nsenter does."""

    stdin = stdout = stderr = None

    def __init__(self, status: int) -> None:
        self._status = status
        self._said = b""
        self.returncode: int | None = None
        while self._said.count(b"\n") < 1:
            self._listen(None)
        self.pid, self.program, _ = (int(word) for word in self._said.split(b"\n")[0].split())

    def poll(self) -> int | None:
        """Exit status (negative: the signal), or None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end (seconds); raises subprocess.TimeoutExpired."""
        ended = self._ended(timeout)
        if ended is None:
            raise subprocess.TimeoutExpired(f"forked program {self.program}", timeout or 0)
        return ended

    def send_signal(self, number: int) -> None:
        """Send a signal to the process that waits for the program."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def leave(self) -> None:
        """Hear of it no more: what listens ends, a program goes on."""
        if self.returncode is None:
            self.returncode = 0
            os.close(self._status)

    def _ended(self, timeout: float | None) -> int | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._listen(left):
                return None
        return self.returncode

    def _listen(self, seconds: float | None) -> bool:
        ready = select.poll()
        ready.register(self._status, select.POLLIN)
        if not ready.poll(None if seconds is None else seconds * 1000):
            return False
        more = os.read(self._status, 100)
        self._said += more
        lines = self._said.split(b"\n")
        if len(lines) == 3 or not more:
            self.returncode = int(lines[1]) if len(lines) == 3 else -signal.SIGKILL
            os.close(self._status)
        return True


class ForkServer:
    """The server with `modules` loaded. `start` may be called from one thread at a time."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2], pass_fds=[theirs.fileno()], start_new_session=True, env=env,
            )  # fmt: skip

    def start(
        self, entry: str, argv: Sequence[str], standard: tuple[int, int, int], *,
        cwd: Path, env: Mapping[str, str], holder: int = 0, person: Sequence[str] = (), helpers: bool = False,
    ) -> Forked:  # fmt: skip
        """Start `entry` ("module:function") with `argv` as sys.argv and `standard` as descriptors 0 to 2. `holder`: a process of the pid and mount namespaces
        to run in, 0 for this process's own. `person`: (user, group, further groups...), () for this process's own. `helpers`: see above."""
        request = _request(entry, argv, cwd, env, holder) | {"helpers": helpers}
        if person:
            request["person"] = [pwd.getpwnam(person[0]).pw_uid, *(grp.getgrnam(name).gr_gid for name in person[1:])]
        return self._ask(request, standard)

    def listen(self, address: str, entry: str, argv: Sequence[str]) -> Forked:
        """Start `entry` anew for every connection to the unix socket `address` (an abstract one begins with a NUL), on its descriptor 0, as systemd does for
        a socket with Accept=yes. It listens until `Forked.leave`, or this process's end."""
        request = _request(entry, argv, Path("/"), os.environ) | {"address": address}
        with open(os.devnull, "r+b") as nothing:
            return self._ask(request, (nothing.fileno(), nothing.fileno(), 2))

    def stop(self) -> None:
        """End the server; what it forked goes on."""
        self._line.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any], standard: tuple[int, int, int]) -> Forked:
        return Forked(_send(self._line, request, standard))


def _request(entry: str, argv: Sequence[str], cwd: Path, env: Mapping[str, str], holder: int = 0) -> dict[str, Any]:
    asked = {"entry": entry, "argv": list(argv), "cwd": str(cwd), "env": dict(env), "holder": holder}
    return asked | {"person": [], "helpers": False, "session": False, "address": ""}


def _send(line: socket.socket, request: dict[str, Any], standard: tuple[int, int, int]) -> int:
    """Send a request; the descriptor on which its status is told."""
    status, theirs = os.pipe()
    try:
        socket.send_fds(line, [json.dumps(request).encode()], [*standard, theirs, *([line.fileno()] if request["helpers"] else [])])
    finally:
        os.close(theirs)
    return status


class ForkedHelper:
    """A helper of a forked daemon, with what `wiped.helpers.link` uses of `asyncio.subprocess.Process`. `pid` is the helper's in the daemon's namespace."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._told = asyncio.Event()
        self._said = b""
        self.pid = 0
        os.set_blocking(status, False)
        asyncio.get_running_loop().add_reader(status, self._listen)

    async def started(self) -> Self:
        """Wait until it has been forked."""
        while not self.pid:
            self._told.clear()
            await self._told.wait()
        return self

    async def wait(self) -> int:
        """Exit status (negative: the signal)."""
        while self._said.count(b"\n") < 2:
            self._told.clear()
            await self._told.wait()
        return int(self._said.split(b"\n")[1])

    def kill(self) -> None:
        """SIGKILL; raises ProcessLookupError."""
        os.kill(self.pid, signal.SIGKILL)

    def _listen(self) -> None:
        more = os.read(self._status, 100)
        self._said += more or b"-9\n-9\n"
        if self._said.count(b"\n") >= 2:
            asyncio.get_running_loop().remove_reader(self._status)
            os.close(self._status)
        self.pid = int(self._said.split(b"\n")[0].split()[-1])
        self._told.set()


def _fork_helpers(line: socket.socket, holder: int) -> None:
    """Let `asyncio.create_subprocess_exec` fork helpers in this daemon; the product starts nothing else by it."""

    async def forked(*command: str, stdin: int, env: Mapping[str, str], **_: Any) -> ForkedHelper:
        request = _request("wiped.__main__:main", command[command.index("wiped") :], Path("/"), env, holder) | {"session": True}
        with open(os.devnull, "r+b") as nothing:
            return await ForkedHelper(_send(line, request, (stdin, nothing.fileno(), 2))).started()

    asyncio.create_subprocess_exec = forked  # type: ignore[assignment]


def measured() -> bool:
    """Whether coverage measures the programs that this process starts: what is forked cannot be."""
    return any(name.startswith("COVERAGE_PROCESS") for name in os.environ)


_server: ForkServer | None = None


def server() -> ForkServer:
    """The server of this process, with the daemon, the helpers and `wipectl` loaded."""
    global _server  # noqa: PLW0603 - one per process
    if _server is None:
        _server = ForkServer(("wiped.app", "wiped.logs", "wiped.cli.main", "wiped.cli.daemon", "wiped.erase.eraser"))
    return _server


def stop_server() -> None:
    """End the server of this process, if there is one."""
    global _server  # noqa: PLW0603 - one per process
    if _server is not None:
        _server.stop()
    _server = None


# -- the server's side


def _next(line: socket.socket) -> dict[str, Any]:
    """Wait for requests; returns only in the program that was forked for one."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(line, 1 << 20, 8)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            request = json.loads(message)
            line.close()
            if request["helpers"]:  # out of the way of what is closed in the program
                request["line"] = fcntl.fcntl(descriptors[4], fcntl.F_DUPFD_CLOEXEC, 500)
                os.close(descriptors.pop())
            return _stand_between(request, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _stand_between(request: dict[str, Any], stdin: int, stdout: int, stderr: int, status: int) -> dict[str, Any]:
    """Fork the program inside the namespaces and wait for it; returns only in the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if request["holder"]:
        for name, kind in (("pid", _PIDS), ("mnt", _MOUNTS)):
            _enter(request["holder"], name, kind)
    if request["address"]:
        return _listen(request, stdin, stdout, stderr, status)
    told, tell = os.pipe()
    program = os.fork()
    if program == 0:
        os.write(tell, str(os.getpid()).encode())
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            os.dup2(descriptor, number)
        os.closerange(3, tell + 1)
        return request
    for descriptor in (stdin, stdout, stderr, tell):
        os.close(descriptor)
    os.write(status, f"{os.getpid()} {program} {os.read(told, 20).decode()}\n".encode())
    _, ended = os.waitpid(program, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _listen(request: dict[str, Any], stdin: int, stdout: int, stderr: int, status: int) -> dict[str, Any]:
    """Accept until nobody hears of it any more; returns only in a program, with its connection as descriptor 0."""
    os.close(stdin)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(request["address"])
        listener.listen(128)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.write(status, f"{os.getpid()} {os.getpid()} {os.getpid()}\n".encode())
        waiting = select.poll()
        waiting.register(listener, select.POLLIN)
        waiting.register(status, 0)  # POLLERR once the reader has closed it
        while all(descriptor != status for descriptor, _ in waiting.poll()):
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for number, descriptor in enumerate((connection.fileno(), stdout, stderr)):
                        os.dup2(descriptor, number)
                    os.closerange(3, connection.detach() + 1)
                    listener.detach()
                    return request
    os._exit(0)


def _enter(holder: int, name: str, kind: int) -> None:
    """Join one namespace of a process, as nsenter does (setns(2))."""
    path = f"/proc/{holder}/ns/{name}"
    with open(path, "rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), kind) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)


def _become(request: dict[str, Any]) -> None:
    if request["session"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    if request["person"]:
        user, group, *_ = request["person"]
        os.setgroups(request["person"][1:])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    if request["helpers"]:
        _fork_helpers(socket.socket(fileno=request["line"]), request["holder"])
    sys.argv = request["argv"]


def main() -> None:
    """Load what is named on the command line, and serve the line; in a forked program: be that program."""
    line = socket.socket(fileno=int(sys.argv[1]))
    line.set_inheritable(False)
    for module in sys.argv[2:]:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that stand between
    gc.collect()
    gc.freeze()
    request = _next(line)
    _become(request)
    module, _, function = request["entry"].partition(":")
    status: Any = 1
    try:
        status = getattr(importlib.import_module(module), function)()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    # As sys.exit() does, but that the interpreter does not take every loaded module down piece by piece: that takes longer than most of these programs.
    if isinstance(status, str):
        print(status, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    main()
