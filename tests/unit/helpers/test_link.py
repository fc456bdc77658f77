"""The line between daemon and helper, with real child processes and real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wiped.errors import HelperError, LedgerError, RefusedError, StorageError
from wiped.helpers.link import HelperEnd, Link, connect, error_of, failure_of, peer_uid
from wiped.helpers.link import _start_time as start_time
from wiped.wire.framing import decode, encode
from wiped.wire.messages import MAX_LINE, VERSION, Failure, Hello, Leave, Left, Progress

PROLOGUE = """
import os, signal, socket, sys, time
from wiped.helpers.link import HelperEnd
from wiped.wire.messages import Left, Progress
sock = socket.socket(fileno=0)
end = HelperEnd(sock)
end.stop_on_sigterm()
end.greet("eraser")
"""
ECHO = (
    PROLOGUE
    + """
while (message := end.receive()) is not None:
    end.send(Left(artefact_id=message.artefact_id))
"""
)


def command(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", program)


def is_there(pid: int) -> bool:
    """Whether the process exists, as a zombie too."""
    return Path(f"/proc/{pid}").exists()


async def start(program: str, farewell: float = 10.0) -> Link:
    return await connect("eraser", socket_path="", config="/nowhere", command=command(program), farewell=farewell)


async def test_messages_go_both_ways_and_the_child_ends_with_the_line() -> None:
    """A child greets, answers, and is gone (not a zombie) once the line is closed."""
    link = await start(ECHO)
    assert link.pid != os.getpid()
    await link.send(Leave(artefact_id="a1"))
    assert await link.receive(PATIENCE) == Left(artefact_id="a1")
    await link.close()
    assert not is_there(link.pid)


async def test_a_killed_helper_is_an_error_at_once() -> None:
    """SIGKILL of the helper ends a waiting receive before its timeout (which would say "said nothing"), and says how."""
    link = await start(PROLOGUE + "time.sleep(600)")
    waiting = asyncio.create_task(link.receive(3_600))
    await asyncio.sleep(0.05)
    os.kill(link.pid, signal.SIGKILL)
    with pytest.raises(HelperError, match="killed by signal 9"):
        await waiting
    await link.close()


async def test_a_silent_helper_is_an_error_after_the_timeout_and_is_killed_in_the_end() -> None:
    """A helper that neither speaks nor ends is given its farewell time and no more."""
    link = await start(PROLOGUE + "time.sleep(600)", farewell=0.2)
    with pytest.raises(HelperError, match="said nothing"):
        await link.receive(0.1)
    await link.close()
    assert not is_there(link.pid)


async def test_a_helper_that_ends_before_its_greeting_is_an_error() -> None:
    """An exit before hello (a bad configuration file) is told with its status, and nothing is left behind."""
    with pytest.raises(HelperError, match="exit status 78"):
        await start("import sys; sys.exit(78)")


async def test_another_role_is_not_accepted() -> None:
    """The observer's socket in the eraser's place is noticed at the greeting."""
    with pytest.raises(HelperError, match="does not speak"):
        await connect("observer", socket_path="", config="", command=command(ECHO))


async def test_a_closed_line_lets_the_helper_finish_its_work(tmp_path: Path) -> None:
    """Closing the line waits until the helper has done what it was doing."""
    done = tmp_path / "done"
    link = await start(PROLOGUE + f"time.sleep(0.5); open({str(done)!r}, 'w').close()")
    await link.close()
    assert done.exists()


async def test_a_helper_behind_a_socket_is_reached_and_watched(tmp_path: Path) -> None:
    """With a socket path the line is a Unix connection, and close waits for the end of the process that greeted."""
    path = str(tmp_path / "s")
    server = (
        "import os, socket\n"
        f"listener = socket.socket(socket.AF_UNIX); listener.bind({path!r}); listener.listen()\n"
        "sock, _ = listener.accept()\nos.dup2(sock.fileno(), 0)\n" + ECHO.replace("import os, signal", "import signal")
    )
    process = await asyncio.create_subprocess_exec(*command(server))
    while not os.path.exists(path):
        await asyncio.sleep(0.01)
    link = await connect("eraser", socket_path=path, config="")
    await link.send(Leave(artefact_id="b"))
    assert await link.receive(PATIENCE) == Left(artefact_id="b")
    await link.close()
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0


async def test_no_helper_behind_the_socket_path(tmp_path: Path) -> None:
    """A socket that is not there is a HelperError."""
    with pytest.raises(HelperError, match="cannot be reached"):
        await connect("eraser", socket_path=str(tmp_path / "none"), config="")


async def test_a_helper_does_not_inherit_the_services_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials' directory and notify socket of the daemon do not reach the helper."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    link = await start(PROLOGUE + "end.receive(); end.send(Left(artefact_id=','.join(sorted(os.environ))))")
    await link.send(Leave(artefact_id=""))
    answer = await link.receive(PATIENCE)
    await link.close()
    assert isinstance(answer, Left)
    assert "PATH" in answer.artefact_id
    assert "CREDENTIALS" not in answer.artefact_id


async def test_sigterm_is_the_same_as_eof() -> None:
    """A helper that gets SIGTERM while it waits for a message ends as if the daemon had hung up."""
    link = await start(ECHO)
    os.kill(link.pid, signal.SIGTERM)
    with pytest.raises(HelperError, match="exit status 0"):
        await link.receive(PATIENCE)
    await link.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, HelperEnd]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, HelperEnd(theirs)


def test_another_version_is_told_and_refused(ends: tuple[socket.socket, HelperEnd]) -> None:
    """A daemon of another version gets a failure that says what to do; the helper stops."""
    ours, end = ends
    ours.sendall(encode(Hello(version=VERSION + 1, role="daemon")))
    with pytest.raises(HelperError, match="version"):
        end.greet("eraser")
    answer = decode(ours.recv(65536))
    assert isinstance(answer, Failure)
    assert answer.code == "helper-failure"


def test_a_message_before_the_greeting_is_refused(ends: tuple[socket.socket, HelperEnd]) -> None:
    """Nothing is done before the greeting."""
    ours, end = ends
    ours.sendall(encode(Leave(artefact_id="a")))
    with pytest.raises(HelperError, match="hello"):
        end.greet("eraser")


def test_a_line_without_end_is_not_collected_for_ever(ends: tuple[socket.socket, HelperEnd]) -> None:
    """A line longer than the wire takes is an error, not a memory leak."""
    ours, end = ends

    def flood() -> None:
        piece = b"x" * (1 << 20)
        with ours:
            for _ in range(MAX_LINE // len(piece) + 2):
                try:
                    ours.sendall(piece)
                except OSError:
                    return

    sender = threading.Thread(target=flood)
    sender.start()
    with pytest.raises(HelperError, match="line of more than"):
        end.receive()
    end.stop()
    sender.join(10)
    assert not sender.is_alive()


def test_several_messages_in_one_piece_and_one_in_several(ends: tuple[socket.socket, HelperEnd]) -> None:
    """Message borders are lines, not packets."""
    ours, end = ends
    one, two = encode(Leave(artefact_id="1")), encode(Leave(artefact_id="2"))
    ours.sendall(one + two[:10])
    assert end.receive() == Leave(artefact_id="1")
    ours.sendall(two[10:])
    assert end.receive() == Leave(artefact_id="2")
    ours.close()
    assert end.receive() is None


def test_hanging_up_is_seen_in_the_middle_of_work(ends: tuple[socket.socket, HelperEnd]) -> None:
    """A busy helper sees that the daemon is gone without reading, and sending to nobody is no error."""
    ours, end = ends
    assert not end.hung_up()
    ours.close()
    assert end.hung_up()
    end.send(Left(artefact_id="a"))
    end.send(Left(artefact_id="a"))


def test_offered_progress_never_blocks(ends: tuple[socket.socket, HelperEnd]) -> None:
    """A daemon that reads nothing does not hold up the helper's I/O: the first offer that blocked would never return."""
    _ours, end = ends
    for done in range(20_000):
        end.offer(Progress(artefact_id="a", done=done, total=20_000))


