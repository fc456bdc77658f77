"""The generated parts of the documents are what the code gives, and everything that the code has is in them with a meaning (docs/style.md 11)."""

from __future__ import annotations

import difflib
import io
import re
from dataclasses import fields
from enum import Enum
from functools import cache
from pathlib import Path

import pytest

from tests.documents import codes, commands, metrics, settings, sources
from tests.documents.blocks import BLOCKS, ROOT, current, documents
from tests.documents.markdown import block_names, regenerated
from tests.documents.meanings import meanings, words

#: Made once, and by a test: what is made while tests are collected is made by each worker.
_current = cache(current)
_GENERATED = [file for file in documents() if block_names(file.read_text(encoding="utf-8"))]


def _document(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def _first_cells(name: str, block: str) -> list[str]:
    """The first cells of a block's tables, without heads and backticks."""
    text = _document(name).split(f"<!-- generated:{block} begin -->")[1].split(f"<!-- generated:{block} end -->")[0]
    bodies = re.findall(r"^\|.*\n\|(?:---\|)+\n((?:^\|.*\n)+)", text, re.MULTILINE)
    return [line.strip("|").split("|")[0].strip().strip("`") for body in bodies for line in body.splitlines()]


@pytest.mark.parametrize("file", _GENERATED, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_generated_document_equals_the_code(file: Path) -> None:
    """`make docs` would change nothing."""
    before, after = _current()[file]
    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), "the document", "what the code gives", lineterm="", n=1)
    assert before == after, "run `make docs`:\n" + "\n".join(list(changes)[:60])


def test_every_block_is_in_a_document() -> None:
    """And the four documents have theirs."""
    used = [name for before, _ in _current().values() for name in block_names(before)]
    assert set(used) == set(BLOCKS)
    assert {f"docs/{name}.md" for name in ("api", "commands", "configuration", "metrics")} <= {str(file.relative_to(ROOT)) for file in _current()}


def test_markers_that_do_not_pair_are_refused() -> None:
    """A lost marker would leave a part as it was for ever."""
    begin, end = "<!-- generated:metrics begin -->\n", "<!-- generated:metrics end -->\n"
    assert regenerated(f"a\n{begin}old\n{end}z\n", {"metrics": "new"}) == f"a\n{begin}new\n{end}z\n"
    for text in (begin, end, begin + begin + end, begin + "<!-- generated:errors begin -->\n" + end):
        with pytest.raises(ValueError, match="do not pair"):
            regenerated(text, {"metrics": "new"})


def test_every_setting_is_documented_with_its_meaning() -> None:
    """The keys of the models and of `[storage]`, and no other; each with a sentence."""
    keys = {f"storage.{field.name}" for field in fields(sources.StorageRules)}
    for section, info in sources.Tables.model_fields.items():
        if section == "policy":
            (_, model) = info.annotation.__args__  # type: ignore[union-attr]
            keys |= {f"policy.NAME.{key}" for key in model.model_fields}
        elif section != "storage":
            keys |= {f"{section}.{key}" for key in info.annotation.model_fields}  # type: ignore[union-attr]
    assert sorted(keys) == sorted(_first_cells("configuration", "settings"))
    assert [each.key for found in settings.settings().values() for each in found if not each.meaning] == []


def test_every_name_of_a_later_version_is_documented() -> None:
    """What is refused because a later version will have it."""
    told = set(_first_cells("configuration", "settings-planned"))
    assert told == {name if "." in name else f"[{name}]" for name in (*sources.LATER, *(f"storage.{key}" for key in sources.STORAGE_LATER))}


def test_every_error_code_is_documented_with_its_status_and_exit_code() -> None:
    """The codes of the tree and of the API itself, and no other."""
    found: dict[str, tuple[str, str]] = {}
    for kind in sources.errors():
        status = 400 if kind is sources.MalformedError else next((status for error, status in sources.STATUS if issubclass(kind, error)), 500)
        found[kind.code] = ("" if kind.code == "daemon-unreachable" else str(status), str(kind.exit_code))
    text = codes.errors_block()
    assert text in _document("api")
    rows = {cells[0].strip(" `"): (cells[1].strip(), cells[2].strip()) for cells in (line.strip("|").split("|") for line in text.splitlines()[2:])}
    assert set(rows) == set(found) | set(sources.HTTP_CODES.values())
    for code, expected in found.items():
        assert expected == rows[code], code


