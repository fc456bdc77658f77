"""Mutants of the deciding code (`make mutants`): which changes of one operator, word or number does no unit test notice? With mutmut, on a copy of the tree.

    python -m tests.mutants [PATH...]      files or directories of wiped/ to mutate; without any, those of ROOMS

Hours on two cores for all of ROOMS; a file takes minutes. A summary by file is printed; the survivors stand in .mutants/survivors.txt, each to be shown with
`cd .mutants/tree && ../venv/bin/python -m mutmut show NAME`. Not part of `make test`: the tests that are missing are.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
#: What decides what is destroyed, kept or proven.
ROOMS = (
    "wiped/erase",
    "wiped/observe",
    "wiped/virt/data_map.py",
    *(f"wiped/storage/{name}.py" for name in (
        "classified", "direct", "doubt", "extents", "filesystems", "inode", "locks", "paths", "protected", "reached", "shared_extents",
    )),
    *(f"wiped/decide/{name}.py" for name in ("lastlook", "leftover", "plan", "provable", "refusal", "vanished", "verdict")),
)  # fmt: skip
TESTS = tuple(f"tests/unit/{name}" for name in ("erase", "storage", "decide", "observe", "virt", "conduct/wipe"))
#: Beside the program: what the tests read.
BESIDE = ("tests", "config", "docs", "systemd", "Makefile", "CHANGELOG.md", "README.md", ".lock", ".ci", "pyproject.toml")


def chosen(words: list[str]) -> set[str]:
    """The files to mutate. Raises SystemExit for a word that names none."""
    found: set[str] = set()
    for word in words or ROOMS:
        path = REPOSITORY / word
        files = {path} if path.is_file() else set(path.rglob("*.py"))
        if not files or not word.startswith("wiped/"):
            raise SystemExit(f"mutants: {word!r} names no file beneath wiped/")
        found |= {str(file.relative_to(REPOSITORY)) for file in files}
    return found


def copied(tree: Path) -> None:
    """What git knows, as it stands."""
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source = REPOSITORY / name
        if source.is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tree / name)


def configured(tree: Path, files: set[str]) -> None:
    """mutmut's settings. It mutates whole directories, so all other files are named."""
    others = sorted(str(path.relative_to(tree)) for path in (tree / "wiped").rglob("*.py") if str(path.relative_to(tree)) not in files)

    def listed(words: Sequence[str]) -> str:
        return "[" + ", ".join(f'"{word}"' for word in words) + "]"

    settings = {"do_not_mutate": others, "tests_dir": TESTS, "also_copy": BESIDE}
    lines = ("", "[tool.mutmut]", 'paths_to_mutate = ["wiped"]', *(f"{key} = {listed(words)}" for key, words in settings.items()))
    with (tree / "pyproject.toml").open("a") as file:
        file.write("\n".join(lines) + "\n")


def is_of_words(diff: str) -> bool:
    """Whether a mutant changes the text of an error and nothing else: its words, or nothing in their place."""
    removed, added = ([_without_text(line[1:]) for line in diff.splitlines() if line.startswith(sign) and line[:3] not in {"---", "+++"}] for sign in "-+")
    return bool(removed) and any(word in line for line in removed for word in _TELLING) and removed == added


#: Where a sentence for people is made.
_TELLING = ("raise ", "Error(", "_unreadable(", "unreadable(", "Refusal(", "problem(")


def _without_text(line: str) -> str:
    return re.sub(r'f?"(?:[^"\\]|\\.)*"|\bNone\b', "TEXT", line)


def told(results: str, survivors: Path, show: Callable[[str], str]) -> int:
    """The summary; how many mutants survived or met no test. `show` gives a mutant's diff: one that changes a sentence alone is counted apart, and is no
    survivor (sentences are read by people, and tested where they carry a name or a remedy)."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    left = []
    for line in results.splitlines():
        name, _, status = line.strip().rpartition(": ")
        if name:
            if status in {"survived", "no tests"}:
                if is_of_words(show(name)):
                    status = "words"
                else:
                    left.append(f"{name}: {status}")
            counts[name.partition(".x")[0]][status] += 1
    survivors.write_text("\n".join(left) + "\n")
    print(f"{'file':40} {'mutants':>8} {'killed':>8} {'words':>8} {'survived':>9} {'no tests':>9} {'killed':>7}")
    for name, count in sorted(counts.items()):
        total, survived, untested, words = count.total(), count["survived"], count["no tests"], count["words"]
        killed = total - survived - untested - words
        print(f"{name:40} {total:8} {killed:8} {words:8} {survived:9} {untested:9} {100 * killed // max(1, total - words):6}%")
    return len(left)


def main() -> int:
    """Run mutmut; 1 when it could not."""
    tree = REPOSITORY / ".mutants/tree"
    files = chosen(sys.argv[1:])
    copied(tree)
    configured(tree, files)
    print(f"mutants: of {len(files)} files", flush=True)
    mutmut = [sys.executable, "-m", "mutmut"]
    if subprocess.run([*mutmut, "run", "--max-children", "2"], cwd=tree, check=False).returncode:
        print("mutants: mutmut could not run (above)", file=sys.stderr)
        return 1
    results = subprocess.run([*mutmut, "results", "--all", "true"], cwd=tree, check=True, capture_output=True, text=True).stdout
    survivors = REPOSITORY / ".mutants/survivors.txt"

    def show(name: str) -> str:
        return subprocess.run([*mutmut, "show", name], cwd=tree, check=False, capture_output=True, text=True).stdout

    print(f"mutants: {told(results, survivors, show)} are left, each in {survivors}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
