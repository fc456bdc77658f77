"""The names that docs/contract.md says exist, are reserved or are planned, as its tables hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.documents.blocks import ROOT

MARKS = ("exists", "reserved", "planned")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table. `label`: its first cell in plain words; `names`: mark -> the names under it."""

    label: str
    names: dict[str, tuple[str, ...]]


def rows(heading: str) -> Iterator[Row]:
    """The rows of the first table below a heading such as `## Metrics`. Raises ValueError for a table whose columns bear no mark."""
    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    below = text.split(f"\n{heading}\n", 1)[1]
    (first, _, *lines) = re.findall(r"(?:^\|.*\n)+", below, re.MULTILINE)[0].splitlines()
    marks = [head.strip() for head in first.strip("|").split("|")][1:]
    if unknown := set(marks) - set(MARKS):
        raise ValueError(f"columns of {heading} without a meaning: {sorted(unknown)}")
    for line in lines:
        label, *cells = re.split(r"(?<!\\)\|", line.strip("|"))
        found = {mark: tuple(name.replace("\\|", "|") for name in re.findall(r"`([^`]+)`", cell)) for mark, cell in zip(marks, cells, strict=True)}
        yield Row(label.replace("`", "").strip(), {mark: found.get(mark, ()) for mark in MARKS})
