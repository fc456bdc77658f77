"""What every command gets: standard input, and whom a request or a hold is about."""

from __future__ import annotations

import io
import sys

import pytest

from tests.unit.cli.conftest import Operator

ACCOUNT = "customer-4711@example.org"


def test_an_account_is_read_from_standard_input(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It and its confirmation, a line each: neither stands in a process list."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ACCOUNT}\n{ACCOUNT}\n"))
    ran = operator.run("requests", "add", "--account", "-", "--confirm", "-", "--kind", "cancellation", "--reference", "R")
    assert ran.code == 0
    asked = operator.service.asked[-1][1]
    assert (asked[0], asked[2], asked[3], asked[6]) == ("cancellation", "", ACCOUNT, ACCOUNT)
    assert ACCOUNT not in ran.out + ran.err


@pytest.mark.parametrize("what", [(), ("phone-one", "--account", "x")])
def test_a_request_is_on_a_phone_or_an_account(operator: Operator, what: tuple[str, ...]) -> None:
    """Exactly one of them: usage."""
    ran = operator.run("requests", "add", *what, "--kind", "leak", "--reference", "R", "--confirm", "x")
    assert (ran.code, [name for name, _ in operator.service.asked if name == "add_request"]) == (2, [])
    said = "both a PHONE and an --account are named" if what else "neither a PHONE nor an --account is named"
    assert ran.err.splitlines()[0] == f"wipectl: bad-input: {said}"
    assert ran.err.splitlines()[1].startswith("hint: name exactly one of them")
