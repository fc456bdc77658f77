"""The line between the daemon and one root helper: messages of `wire/` over one connected stream socket, and the start of a helper as a child.

`Link` is the daemon's end (asyncio), `HelperEnd` the helper's (synchronous, sends from any thread). One request at a time on a line; both ends greet
first. The peer of a helper must be root or the user `wiped`. At EOF a helper finishes the I/O in flight and exits; SIGTERM is the same as EOF.

May not: know what a message means beyond its greeting and its failures, decide anything, touch storage.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Final, Literal

import wiped
from wiped.errors import HelperError, RefusedError, StorageError, WipedError
from wiped.wire.framing import decode, encode
from wiped.wire.messages import MAX_LINE, VERSION, Failure, Hello, Message

Program = Literal["eraser", "observer"]
DAEMON_USER: Final = "wiped"
GREETING_SECONDS: Final = 30.0
#: How long a helper may take for the I/O in flight after its line was closed, before it is killed.
FAREWELL_SECONDS: Final = 60.0
#: How long the end of a killed helper is waited for: one whose read hangs in the kernel (state D) ends when the storage answers, and not before.
KILLED_SECONDS: Final = 5.0
#: A helper inherits these and nothing else of the daemon's environment: credentials and sockets of the service are not its business.
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "TZ", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


def peer_uid(sock: socket.socket) -> int:
    """The uid of the process that made or connected the other end (SO_PEERCRED)."""
    uid: int = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    return uid


def failure_of(error: WipedError) -> Failure:
    """The message for an error of ours. Several refusal codes are joined with commas in `reason`."""
    reason = ",".join(error.codes) if isinstance(error, RefusedError) else error.reason if isinstance(error, StorageError) else ""
    return Failure(code=error.code, reason=reason, detail=str(error))


def error_of(failure: Failure) -> WipedError:
    """The error of ours that a helper reported; HelperError for a code that has no class of its own here."""
    if failure.code == RefusedError.code and failure.reason:
        return RefusedError(failure.detail, codes=failure.reason.split(","))
    if failure.code == StorageError.code:
        return StorageError(failure.detail, reason=failure.reason)
    return HelperError(failure.detail)


class Link:
    """The daemon's end of a line to one helper. `pid`: the helper's process id, as it greeted."""

    def __init__(
        self,
        program: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        process: asyncio.subprocess.Process | None,
        *,
        farewell: float = FAREWELL_SECONDS,
    ) -> None:
        self.program = program
        self.pid = process.pid if process is not None else 0
        self._reader = reader
        self._writer = writer
        self._process = process
        self._farewell = farewell
        self._started = ""

    async def send(self, message: Message) -> None:
        """Hand one message to the kernel. Raises HelperError when the helper is gone."""
        try:
            self._writer.write(encode(message))
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise HelperError(f"the {self.program} is gone{await self._epitaph()}") from error

    async def receive(self, timeout: float) -> Message:  # noqa: ASYNC109 - it bounds silence, not the work
        """The next message. Raises HelperError when the helper dies, talks nonsense, or says nothing for `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                line = await self._reader.readuntil(b"\n")
        except TimeoutError as error:
            raise HelperError(f"the {self.program} said nothing for {timeout:g} s") from error
        except asyncio.LimitOverrunError as error:
            raise HelperError(f"the {self.program} sent a line of more than {MAX_LINE} bytes") from error
        except (asyncio.IncompleteReadError, OSError) as error:
            raise HelperError(f"the {self.program} ended in the middle of its work{await self._epitaph()}") from error
        return decode(line)

    async def close(self) -> None:
        """Close the line and wait until the helper has finished its I/O in flight and ended; kill it after the farewell time. Idempotent."""
        try:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        finally:
            if self._process is not None:
                await _see_off(self._process, self._farewell)
            else:
                await _watch_end(self.pid, self._farewell)

    def greeted(self, pid: int) -> None:
        """Remember which process answers: by its start time too, since a process id is given again."""
        self.pid = pid or self.pid
        self._started = _start_time(self.pid)

    def hangs(self) -> bool:
        """Of a line that was closed: whether its helper is there still (where it is our child, it was killed, so it waits in the kernel)."""
        return bool(self._started) and _start_time(self.pid) == self._started

    async def _epitaph(self) -> str:
        """How the child ended, for people; "" when it is not known."""
        if self._process is None:
            return ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                status = await self._process.wait()
                return f" (killed by signal {-status})" if status < 0 else f" (exit status {status})"
        return ""


async def connect(program: Program, *, socket_path: str, config: str, command: Sequence[str] = (), farewell: float = FAREWELL_SECONDS) -> Link:
    """A new line to a helper of its own, greeted. `socket_path` "" starts the helper as a child on a socket pair, which reads `config`.

    `command` replaces the child's command line (tests only). Raises HelperError when it cannot be reached or greets wrongly.
    """
    try:
        if socket_path:
            async with asyncio.timeout(GREETING_SECONDS):
                reader, writer = await asyncio.open_unix_connection(socket_path, limit=MAX_LINE)
            link = Link(program, reader, writer, None, farewell=farewell)
        else:
            link = await _start(program, command or _command(program, config), farewell)
    except (OSError, TimeoutError) as error:
        raise HelperError(f"the {program} cannot be reached: {error.__class__.__name__}") from error
    try:
        await link.send(Hello(version=VERSION, role="daemon", pid=os.getpid(), program=_program()))
        answer = await link.receive(GREETING_SECONDS)
        if isinstance(answer, Failure):
            raise error_of(answer)
        if not isinstance(answer, Hello) or answer.version != VERSION or answer.role != program:
            raise HelperError(f"what answers as {program} does not speak version {VERSION} of its wire")
    except BaseException:
        await link.close()
        raise
    link.greeted(answer.pid)
    return link


def _start_time(pid: int) -> str:
    """When a process began, in clock ticks since the boot (proc_pid_stat(5), field 22); "" for none, and for one that has ended and was not waited for yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read(4096).rpartition(")")[2].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        return ""


def _program() -> str:
    return f"wiped {wiped.__version__}"


def _command(program: str, config: str) -> tuple[str, ...]:
    # -I: a root process takes no code from the working directory and nothing from PYTHON* variables.
    return (sys.executable, "-I", "-m", "wiped", program, "--config", config)


async def _start(program: str, command: Sequence[str], farewell: float) -> Link:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=None,
                close_fds=True,
                start_new_session=True,  # a ^C at the daemon's terminal must not end a wipe in the middle
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )
    except BaseException:
        ours.close()
        raise
    try:
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE)
    except BaseException:
        ours.close()
        await _see_off(process, farewell)
        raise
    return Link(program, reader, writer, process, farewell=farewell)


async def _see_off(process: asyncio.subprocess.Process, farewell: float) -> None:
    """Wait for a child's end; after `farewell` seconds, or when the waiting itself is cancelled, kill it. One that does not end then is left to the event
    loop, which takes note of its end."""
    try:
        async with asyncio.timeout(farewell):
            await process.wait()
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILLED_SECONDS):
                await process.wait()
        if not isinstance(error, TimeoutError):
            raise


async def _watch_end(pid: int, farewell: float) -> None:
    """Wait for the end of a process that is not our child, at most `farewell` seconds: the socket's service manager deals with a hung one."""
    try:
        watched = os.pidfd_open(pid)
    except (OSError, OverflowError):
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(watched, ended.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(farewell):
                await ended.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


class HelperEnd:
    """The helper's end of a line. `receive` belongs to one thread; `send`, `hung_up` and `stop` to any."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()
        self._stopped = threading.Event()
        self._buffer = bytearray()
        self._gone = select.poll()
        self._gone.register(sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        self._room = select.poll()
        self._room.register(sock, select.POLLOUT)

    def greet(self, role: Program) -> None:
        """Check who is there, and exchange greetings. A daemon of another version gets a Failure. Raises HelperError."""
        try:
            self._check_peer()
            message = self.receive()
            if not isinstance(message, Hello) or message.role != "daemon":
                raise HelperError("the first message must be the daemon's hello")
            if message.version != VERSION:
                raise HelperError(f"the daemon speaks version {message.version} of the wire, this {role} version {VERSION}: install the same release of both")
        except HelperError as error:
            self.send(failure_of(error))
            raise
        self.send(Hello(version=VERSION, role=role, pid=os.getpid(), program=_program()))

    def _check_peer(self) -> None:
        uid = peer_uid(self._sock)
        allowed = {0}
        with contextlib.suppress(KeyError):
            allowed.add(pwd.getpwnam(DAEMON_USER).pw_uid)
        if uid not in allowed:
            raise HelperError(f"uid {uid} may not speak to this program; only root and {DAEMON_USER} may")

    def receive(self) -> Message | None:
        """The next message; None at the end of the line (EOF, or `stop`). Raises HelperError for anything that is no message."""
        searched = 0
        while not self._stopped.is_set():
            at = self._buffer.find(b"\n", searched)
            if at >= 0:
                line = bytes(self._buffer[: at + 1])
                del self._buffer[: at + 1]
                return decode(line)
            searched = len(self._buffer)
            if searched >= MAX_LINE:
                raise HelperError(f"a line of more than {MAX_LINE} bytes")
            try:
                piece = self._sock.recv(1 << 18)
            except ConnectionError:
                return None
            if not piece:
                return None
            self._buffer += piece
        return None

    def send(self, message: Message) -> None:
        """Send one message. A daemon that is gone is no error here: the next `receive` tells."""
        line = encode(message)
        with self._sending, contextlib.suppress(ConnectionError):
            self._sock.sendall(line)

    def offer(self, message: Message) -> None:
        """Send one message if the line has room now, else drop it (progress must not hold up I/O)."""
        if self._room.poll(0):
            self.send(message)

    def hung_up(self) -> bool:
        """Whether the daemon is gone or `stop` was called. Cheap: one system call."""
        return self._stopped.is_set() or bool(self._gone.poll(0))

    def stop(self) -> None:
        """Behave from now on as if the daemon had hung up."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def stop_on_sigterm(self) -> None:
        """Make SIGTERM the same as EOF. Main thread only; SIGINT is ignored (the daemon decides)."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
