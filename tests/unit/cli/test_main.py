"""The program `wipectl`: usage, the installed process, and errors with what to do next."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.fakes.service import APPROVAL_ID, make_audit
from tests.patience import PATIENCE
from tests.unit.cli.conftest import Operator
from wiped.cli.main import NOUNS, command_names, make_app
from wiped.errors import InputError, RefusedError

WIPE = ("wipe", "phone-one", "--reason", "the service has ended", "--confirm", "phone-one", "--ticket", "T-1")


@pytest.mark.parametrize(
    "argv",
    [
        ("nonsense",),
        ("wipe", "phone-one"),
        ("wipe", "phone-one", "--reason", "r"),
        ("status", "--nonsense"),
        ("--output", "xml", "status"),
        ("phones",),
        ("phones", "list", "extra"),
        ("audit", "tail", "--last", "many"),
    ],
)
def test_wrong_usage_is_code_2(operator: Operator, argv: tuple[str, ...]) -> None:
    """A sentence on stderr; nothing reaches the daemon."""
    ran = operator.run(*argv)
    if argv == ("phones",):
        assert "list" in ran.out
        return
    assert (ran.code, operator.service.asked) == (2, [])
    assert ran.err.startswith("wipectl: ")


def test_the_installed_program_answers(operator: Operator) -> None:
    """The real process: WIPED_SOCKET, JSON on stdout, the exit code of a refusal."""
    program = [sys.executable, "-c", "from wiped.cli.main import main; main()"]
    environ = {**os.environ, "WIPED_SOCKET": operator.path}
    done = subprocess.run([*program, "--output", "json", "status"], env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, json.loads(done.stdout)["host"]) == (0, "host-1")
    operator.service.fails["request_wipe"] = RefusedError("no", codes=("legal-hold",))
    done = subprocess.run([*program, *WIPE], env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, "legal-hold" in done.stderr) == (3, True)


def test_a_reader_that_goes_away_is_no_error(operator: Operator) -> None:
    """`wipectl ... | head -1`."""
    program = f"{sys.executable} -c 'from wiped.cli.main import main; main()'"
    environ = {**os.environ, "WIPED_SOCKET": operator.path}
    operator.service.entries = make_audit(1_000)
    done = subprocess.run(
        ["bash", "-c", f"{program} audit tail --last 1000 | head -1; exit ${{PIPESTATUS[0]}}"],
        env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_hint_is_a_line_below_the_error(operator: Operator) -> None:
    """The daemon's and our own: what is wrong first, what to do next below, and a field of the document."""
    operator.service.fails["request_wipe"] = RefusedError("a legal hold reaches it", codes=("legal-hold",), hint="`wipectl holds list` shows the hold")
    said = ["wipectl: refused: a legal hold reaches it [legal-hold]", "hint: `wipectl holds list` shows the hold"]
    ran = operator.run(*WIPE)
    assert (ran.code, ran.out, ran.err.splitlines()) == (3, "", said)
    ran = operator.run("--output", "json", *WIPE)
    assert (ran.code, ran.json["hint"], ran.err.splitlines()) == (3, "`wipectl holds list` shows the hold", said)
    ran = operator.run("--output", "json", "quarantine", "retry", "phone-one")
    assert ran.err.splitlines() == [f"wipectl: bad-input: {ran.json['detail']}", f"hint: {ran.json['hint']}"]
    assert (ran.code, "wipectl explain" in ran.json["hint"]) == (2, True)


def test_a_hint_stands_below_every_fault(operator: Operator) -> None:
    """An error without a hint has no such line and no such field."""
    faults = [("line 2", "has no account"), ("line 3", "has no term")]
    operator.service.fails["request_wipe"] = InputError("nothing was imported", faults=faults, hint="correct the file and import it again")
    lines = operator.run(*WIPE).err.splitlines()
    assert lines[1:] == ["  line 2: has no account", "  line 3: has no term", "hint: correct the file and import it again"]
    operator.service.fails["request_wipe"] = InputError("nothing was imported", faults=faults)
    ran = operator.run("--output", "json", *WIPE)
    assert ("hint" in ran.json, "hint" in ran.err) == (False, False)


def test_a_hint_that_names_the_command_of_the_second_person_says_it_once(operator: Operator) -> None:
    """No second line with the same command."""
    hint = f"another person types: wipectl approvals approve {APPROVAL_ID}"
    operator.service.fails["request_wipe"] = RefusedError("takes two people", codes=("needs-approval",), approval=APPROVAL_ID, hint=hint)
    assert operator.run(*WIPE).err.count(f"approve {APPROVAL_ID}") == 1


def test_every_noun_is_in_the_table_once() -> None:
    """A group or command that `main` does not list would be dead; one listed twice would hide another."""
    offered = [command for commands in NOUNS for command in commands]
    assert len(offered) == len(set(map(id, offered))) == len([name for name in make_app() if not name.startswith("-")])
    assert len(command_names()) == len(set(command_names()))
