"""What is shown: one document in JSON or YAML, or tables in which no name can do harm."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from tests.fakes.service import HOSTILE_NAME, QUARANTINED, UUID_TWO, WIPE_ID
from tests.unit.cli.conftest import Operator

LISTS = [
    ("status",),
    ("phones", "list"),
    ("explain", UUID_TWO),
    ("plan", UUID_TWO),
    ("wipes", "list"),
    ("wipes", "show", WIPE_ID),
    ("subscriptions", "list"),
    ("quarantine", "list"),
    ("audit", "tail"),
    ("audit", "verify"),
]


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_json_is_one_document_and_nothing_else(operator: Operator, command: tuple[str, ...]) -> None:
    """stdout parses; stderr stays silent when all is well."""
    ran = operator.run("--output", "json", *command)
    assert (ran.code, ran.err, len(ran.out.splitlines())) == (0, "", 1)
    assert isinstance(ran.json, dict)


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_yaml_says_the_same_as_json(operator: Operator, command: tuple[str, ...]) -> None:
    """The same document in another form."""
    ran = operator.run("--output", "yaml", *command)
    assert yaml.safe_load(ran.out) == operator.run("--output", "json", *command).json


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_no_name_reaches_the_terminal_alive(operator: Operator, command: tuple[str, ...]) -> None:
    """Control, escape and bidirectional characters of a phone's name are shown escaped, markup as text."""
    operator.service.made = [dataclasses.replace(QUARANTINED, name=HOSTILE_NAME)]
    text = operator.run(*command).out
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    if command == ("phones", "list"):
        assert "evil\\x1b[2J\\x1b[31m\\u202ename\\n[bold]" in text


def test_a_table_in_a_pipe_has_no_trailing_blanks(operator: Operator) -> None:
    """What is padded for eyes is noise in a file."""
    for command in LISTS:
        assert all(line == line.rstrip() for line in operator.run(*command).out.splitlines())
