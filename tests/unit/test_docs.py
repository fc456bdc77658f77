"""Prose is checked (STYLE 11): what the program has, the documents say; what the documents say, the program has."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from wiped.api.metrics import METRICS
from wiped.api.problems import HTTP_CODES, STATUS, MalformedError
from wiped.cli import daemon
from wiped.cli import main as wipectl
from wiped.cli.main import command_names
from wiped.config.sections import LATER, Tables
from wiped.config.storage import LATER as STORAGE_LATER
from wiped.errors import WipedError
from wiped.model.outcome import RETRYABLE_REASONS, Outcome, ReasonCode, ResidualCode
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules

ROOT = Path(__file__).resolve().parents[2]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


README = _read("README.md")


def _rows(heading: str, *, table: int = 0, of: str = "README.md") -> dict[str, list[str]]:
    """A Markdown table below a heading of a document: first cell (without backticks) -> the others."""
    section = _read(of).split(f"\n{heading}\n", 1)[1]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    rows = {}
    for line in tables[table].splitlines()[2:]:
        first, *others = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        rows[first.strip("`").split("`")[0].strip()] = others
    return rows


def _settings() -> set[str]:
    keys = {f"storage.{field.name}" for field in fields(StorageRules)}
    for section, info in Tables.model_fields.items():
        if section == "policy":
            annotation = info.annotation
            assert annotation is not None
            (_, model) = annotation.__args__  # type: ignore[attr-defined]
            keys |= {f"policy.NAME.{key}" for key in model.model_fields}
        elif section != "storage":
            assert info.annotation is not None
            keys |= {f"{section}.{key}" for key in info.annotation.model_fields}  # type: ignore[attr-defined]
    return keys


def _error_codes() -> dict[str, tuple[int, int]]:
    """code -> (HTTP status, exit code) of every error of the program."""
    found, kinds = {}, [WipedError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
        if kind.__module__ in ("wiped.errors", "wiped.api.problems"):
            status = 400 if kind is MalformedError else next((status for error, status in STATUS if issubclass(kind, error)), 500)
            found[kind.code] = (status, kind.exit_code)
    return found


def test_every_setting_is_documented() -> None:
    """The table has exactly the keys that exist; names of later versions stand below it."""
    assert _settings() == set(_rows("## Configuration", of="docs/configuration.md"))
    for name in (*LATER, *(f"storage.{key}" for key in STORAGE_LATER)):
        told = f"`[{name}]`" if "." not in name else f"`{name.replace('*', 'NAME')}`"
        assert told in _read("docs/configuration.md"), name


def test_every_error_code_is_documented_with_its_status_and_exit_code() -> None:
    """The table has exactly the codes that exist."""
    rows = _rows("## API", of="docs/api.md")
    codes = _error_codes()
    assert set(rows) == set(codes) | set(HTTP_CODES.values())
    for code, (status, exit_code) in codes.items():
        expected = ["" if code == "daemon-unreachable" else str(status), str(exit_code)]
        assert rows[code][:2] == expected, code


def test_every_refusal_code_is_documented() -> None:
    """The second table of the API."""
    assert {str(code) for code in RefusalCode} == set(_rows("## API", table=1))


def test_every_reason_and_residual_is_documented() -> None:
    """And which reasons are retried."""
    heading = "## Outcomes, in the terms of NIST SP 800-88r2"
    assert {str(outcome) for outcome in Outcome} == set(_rows(heading))
    reasons = _rows(heading, table=1)
    assert {str(code) for code in ReasonCode} == set(reasons)
    assert {str(code) for code in RETRYABLE_REASONS} == {code for code, (text,) in reasons.items() if text.startswith("*retried*")}
    assert {str(code) for code in ResidualCode} == set(_rows(heading, table=2))


def test_every_metric_is_documented() -> None:
    """Name and meaning as the endpoint says them."""
    assert {name: [what] for name, what in METRICS.items()} == _rows("## Metrics", of="docs/metrics.md")


def test_every_reason_of_a_decision_is_documented() -> None:
    """`explain` shows these codes."""
    codes = set()
    for file in (*(ROOT / "wiped" / "decide").glob("*.py"), *(ROOT / "wiped" / "conduct").glob("*.py")):
        codes |= set(re.findall(r'\bReason\(\s*"([a-z-]+)"', file.read_text(encoding="utf-8")))
    assert codes
    assert sorted(code for code in codes if f"`{code}`" not in README) == []


@pytest.mark.parametrize("command", command_names())
def test_every_command_of_wipectl_is_documented_with_its_options(command: str) -> None:
    """`--help` and the README say the same."""
    (row,) = [name for name in _rows("## Commands", of="docs/commands.md") if re.match(rf"wipectl {command}(?![a-z])", name)]
    out = io.StringIO()
    assert wipectl.run([*command.split(), "--help"], out=out, err=io.StringIO()) == 0
    helped = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", out.getvalue())) - {"--socket", "--output", "--help", "--version"}
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", row))
    if "-o FILE" in row:
        shown.add("--output-file")
    assert helped == shown


def test_the_readme_shows_no_command_that_is_not_there() -> None:
    """Of either program."""
    documented = {re.sub(r" (?=[A-Z\[-]).*", "", name) for name in _rows("## Commands", of="docs/commands.md")}
    assert documented == {f"wipectl {name}" for name in command_names()}
    used = set(re.findall(r"\bwipectl ((?:[a-z]+ ?){1,2})", README))
    verbs = {name.split()[0] for name in command_names()}
    assert {words.split()[0] for words in used} <= verbs | {"and", "as"}


def test_every_command_of_wiped_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    """As `--help` lists them."""
    assert daemon.run(["--help"]) == 0
    listed = re.findall(r"^    ([a-z][a-z-]*)(?: |$)", capsys.readouterr().out, re.MULTILINE)
    assert {"run", "check-config", "eraser", "observer", "migrate"} == set(listed)
    for command in listed:
        assert f"`wiped {command}`" in _read("docs/commands.md")


def test_every_exit_code_is_documented() -> None:
    """CONTRACT's table."""
    codes = {exit_code for _, exit_code in _error_codes().values()} | {0}
    assert {str(code) for code in codes} == set(_rows("## Commands", table=1, of="docs/commands.md"))


def test_every_duty_has_a_row() -> None:
    """R1 to R20: kept, partly, or not yet; none is left out."""
    rows = _rows("## Which duties this version keeps")
    assert [f"R{number}" for number in range(1, 21)] == list(rows)
    assert all(re.match(r"kept|partly|not yet", cells[1]) for cells in rows.values())


def test_links_of_the_readme_lead_somewhere() -> None:
    """Within the repository."""
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


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
    """STYLE 12: it says what would be lost without the test."""
    silent = [f"{file.relative_to(ROOT)}::{node.name}" for file, node in _tests() if not ast.get_docstring(node)]
    assert silent == []


def test_every_room_has_a_charter() -> None:
    """STYLE 1: what it is and what it may not do."""
    for file in sorted((ROOT / "wiped").glob("*/__init__.py")):
        charter = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        assert re.search(r"[Mm]ay not", charter), file
        assert "to be written" not in charter, file
