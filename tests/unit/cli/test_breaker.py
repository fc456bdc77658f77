"""`wipectl breaker`."""

from __future__ import annotations

import pytest

from tests.fakes.service import APPROVAL_ID
from tests.unit.cli.conftest import Operator
from wiped.errors import RefusedError


def test_the_breaker_is_shown_with_what_to_do(operator: Operator) -> None:
    """Every phone by name, a hostile one made harmless; JSON is the API's document."""
    ran = operator.run("breaker", "status")
    assert ran.code == 0
    words = " ".join(ran.out.split())
    for word in ("open: nothing new is wiped", "phone-one", "at most 5 of 20", "ef" * 32, "wipectl breaker release"):
        assert word in words, word
    assert "\x1b[2J" not in ran.out
    assert operator.run("--output", "json", "breaker", "status").json["open"] is True


@pytest.mark.parametrize("more", [(), ("--fingerprint", "ab" * 32)])
def test_a_release_names_the_set_that_was_looked_at(operator: Operator, more: tuple[str, ...]) -> None:
    """The one just read, or the one that the operator pins; another person is named the command to type."""
    ran = operator.run("breaker", "release", "--reason", "they left", *more)
    assert (ran.code, f"wipectl approvals approve {APPROVAL_ID}" in ran.err) == (3, True)
    asked = [arguments for what, arguments in operator.service.asked if what == "release_breaker"]
    assert [item[:2] for item in asked] == [(("ab" if more else "ef") * 32, "they left")]


def test_another_set_is_refused(operator: Operator) -> None:
    """Exit code 3, with the code."""
    operator.service.fails["release_breaker"] = RefusedError("other phones wait", codes=("drift",))
    ran = operator.run("breaker", "release", "--reason", "they left")
    assert (ran.code, "drift" in ran.err) == (3, True)


def test_a_release_needs_a_reason(operator: Operator) -> None:
    """Without one the usage is wrong."""
    assert operator.run("breaker", "release").code == 2
