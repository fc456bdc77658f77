"""Prose is checked (docs/style.md 11): what the program has, the documents say; what the documents say, the program has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wiped.cli.main import command_names
from wiped.decide.feed_answer import FeedFault
from wiped.model.notices import NoticeKind
from wiped.model.outcome import RETRYABLE_REASONS, Outcome, ReasonCode, ResidualCode
from wiped.model.plan import RefusalCode

ROOT = Path(__file__).resolve().parents[2]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


README = _read("README.md")
DOCUMENTS = ["README.md", "CHANGELOG.md", *sorted(str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*.md"))]
#: Written by a program, one line a fact.
GENERATED = {"docs/policy.md"}
#: Read by those who change the program; `docs/developing.md` leads to them.
INNER = {"docs/design.md", "docs/contract.md", "docs/physics.md", "docs/style.md", "docs/lab.md"}


def _rows(heading: str, *, table: int = 0, of: str = "README.md") -> dict[str, list[str]]:
    """A Markdown table below a heading of a document: first cell (without backticks) -> the others."""
    section = f"\n{_read(of)}".split(f"\n{heading}\n", 1)[1]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    rows = {}
    for line in tables[table].splitlines()[2:]:
        first, *others = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        rows[first.strip("`").split("`")[0].strip()] = others
    return rows


def _sections(heading: str, *, of: str) -> dict[str, str]:
    """What is below each `###` heading of a `##` section: heading (without backticks) -> text."""
    section = re.split(r"^## ", _read(of).split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return {name.strip("`"): text for name, text in re.findall(r"^### (.+)\n((?:(?!###).*\n)*)", section, re.MULTILINE)}


def _alerts() -> list[str]:
    document = yaml.safe_load(_read("config/alerts.yml"))
    return [rule["alert"] for group in document["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("Alerts", _alerts()),
        ("Refusals", [str(code) for code in RefusalCode]),
        ("Reasons", [str(code) for code in ReasonCode]),
        ("Residual risks", [str(code) for code in ResidualCode]),
    ],
)
def test_operators_are_told_what_to_do_about_every_word(heading: str, words: list[str]) -> None:
    """Every alert, refusal, reason and residual risk has its section, and none is of another version: means, look at, do, never, each with something said."""
    sections = _sections(heading, of="docs/operate.md")
    assert sorted(sections) == sorted(words)
    for word, text in sections.items():
        told = re.findall(r"^- \*\*(Means|Look at|Do|Never):\*\* (?=\S)", text, re.MULTILINE)
        assert told == ["Means", "Look at", "Do", "Never"], word


def test_which_reasons_are_tried_again_is_documented() -> None:
    """The table says which wait for a person and which do not; every outcome has a row in the README."""
    text = _read("docs/operate.md").split("\n## Reasons\n", 1)[1]
    (line,) = re.findall(r"^\| (`.*`) \| all others but `legal-hold` \|$", text, re.MULTILINE)
    again = set(re.findall(r"`([a-z-]+)`", line))
    assert {str(code) for code in RETRYABLE_REASONS} == again
    assert {str(outcome) for outcome in Outcome} == set(_rows("## Outcomes"))


def test_every_reason_of_a_decision_is_documented() -> None:
    """`explain` shows these codes."""
    codes = set()
    for file in (*(ROOT / "wiped" / "decide").rglob("*.py"), *(ROOT / "wiped" / "conduct").rglob("*.py")):
        codes |= set(re.findall(r'\bReason\(\s*"([a-z-]+)"', file.read_text(encoding="utf-8")))
    assert codes
    operate = _read("docs/operate.md")
    assert sorted(code for code in codes if f"`{code}`" not in operate) == []


def test_the_documents_show_no_command_that_is_not_there() -> None:
    """The prose of every document uses no other than those that exist."""
    names = set(command_names())
    groups = {name.split()[0] for name in names if " " in name}
    for document in DOCUMENTS:
        for first, second in re.findall(r"(?:`|^)wipectl (?:--output json )?([a-z]+)(?: ([a-z]+))?", _read(document), re.MULTILINE):
            assert (f"{first} {second}" if first in groups and second else first) in names | groups, (document, first, second)


def test_every_duty_has_a_row() -> None:
    """R1 to R20: kept, partly, or not yet; none is left out."""
    rows = _rows("# The duties, and how far this version keeps them", of="docs/duties.md")
    assert [f"R{number}" for number in range(1, 21)] == list(rows)
    assert all(re.match(r"kept|partly|not yet", cells[1]) for cells in rows.values())


def test_every_event_is_documented() -> None:
    """The table of notices has exactly the kinds that are sent."""
    text = _read("docs/webhooks.md")
    shown = {name for first in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE) for name in re.findall(r"`([a-z.-]+)`", first)}
    assert {str(kind) for kind in NoticeKind} == shown - {"type", "wiped."}


def test_every_reason_why_an_answer_of_billing_is_not_taken_is_documented() -> None:
    """The labels of `wiped_feed_errors_total`."""
    assert {str(fault) for fault in FeedFault} == set(_rows("## When an answer is not taken", of="docs/subscriptions.md"))


def test_the_readme_is_a_page() -> None:
    """At most 8 KiB; everything else is in docs/, and the README leads to each document of it."""
    assert len(README.encode()) <= 8192
    linked = set(re.findall(r"\]\((docs/[a-z-]+\.md)[)#]", README))
    assert {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")} - INNER == linked


def _prose(text: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(document: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    anchors = set()
    for heading in re.findall(r"^#{1,6} (.+)$", _prose(_read(document)), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = found[anchor] = found.get(anchor, -1) + 1
        anchors.add(f"{anchor}-{number}" if number else anchor)
    return anchors


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    """To a file of the repository, and to a heading that it has."""
    for target in re.findall(r"\]\(((?!https?:)[^)]+)\)", re.sub(r"\s+", " ", _prose(_read(document)))):
        path, _, anchor = target.partition("#")
        file = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        assert file.exists(), (document, target)
        assert not anchor or anchor in _anchors(str(file.relative_to(ROOT))), (document, target)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_file_exists(document: str) -> None:
    """A path of the repository in backticks, a pattern of paths included, names something that is there."""
    for name in re.findall(r"`((?:wiped|config|systemd|docs|tests|\.ci|\.lock)/[^\s`]*)`", re.sub(r"\s+", " ", _prose(_read(document)))):
        assert list(ROOT.glob(name.rstrip("/"))), (document, name)


def test_the_map_of_the_house_has_every_room() -> None:
    """No more and no fewer; where rooms are found is what the map is for."""
    packages = {str(file.parent.relative_to(ROOT)) for file in (*(ROOT / "wiped").glob("*/__init__.py"), *(ROOT / "wiped").glob("*/*/__init__.py"))}
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "wiped").glob("*.py")} - {"wiped/__init__.py", "wiped/__main__.py"}
    assert packages | modules == set(_rows("## The rooms", of="docs/developing.md"))


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if document not in GENERATED])
def test_lines_of_prose_are_short(document: str) -> None:
    """Under 120 characters; tables and code may be wider."""
    long = [line for line in _prose(_read(document)).splitlines() if len(line) >= 120 and not line.startswith("|")]
    assert long == []


def test_nothing_of_this_machine_is_in_the_documents() -> None:
    """No path of a developer's machine in what is shipped."""
    for file in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").iterdir(), *(ROOT / "systemd").iterdir()):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"/work/|/tmp/spec|/root/", text), file


def _tests() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield file, node


def test_every_test_has_a_docstring() -> None:
    """docs/style.md 12: it says what would be lost without the test."""
    silent = [f"{file.relative_to(ROOT)}::{node.name}" for file, node in _tests() if not ast.get_docstring(node)]
    assert silent == []


def test_every_room_has_a_charter() -> None:
    """docs/style.md 1: what it is and what it may not do."""
    for file in sorted((ROOT / "wiped").glob("*/__init__.py")):
        charter = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        assert re.search(r"[Mm]ay not", charter), file
        assert "to be written" not in charter, file
