"""`wiped`: the daemon's side of the command line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import wiped
from tests.patience import PATIENCE
from wiped.cli import daemon

GOOD = '[host]\nresidency = "eu-de"\n[storage]\nroots = ["/srv/phones"]\n'


def _config(path: Path, text: str = GOOD) -> str:
    file = path / "wiped.toml"
    file.write_text(text)
    return str(file)


def test_a_good_configuration_is_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a root that is not there now is mentioned: a mistyped one would leave every phone refused."""
    assert daemon.run(["check-config", "--config", _config(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out.endswith(": good\n")
    assert "'/srv/phones' is no directory here now" in said.err


def test_a_bad_configuration_is_code_78_with_every_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each."""
    path = _config(tmp_path, '[storage]\nroots = ["srv"]\nrots = 1\n[nonsense]\n')
    for command in ("check-config", "run", "migrate"):
        assert daemon.run([command, "--config", path]) == 78
        said = capsys.readouterr().err
        for key in ("storage.roots[0]", "storage.rots", "host.residency", "nonsense"):
            assert f"  {key}: " in said


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["run", "--nonsense"], ["run", "--conf", "x"], ["run", "extra"]])
def test_wrong_usage_is_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No abbreviations: a script's option must not change its meaning with the next version."""
    assert daemon.run(argv) == 2
    assert "usage: wiped" in capsys.readouterr().err


def test_version_and_help_are_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    """To stdout."""
    assert daemon.run(["--version"]) == 0
    assert capsys.readouterr().out == f"wiped {wiped.__version__}\n"
    assert daemon.run(["--help"]) == 0
    assert "check-config" in capsys.readouterr().out


def _helper(tmp_path: Path, program: str, **more: object) -> subprocess.CompletedProcess[str]:
    path = _config(tmp_path)
    command = [sys.executable, "-m", "wiped", program, "--config", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **more)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("program", ["eraser", "observer"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns files of root")
def test_a_helper_that_a_person_starts_says_so(tmp_path: Path, program: str) -> None:
    """Standard input is no socket: code 2 and a sentence."""
    done = _helper(tmp_path, program, stdin=subprocess.DEVNULL)
    assert (done.returncode, "people do not" in done.stderr) == (2, True)
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [f"wiped {program}", "hint"]


@pytest.mark.parametrize("program", ["eraser", "observer"])
def test_a_helper_with_a_bad_configuration_is_code_78(tmp_path: Path, program: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it looks at its line."""
    path = tmp_path / "wiped.toml"
    path.write_text(GOOD)
    path.chmod(0o666)
    assert daemon.run([program, "--config", str(path)]) == 78
    assert "wiped.toml" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns files of root")
def test_a_datagram_socket_is_no_line(tmp_path: Path) -> None:
    """The wire is a stream."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        done = _helper(tmp_path, "observer", stdin=theirs)
    assert (done.returncode, "not a stream" in done.stderr) == (2, True)


@pytest.mark.parametrize(("program", "other"), [("eraser", "wiped.observe"), ("observer", "wiped.erase")])
def test_a_helper_loads_nothing_of_the_daemon(program: str, other: str) -> None:
    """Neither aiohttp nor libvirt nor the other helper's room: what is not loaded cannot be misused, and a wipe starts at once."""
    code = (
        "import sys\nfrom wiped.cli import daemon\n"
        f"from wiped.{'erase' if program == 'eraser' else 'observe'} import {program}\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} | {'.'.join(name.split('.')[:2]) for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout.split()
    assert {"aiohttp", "structlog", "sqlalchemy", "libvirt", "pydantic_settings", other} & set(loaded) == set()
