"""What the code refers to exists: each document that it names with the section, step or rule, each duty and invariant, and each file of a room's charter."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_CODE = ("wiped", "tests", "config", "systemd")
_ALSO = ("Makefile", "pyproject.toml")
#: The names under which these papers went before they were documents of the repository.
_FORMER = re.compile(r"(?<![\w-])(DESIGN|CONTRACT|PHYSICS|STYLE|LAB|ENCRYPTION|MISSION)(?![\w-])")
_CITATION = re.compile(
    r"(?<![\w/.-])docs/(?P<file>[\w/-]+\.md)"
    r"(?:,? (?P<number>\d+)\b)?"
    r'(?:,? "(?P<heading>[^"]+)")?'
    r"(?:,? steps? (?P<first>\d+)(?: to (?P<last>\d+))?)?"
)
_DECISION = re.compile(r"(?<![\w/.-])docs/decisions/(\d{4})\b(?!-)")


def _files() -> Iterator[Path]:
    for name in _CODE:
        for file in sorted((ROOT / name).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and file != Path(__file__):
                yield file
    yield from (ROOT / name for name in _ALSO)
    yield from sorted((ROOT / "docs" / "decisions").glob("*.md"))


def _remarks(source: str) -> list[str]:
    """Comments, and strings that stand alone (docstrings, meanings below fields)."""
    alone = (node.value.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    comments = (token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT)
    return [*(text for text in alone if isinstance(text, str)), *comments]


@cache
def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return ""


@cache
@cache
def _prose(file: Path) -> str:
    """What a person reads there, a paragraph on one line, without the marks of comments."""
    text = "\n\n".join(_remarks(_text(file))) if file.suffix == ".py" else _text(file)
    return re.sub(r"\n\s*(?:#:? ?)?(?=\S)", " ", text)


@cache
def _document(name: str) -> str:
    return _text(ROOT / "docs" / name)


def _heading(text: str, title: str) -> str:
    """The section below a heading, up to the next one of its level or above; "" if there is no such heading."""
    match = re.search(rf"^(#+) (?:\d+\. )?{re.escape(' '.join(title.split()))}$", text, re.MULTILINE)
    if match is None:
        return ""
    return re.split(rf"^#{{1,{len(match[1])}}} ", text[match.end() :], maxsplit=1, flags=re.MULTILINE)[0] or "\n"


def _fault(cited: re.Match[str]) -> str:
    """What of a citation does not exist, "" for nothing."""
    name, number, heading = cited["file"], cited["number"], cited["heading"]
    text = section = _document(name)
    if not text:
        return f"there is no docs/{name}"
    if number:
        rule = re.search(rf"^\| {number}\. ", text, re.MULTILINE)
        numbered = re.search(rf"^## {number}\. (.*)$", text, re.MULTILINE)
        if rule is None and numbered is None:
            return f"docs/{name} has neither a section nor a rule {number}"
        section = _heading(text, numbered[1]) if numbered else text
    if heading:
        section = _heading(text, heading)
        if not section:
            return f"docs/{name} has no heading {heading!r}"
    elif cited["first"] and not number:
        section = _heading(text, "The order of a wipe")
    for step in {cited["first"], cited["last"]} - {None}:
        if not re.search(rf"^{step}\. ", section, re.MULTILINE):
            return f"docs/{name} has no step {step} there"
    return ""


def test_every_reference_to_a_document_leads_somewhere() -> None:
    """File, section or rule by number, heading, and step."""
    found, wrong = 0, []
    for file in _files():
        for cited in _CITATION.finditer(_prose(file)):
            found += 1
            if fault := _fault(cited):
                wrong.append(f"{file.relative_to(ROOT)}: {cited[0]!r}: {fault}")
    assert wrong == []
    assert found > 50


def test_a_reference_that_leads_nowhere_is_found() -> None:
    """The test of this test: each way of citing, right and wrong."""
    right = ("docs/physics.md 2, step 4", 'docs/design.md, "Memory"', "docs/design.md, steps 3 to 8", "docs/style.md 11", "docs/contract.md")
    wrong = ("docs/physics.md 77", 'docs/design.md, "Memories"', "docs/design.md, step 11", "docs/style.md 13", "docs/physics.md 2, step 9", "docs/no.md")
    for text in (*right, *wrong):
        cited = _CITATION.fullmatch(text)
        assert cited is not None, text
        assert bool(_fault(cited)) is (text in wrong), text


def test_every_decision_that_is_named_exists() -> None:
    """By its number."""
    known = {file.name[:4] for file in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    named = {(file, number) for file in _files() for number in _DECISION.findall(_prose(file))}
    assert sorted(f"{file.relative_to(ROOT)}: {number}" for file, number in named if number not in known) == []


def test_every_invariant_and_duty_that_is_named_exists() -> None:
    """I-numbers in docs/design.md, R-numbers in docs/duties.md."""
    invariants = set(re.findall(r"^- \*\*I(\d+)\b", _document("design.md"), re.MULTILINE))
    duties = set(re.findall(r"^\| R(\d+) \|", _document("duties.md"), re.MULTILINE))
    assert invariants == {str(number) for number in range(1, 15)}
    assert duties == {str(number) for number in range(1, 21)}
    wrong = []
    for file in _files():
        if file.suffix in (".py", ".md", ".toml", ".yml", ".service"):
            for letter, number in re.findall(r"(?<![\w-])([IR])(\d{1,2})(?![\w-])", _text(file)):
                if number not in (invariants if letter == "I" else duties):
                    wrong.append(f"{file.relative_to(ROOT)}: {letter}{number}")
    assert wrong == []


def test_no_document_is_cited_by_its_former_name() -> None:
    """In comments, docstrings and texts."""
    wrong = []
    for file in _files():
        if file.suffix in (".py", ".md") and _FORMER.search(_text(file)):
            wrong += [f"{file.relative_to(ROOT)}: {match[0]}" for match in _FORMER.finditer(_prose(file))]
    assert wrong == []


def _packages() -> list[Path]:
    """Every room; Alembic's scripts have a form of their own."""
    return sorted(file.parent for file in (ROOT / "wiped").rglob("__init__.py") if "migrations" not in file.parts)


