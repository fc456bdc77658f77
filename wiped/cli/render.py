"""Answers for people and scripts: tables on a terminal, one JSON or YAML document else. No name can bring a control character to the screen."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from wiped.model.instants import NEVER_WORD

FORMATS = ("table", "json", "yaml")
#: A JSON object as the daemon sent it.
Document = dict[str, Any]
#: Where no terminal says how wide it is, nothing is cut or folded.
_WIDE = 500

#: Columns that hold UUIDs.
_IDENTIFIERS = frozenset({"uuid", "wipe", "request", "hold", "approval", "drain", "subject"})

_COLOURS = {
    "active": "green", "clear": "green", "purge": "green", "released": "green", "proven": "green", "removed": "green",
    "notice": "yellow", "grace": "yellow", "due": "yellow", "unbound": "yellow", "erasing": "cyan", "verifying": "cyan",
    "quarantined": "red", "not-sanitized": "red", "vanished": "red", "left": "red",
}  # fmt: skip


def plain(value: Any) -> str:
    """`value` as text in which nothing can move a cursor, hide, or reorder: control and format characters are escaped."""
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def size(count: int | None) -> str:
    """Bytes for people."""
    if not count:
        return "0 B"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""


def span(seconds: int | float | None) -> str:
    """Seconds for people: the two largest units."""
    if seconds is None:
        return "never"
    rest = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def clock(text: str | None) -> str:
    """An instant alone, for the columns of lists; `never` as it is."""
    if text == NEVER_WORD:
        return NEVER_WORD
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if text else "-"


def moment(text: str | None, now: datetime | None = None) -> str:
    """An instant and how far it is away; `never` as it is."""
    if not text or text == NEVER_WORD:
        return text or "-"
    at = datetime.fromisoformat(text)
    delta = (at - (now or datetime.now(UTC))).total_seconds()
    away = f"in {span(delta)}" if delta >= 0 else f"{span(-delta)} ago"
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z ({away})"


def word(value: Any) -> Text:
    """A state or outcome in its colour."""
    return Text(plain(value), style=_COLOURS.get(str(value), ""))


def words(values: Iterable[Any]) -> str:
    """A list in a cell."""
    return ", ".join(plain(value) for value in values) or "-"


def grid(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> RenderableType:
    """A table with a row per thing; a sentence where there is none."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        # Identifiers are copied and pasted: never in two lines.
        table.add_column(column, overflow="fold", no_wrap=column in _IDENTIFIERS)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return table if table.row_count else Text(empty)


def facts(pairs: Iterable[tuple[str, Any]]) -> RenderableType:
    """One thing: a line per fact."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value if isinstance(value, Text) else Text(plain(value) or "-"))
    return table


def stack(*parts: RenderableType | None) -> RenderableType:
    """One below the other."""
    return Group(*(part for part in parts if part is not None))


def yes(value: bool) -> str:
    """`yes` or `no`."""
    return "yes" if value else "no"


def phone_line(phone: Document) -> str:
    """A phone in one line: name, UUID, generation."""
    return f"{phone['name'] or '(no name)'} ({phone['uuid']}), generation {phone['generation']}"


def change(document: Document) -> str:
    """The next change of a phone's state, and when it comes."""
    upcoming = document.get("next")
    return f"{plain(upcoming['state'] or 'looked at again')}, {moment(upcoming['at'])}" if upcoming else "nothing by time alone"


def reasons_table(items: list[Document]) -> RenderableType:
    """One line a reason."""
    return grid(("why", "", "since"), ((item["code"], item["detail"], moment(item["at"])) for item in items), empty="no reasons")


class Screen:
    """Where answers and words go. `output`: table, json or yaml; in the last two only documents reach stdout."""

    def __init__(self, output: str, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.output = output
        self._out = sys.stdout if out is None else out
        err = sys.stderr if err is None else err
        self.console = self._console(self._out)
        self.people = self._console(err)

    @staticmethod
    def _console(stream: TextIO) -> Console:
        return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False, width=None if stream.isatty() else _WIDE)

    def show(self, document: Any, table: RenderableType) -> None:
        """One answer."""
        if self.output == "json":
            print(json.dumps(document, ensure_ascii=True), file=self._out, flush=True)
        elif self.output == "yaml":
            print(yaml.safe_dump(document, sort_keys=False, allow_unicode=False, explicit_start=True), end="", file=self._out, flush=True)
        elif self.console.is_terminal:
            self.console.print(table)
        else:
            # rich pads every cell: in a file or a pipe that is only noise.
            with self.console.capture() as captured:
                self.console.print(table)
            print("\n".join(line.rstrip() for line in captured.get().splitlines()), file=self._out, flush=True)

    def raw(self, data: bytes) -> None:
        """Bytes as they are: a byte more and a signature's form is another."""
        buffer = getattr(self._out, "buffer", None)
        if buffer is None:
            self._out.write(data.decode())
        else:
            self._out.flush()
            buffer.write(data)
            buffer.flush()
        if self._out.isatty():
            print(file=self._out)

    def say(self, text: str, style: str = "") -> None:
        """Words for people: stdout with a table, stderr with a document."""
        (self.console if self.output == "table" else self.people).print(Text(plain(text), style=style))

    def warn(self, text: str) -> None:
        """Words for people on stderr, a line each."""
        for line in text.splitlines() or [""]:
            self.people.print(Text(plain(line)))
