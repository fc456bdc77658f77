"""The socket's own life: made safely, never stolen, removed at the end; and what the API logs."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from pathlib import Path

import pytest

from tests.fakes.service import UUID_ONE, FakeService
from tests.unit.api.conftest import Face
from wiped import logs
from wiped.api.http.identity import Access
from wiped.api.server import ApiServer, open_socket
from wiped.errors import ConfigError


def _server(path: Path) -> ApiServer:
    return ApiServer(FakeService(), path=str(path), group="", access=Access(), parse_import=lambda data, form: ())


async def test_a_dead_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    """A second daemon does not take the first one's socket; after the first's death it does."""
    path = tmp_path / "w.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first = _server(path)
    await first.start()
    with pytest.raises(ConfigError, match="another daemon answers there"):
        await _server(path).start()
    await first.stop()
    assert not path.exists()


def test_a_file_in_the_socket_s_place_is_left_alone(tmp_path: Path) -> None:
    """It is no socket: an error, and the file stays."""
    path = tmp_path / "w.sock"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is no socket"):
        open_socket(str(path), "")
    assert path.read_text() == "precious"


def test_a_link_in_the_socket_s_place_is_left_alone(tmp_path: Path) -> None:
    """A symbolic link is not followed."""
    (tmp_path / "target").write_text("precious")
    (tmp_path / "w.sock").symlink_to(tmp_path / "target")
    with pytest.raises(ConfigError, match="is no socket"):
        open_socket(str(tmp_path / "w.sock"), "")


def test_an_unknown_default_group_leaves_the_socket_to_the_daemon_s_user(tmp_path: Path) -> None:
    """Nobody else may connect, and the log says why."""
    path = tmp_path / "w.sock"
    told = io.StringIO()
    logs.configure(stream=told)
    open_socket(str(path), "no-such-group-here").close()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert "no such group" in told.getvalue()


def test_the_umask_is_given_back(tmp_path: Path) -> None:
    """Making the socket changes nothing else."""
    before = os.umask(0o022)
    os.umask(before)
    open_socket(str(tmp_path / "w.sock"), "").close()
    after = os.umask(before)
    assert before == after


async def test_an_unexpected_error_is_logged_once_and_redacted(face: Face) -> None:
    """Type and place in the log, the customer's reference not."""
    told = io.StringIO()
    logs.configure(stream=told)
    face.service.fails["explain"] = KeyError("account=customer-4711")
    answer = await face.ask("GET", f"/v1/phones/{UUID_ONE}/explain")
    assert answer.status == 500
    assert told.getvalue().count("a request failed unexpectedly") == 1
    assert "KeyError" in told.getvalue()
    assert "customer-4711" not in told.getvalue()


async def test_a_client_that_speaks_nonsense_gets_400_and_no_echo(face: Face) -> None:
    """The parser's own refusal repeats nothing into the log."""
    told = io.StringIO()
    logs.configure(stream=told)
    reader, writer = await asyncio.open_unix_connection(face.path)
    writer.write(b"SECRET-4711 nonsense\r\n\r\n")
    answer = await reader.read(4096)
    writer.close()
    await writer.wait_closed()
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert "SECRET-4711" not in told.getvalue()


def test_the_socket_is_for_its_group_alone(face: Face) -> None:
    """Mode 0660."""
    assert oct(Path(face.path).stat().st_mode & 0o7777) == "0o660"
