"""`wipectl subscriptions`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.fakes.service import UUID_ONE, UUID_TWIN, UUID_TWO
from tests.unit.cli.conftest import Operator

ACCOUNT = "customer-4711@example.org"


def test_a_subscription_is_set(operator: Operator) -> None:
    """The account reaches the service and neither screen."""
    term = ("--account", ACCOUNT, "--subscription", "s-1", "--starts", "2026-01-01T00:00:00Z", "--expires", "2026-02-01T00:00:00Z", "--minor")
    ran = operator.run("--output", "json", "subscriptions", "set", "phone-one", *term)
    assert (ran.code, ran.json["expires"], ran.json["minor"]) == (0, "2026-02-01T00:00:00Z", True)
    record = operator.service.asked[-1][1][0]
    assert (record.account.value, record.uuid) == (ACCOUNT, UUID_ONE)
    assert ACCOUNT not in ran.out + ran.err
    bad = operator.run("subscriptions", "set", "phone-one", *term[:-2], "2026-02-01", "--policy", "default")
    assert bad.code == 2
    assert "expires: must be an RFC 3339 instant" in bad.err
    assert ACCOUNT not in bad.out + bad.err


def test_a_subscription_of_a_uuid_that_is_no_domain_is_kept(operator: Operator) -> None:
    """A UUID is taken as it is: the domain may come later; a name must be known."""
    term = ("--account", ACCOUNT, "--subscription", "s-1", "--starts", "2026-01-01T00:00:00Z", "--expires", "2026-02-01T00:00:00Z")
    assert operator.run("--output", "json", "subscriptions", "set", UUID_TWIN.upper(), *term).json["phone"] == UUID_TWIN
    assert operator.run("subscriptions", "set", "nobody", *term).code == 2


def test_the_account_is_read_from_standard_input(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--account -`: not in the process list, not in the shell's history."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ACCOUNT}\n"))
    term = ("--subscription", "s-1", "--starts", "2026-01-01T00:00:00Z", "--expires", "2026-02-01T00:00:00Z")
    ran = operator.run("subscriptions", "set", "phone-one", "--account", "-", *term)
    assert (ran.code, ran.err) == (0, "")
    assert operator.service.asked[-1][1][0].account.value == ACCOUNT


def test_an_import_names_the_faulty_lines(operator: Operator, tmp_path: Path) -> None:
    """All or nothing: exit code 2, every line on a line of its own, no value of the file."""
    file = tmp_path / "terms.csv"
    header = "phone,account,subscription,starts,expires\n"
    good = f"{UUID_ONE},{ACCOUNT},s-1,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n"
    file.write_text(header + good + f"{UUID_TWO},{ACCOUNT},s-2,2026-01-01T00:00:00Z,tomorrow\n" + "x\n")
    ran = operator.run("subscriptions", "import", str(file))
    assert ran.code == 2
    assert "  line 3: " in ran.err
    assert "  line 4: " in ran.err
    assert ACCOUNT not in ran.err
    assert operator.service.asked == []
    file.write_text(header + good)
    assert operator.run("--output", "json", "subscriptions", "import", str(file)).json["imported"] == 1
    missing = operator.run("subscriptions", "import", str(tmp_path / "nowhere.csv"))
    assert (missing.code, "No such file" in missing.err) == (2, True)
