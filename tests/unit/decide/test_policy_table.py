"""The policy's specification, line by line, and its print in docs/policy.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.decide.situations import TABLE, Situation, document, lines

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "policy.md"


@pytest.mark.parametrize("line", lines(), ids=lambda line: f"{line.at}: {line.what}")
def test_the_policy_says_so(line: Situation) -> None:
    """State, action, next instant, flags and all reasons in their order."""
    assert Situation.shown(line.decision()) == (line.state, line.action, line.next, line.flags, line.reasons)


def test_the_table_is_a_specification() -> None:
    """At least sixty different situations, none told twice."""
    told = [(line.at, line.what) for line in lines()]
    assert len(told) == len(set(told)) >= 60
    assert all(TABLE.values())


def test_the_document_is_printed_from_the_table() -> None:
    """`python -m tests.unit.decide.situations > docs/policy.md` after a change."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()
