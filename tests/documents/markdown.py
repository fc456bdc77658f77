"""Tables, and the parts of a document that are generated."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

_BLOCK = re.compile(r"^<!-- generated:([a-z-]+) begin -->\n(.*?)^<!-- generated:\1 end -->$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- generated:([a-z-]+) (?:begin|end) -->")


def code(text: object) -> str:
    """`text` as code; a bar within a table is escaped."""
    return f"`{text}`".replace("|", "\\|")


def cell(text: str) -> str:
    """`text` as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def prose(text: str) -> str:
    """`text` as a paragraph, its lines under 120 characters; code is not broken over lines."""
    whole = re.sub(r"`[^`]*`", lambda match: match[0].replace(" ", "\0"), " ".join(text.split()))
    return textwrap.fill(whole, 116, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def command_line(text: str) -> str:
    """A command as a block of code; what is too long goes on with an indent."""
    return "```\n" + textwrap.fill(text, 116, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False) + "\n```"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already, made by `code` and `cell`."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines)


def block_names(text: str) -> list[str]:
    """The names of the generated parts of a document. Raises ValueError for a marker without its other half, or parts within parts."""
    names = [match[1] for match in _BLOCK.finditer(text)]
    markers = [match[1] for match in _MARKER.finditer(text)]
    if markers != [name for name in names for _ in range(2)]:
        raise ValueError(f"markers do not pair: {markers}")
    return names


def regenerated(text: str, blocks: Mapping[str, str]) -> str:
    """The document with every generated part written anew. Raises KeyError for a part that nobody generates, ValueError as `block_names`."""
    block_names(text)
    return _BLOCK.sub(lambda match: f"<!-- generated:{match[1]} begin -->\n{blocks[match[1]].strip()}\n<!-- generated:{match[1]} end -->", text)