def _names(charter: str) -> set[str]:
    """Every word in backticks: `a.py`, `a`, `room/a.py`, `room/`, or several such words in one pair."""
    return {word for span in re.findall(r"`([^`]+)`", charter) for word in re.split(r"[\s,]+", span)}


def _contents(package: Path) -> dict[str, set[str]]:
    """File or inner room -> the ways to name it."""
    found = {}
    for inner in sorted(package.iterdir()):
        if inner.suffix == ".py" and inner.stem != "__init__":
            found[inner.name] = {inner.stem, inner.name, f"{package.name}/{inner.name}"}
        elif (inner / "__init__.py").exists():
            found[f"{inner.name}/"] = {inner.name, f"{inner.name}/", f"{package.name}/{inner.name}", f"{package.name}/{inner.name}/"}
    return found


@pytest.mark.parametrize("package", _packages(), ids=lambda package: str(package.relative_to(ROOT)))
def test_a_charter_names_every_file_of_its_room(package: Path) -> None:
    """And no file that does not exist (docs/style.md 1)."""
    charter = ast.get_docstring(ast.parse(_text(package / "__init__.py"))) or ""
    names, contents = _names(charter), _contents(package)
    missing = [name for name, ways in contents.items() if not ways & names]
    places = (package, ROOT / "wiped", ROOT, *(inner for inner in package.iterdir() if inner.is_dir()))
    gone = sorted(name for name in names if name.endswith(".py") and not any((place / name).exists() for place in places))
    for listed in re.findall(r"^Files: (.*?)(?:\n\n|\Z)", charter, re.MULTILINE | re.DOTALL):
        outside = re.sub(r"\([^()]*\)", "", listed)
        known = {way for ways in contents.values() for way in ways}
        gone += sorted(word for word in _names(outside) if re.fullmatch(r"[a-z_]+", word) and word not in known)
    assert (missing, gone) == ([], []), f"{package.relative_to(ROOT)}/__init__.py: the docstring does not name {missing}, and names {gone}, which do not exist"
