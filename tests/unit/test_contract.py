"""docs/contract.md says of each name whether it exists: what it says exists is in the code, and nothing else is; what it says is planned is not."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import pytest

from tests.documents import commands, metrics, routes, settings, sources
from tests.documents.contract import rows
from tests.unit.attest import samples

_ENUMS = {
    "states": sources.State,
    "flags": sources.Flag,
    "artefact kinds": sources.ArtefactKind,
    "methods": sources.Method,
    "outcomes": sources.Outcome,
    "verified via": sources.Via,
    "reason codes": sources.ReasonCode,
    "residual codes": sources.ResidualCode,
    "refusal codes": sources.RefusalCode,
    "hold grounds": sources.HoldGround,
    "request kinds": sources.RequestKind,
    "notices": sources.NoticeKind,
}


def _compare(heading: str, code: Collection[str]) -> None:
    """The names that exist or are reserved are those of the code; no planned one is there."""
    told = list(rows(heading))
    exists = [name for row in told for name in (*row.names["exists"], *row.names["reserved"])]
    assert sorted(exists) == sorted(code)
    assert {name for row in told for name in row.names["planned"]}.isdisjoint(code)


def test_commands() -> None:
    """Of both programs, and the options of `wiped`: those of every command by themselves, others with their command."""
    every = {name: re.findall(r"\[(--[^\]]*)\]", usage) for name, (usage, _) in commands.daemon_commands().items()}
    common = set.intersection(*(set(found) for found in every.values()))
    options = {*common, *(f"{name} {option}" for name, found in every.items() for option in found if option not in common)}
    _compare("## Commands", [*commands.daemon_commands(), *options, *(each.name for each in commands.commands())])


def test_options_of_every_command() -> None:
    """Each spelling; a command without options has no row."""
    code = {each.name: sorted(name for option in each.parameters for name in option.names if name.startswith("--")) for each in commands.commands()}
    told = {row.label: sorted(row.names["exists"]) for row in rows("### Options") if row.label != "every list"}
    assert told == {name: options for name, options in code.items() if options}
    for row in rows("### Options"):
        assert {name.split()[0] for name in row.names["planned"]}.isdisjoint(code.get(row.label, ()))


@pytest.mark.parametrize(
    ("document", "model", "whole"),
    [
        ("plan", "PlanOut", ()),
        ("wipe (wipe --wait, wipes show)", "WipeOut", ()),
        ("explain", "ExplainOut", ("holds", "requests", "approvals", "drains", "subscription")),
    ],
)
def test_json_of_the_commands_that_scripts_use_most(document: str, model: str, whole: tuple[str, ...]) -> None:
    """Every field by its path; documents within `explain` are described by themselves."""
    (row,) = [row for row in rows("## JSON of the commands that scripts use most") if row.label == document]
    assert sorted(row.names["exists"]) == sorted(routes.flat(model, stop=frozenset(whole)))


@pytest.mark.parametrize("name", _ENUMS)
def test_words(name: str) -> None:
    """Every enum of the contract; a reserved word is in the code too."""
    (row,) = [row for row in rows("## Words") if row.label == name]
    assert sorted((*row.names["exists"], *row.names["reserved"])) == sorted(str(word) for word in _ENUMS[name])
    assert set(row.names["planned"]).isdisjoint(str(word) for word in _ENUMS[name])


def test_grounds_of_requests() -> None:
    """Of all kinds together; and no enum of the table goes unchecked."""
    (row,) = [row for row in rows("## Words") if row.label == "grounds of requests"]
    assert sorted(row.names["exists"]) == sorted({ground for grounds in sources.GROUNDS.values() for ground in grounds})
    assert {row.label for row in rows("## Words")} == {*_ENUMS, "grounds of requests"}


def test_routes() -> None:
    """Method and path."""
    _compare("## HTTP", [f"{each.method} {each.path}" for each in sources.OPERATIONS])


def test_settings() -> None:
    """Section by section; every planned key that is set is refused."""
    code = {name: [each.key.rpartition(".")[2] for each in found] for name, found in settings.settings().items()}
    told = {row.label: row.names for row in rows("## Configuration")}
    assert {name: sorted(names["exists"]) for name, names in told.items() if names["exists"]} == {name: sorted(keys) for name, keys in code.items()}
    planned = {f"{name}.{key}" for name, names in told.items() for key in names["planned"]}
    assert planned.isdisjoint(f"{name}.{key}" for name, keys in code.items() for key in keys)
    for name in settings.planned():
        assert name in planned or told[name]["planned"], name


def test_metrics() -> None:
    """Name with its labels."""
    _compare("## Metrics", [each.name + (f"{{{','.join(each.labels)}}}" if each.labels else "") for each in metrics.metrics()])


def _paths(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {found for key, inner in value.items() for found in _paths(inner, f"{path}.{key}" if path else key)}
    if isinstance(value, list):
        inner = {found for each in value for found in _paths(each, f"{path}[]")}
        return inner or {f"{path}[]"}
    return {path}


def test_predicate_of_the_certificate() -> None:
    """Every field of a certificate that was just made."""
    _compare("## Certificate", _paths(sources.statement(**samples.arguments())["predicate"]))
