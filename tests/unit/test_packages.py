"""What is declared is what is used: imports against pyproject.toml, the locks against each other, package data against the files."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: Never imported by us, and needed: by what.
NEVER_IMPORTED = {
    "aiosqlite": "SQLAlchemy's driver for the ledger, named in its URL",
    "coverage": "run by pytest-cov; pyproject's [tool.coverage]",
    "import-linter": "run by make lint",
    "mypy": "run by make lint",
    "pytest-asyncio": "plugin of pytest: asyncio_mode",
    "pytest-cov": "plugin of pytest: --cov, in make test COVERAGE=1",
    "pytest-randomly": "plugin of pytest: the order of the tests",
    "pytest-timeout": "plugin of pytest: timeout",
    "pytest-xdist": "plugin of pytest: -n",
    "ruff": "run by make lint",
    "types-pyyaml": "read by mypy",
}
#: Documents, scripts and units that say how a lock is installed.
DOCUMENTS = ("*.md", "docs/**/*.md", "systemd/*", "config/*", ".ci/*", "Makefile", "tests/lab/*")


def _name(requirement: str) -> str:
    """The name of a requirement as the index normalizes it (PEP 503)."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _imports(file: Path) -> set[str]:
    """Modules that a file imports, with their full names; relative imports are not used here."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _packages(files: Iterable[Path]) -> set[str]:
    """The packages of others that the files import, by their names on the index."""
    modules = {name.split(".")[0] for file in files for name in _imports(file)} - set(sys.stdlib_module_names) - {"wiped", "tests"}
    known = packages_distributions()
    return {_name(known[module][0]) if module in known else module for module in modules}


def _pins(lock: str) -> dict[str, tuple[str, list[str]]]:
    """Of a lock: name -> version and hashes."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / ".lock" / f"{lock}.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    pins = {}
    for entry in text.replace("\\\n", " ").splitlines():
        (pin, *hashes) = entry.split()
        name, version = pin.split("==")
        pins[name] = (version, hashes)
    return pins


def _declared() -> tuple[set[str], set[str]]:
    """Names of pyproject: what the program needs, and what the tests need besides."""
    project = PROJECT["project"]
    return {_name(word) for word in project["dependencies"]}, {_name(word) for word in project["optional-dependencies"]["dev"]}


def test_the_program_imports_what_it_declares_and_declares_what_it_imports() -> None:
    """Both ways: a package that is missing breaks an installation, one too many is code that nobody asked for, beside a root helper."""
    run, _ = _declared()
    assert _packages((ROOT / "wiped").rglob("*.py")) == run - set(NEVER_IMPORTED)


def test_the_tests_import_what_is_declared_and_nothing_is_declared_that_nobody_imports() -> None:
    """Both ways, with the plugins and programs that are never imported as a closed list."""
    run, dev = _declared()
    used = _packages((ROOT / "tests").rglob("*.py"))
    assert used - run == dev - set(NEVER_IMPORTED)
    assert set(NEVER_IMPORTED) <= run | dev
    assert run & dev == set()


def test_the_demo_needs_only_the_packages_of_the_program() -> None:
    """`make demo` installs .lock/run.txt alone: whatever the demo imports, directly or through the lab, is of the program or the standard library."""
    seen: set[Path] = set()
    waiting = [ROOT / "tests" / "lab" / "demo.py"]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        names = {name for name in _imports(file) if name.split(".")[0] == "tests"}
        names |= {name.rpartition(".")[0] for name in names}
        for name in names:
            place = ROOT.joinpath(*name.split("."))
            waiting += [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()]
    assert ROOT / "tests" / "lab" / "stage.py" in seen
    assert _packages(seen) <= _declared()[0]
    assert {file.parent.name for file in seen} == {"lab", "tests"}, "the demo is made of the lab alone"


def test_the_locks_hold_what_is_declared_and_pin_the_same() -> None:
    """run.txt is a part of dev.txt, so that one environment takes both, and build.txt pins what dev.txt pins."""
    build, run, dev = _pins("build"), _pins("run"), _pins("dev")
    assert {name: dev[name] for name in run} == run
    assert {name: dev[name] for name in build} == build
    needed, tested = _declared()
    assert needed <= set(run)
    assert tested <= set(dev)
    assert {_name(word) for word in PROJECT["build-system"]["requires"]} == set(build)


@pytest.mark.parametrize("lock", ["build", "run", "dev"])
def test_every_entry_of_a_lock_has_a_version_and_hashes(lock: str) -> None:
    """`--require-hashes` would stop at the first that has none, on the day of an installation."""
    pins = _pins(lock)
    assert list(pins) == sorted(pins)
    for name, (version, hashes) in pins.items():
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), name
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in hashes), name


def test_a_lock_is_installed_as_it_is_wherever_it_is_installed() -> None:
    """One script says how (.lock/install); a document that shows pip's own words has both options in every line."""
    script = (ROOT / ".lock" / "install").read_text(encoding="utf-8")
    lines = [line for line in script.splitlines() if re.search(r"\bpip install\b.* -r ", line)]
    assert len(lines) == 2
    for glob in DOCUMENTS:
        for file in ROOT.glob(glob):
            if file.is_file():
                lines += [line for line in file.read_text(encoding="utf-8").splitlines() if re.search(r"-r \S*\.lock/|\binstall\b.*--require-hashes", line)]
    assert [line for line in lines if "--no-deps" not in line or "--require-hashes" not in line] == []
    assert re.search(r"pip\b.* check\b", script)


def test_package_data_exists() -> None:
    """A pattern that matches nothing promises a file that is not shipped; a file that no pattern matches is not shipped."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["wiped"]
    found = {pattern: {path for path in (ROOT / "wiped").glob(pattern) if path.is_file()} for pattern in patterns}
    assert [pattern for pattern, files in found.items() if not files] == []
    shipped = set[Path]().union(*found.values())
    data = {path for path in (ROOT / "wiped").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert data - shipped == set()


def test_make_help_names_every_target_and_each_says_what_it_is_doing() -> None:
    """`make help` is made from the Makefile, so a target without words is not in it; and each begins with a line of its own name."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    targets = set(phony[1].split())
    assert set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) == targets
    assert {name for name, words in re.findall(r"^([a-z-]+):.*?## (.+)$", text, re.MULTILINE) if words} == targets
    silent = [name for name in sorted(targets - {"help"}) if f'@echo "{name}: ' not in text]
    assert silent == []