def test_threads_send_whole_lines(ends: tuple[socket.socket, HelperEnd]) -> None:
    """Lines of several threads are never mixed."""
    ours, end = ends
    threads = [threading.Thread(target=lambda: [end.send(Left(artefact_id="x" * 3000)) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    daemon = HelperEnd(ours)
    assert {daemon.receive() for _ in range(200)} == {Left(artefact_id="x" * 3000)}
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    "error",
    [RefusedError("no", codes=["in-use", "symlink"]), StorageError("disk", reason="io-error"), HelperError("odd")],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_the_wire(error: RefusedError | StorageError | HelperError) -> None:
    """An error arrives as the class that left, with its codes."""
    arrived = error_of(failure_of(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_an_error_without_a_class_here_is_a_helpers_failure() -> None:
    """A code that a helper should not send becomes HelperError."""
    assert type(error_of(failure_of(LedgerError("full")))) is HelperError


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_the_peer_is_who_made_the_line() -> None:
    """Its uid says whose record files a helper may trust beside root's."""
    os.seteuid(64_001)
    try:
        ours, theirs = socket.socketpair()
    finally:
        os.seteuid(0)
    with ours, theirs:
        assert peer_uid(theirs) == 64_001


async def test_a_helper_that_ended_does_not_hang() -> None:
    """Its number stands in /proc until it is waited for."""
    child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    try:
        assert start_time(child)
        os.kill(child, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while start_time(child):
                await asyncio.sleep(0.01)
        with open(f"/proc/{child}/stat", encoding="ascii", errors="replace") as file:
            assert file.read().rpartition(")")[2].split()[0] == "Z"
    finally:
        os.waitpid(child, 0)
