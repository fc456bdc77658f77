"""`wipectl phones`, `explain`, `suspend`, `resume`, `protect` and `unprotect`."""

from __future__ import annotations

import pytest

from tests.fakes.service import UUID_ONE
from tests.unit.cli.conftest import Operator


@pytest.mark.parametrize("verb", ["suspend", "resume", "protect", "unprotect"])
def test_a_phone_is_marked_by_its_name(operator: Operator, verb: str) -> None:
    """With a reason, without which nothing is asked."""
    ran = operator.run(verb, "phone-one", "--reason", "why not")
    assert (ran.code, operator.service.asked[-1][0], UUID_ONE in ran.out) == (0, verb, True)
    assert operator.run(verb, "phone-one").code == 2


def test_explain_tells_the_story_first(operator: Operator) -> None:
    """Sentences before the facts."""
    ran = operator.run("explain", "phone-one")
    assert (ran.code, ran.out.splitlines()[0].startswith("The phone is grace since"), "Next: it becomes due at" in ran.out) == (0, True, True)