@pytest.mark.parametrize(
    ("kind", "block"),
    [(sources.RefusalCode, "refusals"), (sources.Outcome, "outcomes"), (sources.ReasonCode, "reasons"), (sources.ResidualCode, "residuals")],
)
def test_every_code_is_documented_with_its_meaning(kind: type[Enum], block: str) -> None:
    """In the order of the enum; each with a sentence below its member."""
    assert [str(member.value) for member in kind] == _first_cells("api", block)
    assert [word for word, said in words(kind).items() if not said] == []


def test_every_reason_that_is_retried_is_said_to_be() -> None:
    """An operator must know which ones wait for a person."""
    told = {line.split("`")[1] for line in codes.reasons_block().splitlines()[2:] if "| yes |" in line}
    assert told == {str(code) for code in sources.RETRYABLE_REASONS}


def test_every_feed_fault_is_documented_with_its_meaning() -> None:
    """The reasons of `wiped_feed_errors_total`."""
    assert [str(fault) for fault in sources.FeedFault] == _first_cells("metrics", "feed-faults")
    assert [word for word, said in words(sources.FeedFault).items() if not said] == []


def test_every_metric_is_documented_as_the_endpoint_shows_it() -> None:
    """Name and meaning; the type and labels come from the registry."""
    assert list(sources.METRICS) == _first_cells("metrics", "metrics")
    assert [each.meaning for each in metrics.metrics()] == list(sources.METRICS.values())
    kinds = {each.name: (each.kind, each.labels) for each in metrics.metrics()}
    assert kinds["wiped_wipes_total"] == ("counter", ("outcome", "trigger"))
    assert kinds["wiped_wipe_duration_seconds"] == ("histogram", ("phase",))


@pytest.mark.parametrize("command", sources.command_names())
def test_every_command_of_wipectl_is_documented_with_its_options(command: str) -> None:
    """`--help` and the document say the same."""
    section = _document("commands").split(f"\n#### `wipectl {command}`\n", 1)[1].split("\n#### ", 1)[0].split("<!-- generated", 1)[0]
    out = io.StringIO()
    assert sources.run_wipectl([*command.split(), "--help"], out=out, err=io.StringIO()) == 0
    helped = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", out.getvalue())) - {"--socket", "--output", "--help", "--version"}
    table = "\n".join(re.findall(r"^\| `.*?\| ", section, re.MULTILINE))
    assert helped == set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", table))
    (usage,) = re.findall(r"```\n(.*?)\n```", section, re.DOTALL)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", usage)) <= helped
    assert usage.startswith(f"wipectl {command}")


def test_no_command_is_documented_that_does_not_exist() -> None:
    """Every heading of a command."""
    assert re.findall(r"^#### `wipectl (.*)`$", _document("commands"), re.MULTILINE) == sources.command_names()


def test_every_command_of_wiped_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    """As `--help` lists them."""
    assert sources.daemon.run(["--help"]) == 0
    listed = re.findall(r"^    ([a-z][a-z-]*)(?: |$)", capsys.readouterr().out, re.MULTILINE)
    assert {"run", "check-config", "eraser", "observer", "migrate"} == set(listed)
    assert [first.split()[1] for first in _first_cells("commands", "commands-of-wiped")] == listed


def test_every_exit_code_is_documented() -> None:
    """Of every error, and 0."""
    assert {str(kind.exit_code) for kind in sources.errors()} | {"0"} == set(_first_cells("commands", "exit-codes"))
    assert set(commands.exit_codes()) == {kind.exit_code for kind in sources.errors()} | {0}


def test_every_route_is_documented() -> None:
    """Method and path, in the order of the table of routes."""
    assert [f"{each.method} {each.path}" for each in sources.OPERATIONS] == _first_cells("api", "routes")


def test_a_meaning_is_the_string_below_a_field_or_member() -> None:
    """On one line; what has none is left out."""

    class Sample(Enum):
        """A sample."""

        ONE = "one"
        """The first
        one."""
        TWO = "two"

    assert meanings(Sample) == {"ONE": "The first one."}
    assert words(Sample) == {"one": "The first one.", "two": ""}
