"""The rules of the house, checked on the files themselves: nouns, one file a thing, a test of each file's name, nothing inherited from two sides."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MAX_LINES = 350
MAX_METHODS = 12

#: Nouns that end in -ing.
NOUNS_IN_ING = frozenset({"signing", "framing"})
#: Documents that are called by what their reader does.
DOCUMENTS_IN_ING = frozenset({"docs/developing.md"})
#: Words that say who asked for a test, not what it tests.
ASKERS = frozenset({"review", "reviews", "reviewer", "issue", "issues", "finding", "findings"})

#: The nouns of the API. In every room that has something of one of them, the file bears that noun.
API_NOUNS = (
    "status", "phones", "subscriptions", "plans", "wipes", "quarantine", "images", "requests", "holds", "approvals", "drains", "breaker", "clock", "reports",
    "certificates", "audit", "notices", "sightings",
)  # fmt: skip
#: Names by which one of those nouns must not hide (docs: one word for one thing).
SYNONYMS = {
    "breaker": ("guards", "massmistakes", "breakers"), "holds": ("hold",), "approvals": ("asks", "promises"), "sightings": ("memory", "memories"),
    "notices": ("outbox", "noticing"), "subscriptions": ("terms", "term"), "phones": ("phone",), "requests": ("request",), "drains": ("drain",),
    "certificates": (), "reports": ("report",), "images": ("image_store",), "status": (), "plans": (), "wipes": (), "quarantine": ("disposals",),
    "clock": ("clocks",), "audit": ("audits",),
}  # fmt: skip

VALUES = "values only: nothing to run that its readers' tests do not"
#: Source files without a test of their name: why, and where they are tested all the same.
WITHOUT_A_TEST_OF_THEIR_NAME: dict[str, tuple[str, tuple[str, ...]]] = {
    "wiped/__main__.py": ("one call of the daemon's command line", ("tests/unit/cli/test_daemon.py",)),
    "wiped/config/endpoints.py": ("read through a whole file, as operators meet them", ("tests/unit/config/test_settings.py",)),
    "wiped/config/sections.py": (
        "read through a whole file, as operators meet them",
        ("tests/unit/config/test_settings.py", "tests/unit/config/test_shipped.py"),
    ),
    "wiped/config/storage.py": ("read through a whole file, as the helpers meet it", ("tests/unit/config/test_settings.py",)),
    "wiped/erase/locks.py": ("a forged plan against a real eraser", ("tests/host/test_eraser_guards.py", "tests/host/test_eraser_in_use.py")),
    "wiped/erase/target.py": ("files and devices opened by a real eraser", ("tests/host/test_eraser_guards.py", "tests/host/test_eraser_devices.py")),
    "wiped/erase/trim.py": ("a real eraser on real filesystems", ("tests/host/test_eraser_kinds.py", "tests/host/test_storage_free_space.py")),
    "wiped/observe/observer.py": ("the process itself, asked over its line", ("tests/host/test_helpers_observer.py",)),
    "wiped/observe/places/look.py": (
        "what the five kinds of places share: through each of them",
        ("tests/unit/observe/test_image.py", "tests/unit/observe/test_places_disks.py"),
    ),
    "wiped/observe/reach.py": (
        "who else reaches a file: through surveys of several phones",
        ("tests/unit/observe/test_image.py", "tests/unit/observe/test_large_host.py"),
    ),
    "wiped/storage/artefacts.py": ("the map of real files and devices", ("tests/host/test_storage_shared_extents.py", "tests/host/test_storage_blockdev.py")),
    "wiped/virt/devices.py": ("a part of domain_xml", ("tests/unit/virt/test_domain_xml.py", "tests/unit/virt/test_data_map.py")),
    "wiped/virt/schema_names.py": ("two lists, compared with libvirt's schemas", ("tests/unit/virt/test_data_map.py",)),
    "wiped/virt/domain.py": ("one domain of a real libvirt", ("tests/unit/virt/test_connection.py", "tests/host/test_virt_inventory.py")),
    "wiped/virt/listener.py": ("events and losses of a real libvirt", ("tests/unit/virt/test_connection.py", "tests/host/test_virt_faults.py")),
    "wiped/record/sql/migrations/env.py": ("Alembic's own form, run by every migration", ("tests/unit/record/sql/test_migrate.py",)),
    **{
        f"wiped/record/sql/{name}_tables.py": ("tables: compared with what the migrations make", ("tests/unit/record/sql/test_schema.py",))
        for name in ("host", "phone", "rule", "wipe")
    },
    "wiped/conduct/world.py": (VALUES, ()),
    "wiped/wire/messages.py": ("every message goes over the line and comes back", ("tests/unit/wire/test_framing.py",)),
    "wiped/model/breaker.py": (VALUES, ()),
    "wiped/model/clock.py": (VALUES, ()),
    "wiped/model/images.py": (VALUES, ()),
    "wiped/model/inventory.py": (VALUES, ()),
    "wiped/model/notices.py": (VALUES, ()),
    "wiped/model/outcome.py": (VALUES, ()),
    "wiped/model/plan.py": (VALUES, ()),
    "wiped/model/policy.py": (VALUES, ()),
    "wiped/model/sightings.py": (VALUES, ()),
    "wiped/model/status.py": (VALUES, ()),
    "wiped/virt/bounds.py": (VALUES, ()),
}


def lines(found: Iterable[object]) -> str:
    """What a check found, a line each, so that a failure names every file."""
    return "\n" + "\n".join(sorted(map(str, found)))


@cache
def sources() -> tuple[str, ...]:
    """Every source file of the program, migrations' versions apart, relative to the repository."""
    found = (REPOSITORY / "wiped").rglob("*.py")
    return tuple(sorted(str(path.relative_to(REPOSITORY)) for path in found if "versions" not in path.parts))


@cache
def tree(path: str) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))


def names_of_tests(source: str) -> Iterator[str]:
    """Where a test of the name of `source` may lie: in its room's folder or the one above, the lower rooms' names in front; on a real host with its room's."""
    *rooms, file = Path(source).with_suffix("").parts[1:]
    for depth in range(len(rooms) + 1):
        for kept in range(len(rooms) + 1):
            yield "/".join(("tests/unit", *rooms[:depth], "test_" + "_".join((*rooms[kept:], file)) + ".py"))
    for kept in range(len(rooms)):
        yield "tests/host/test_" + "_".join((*rooms[kept:], file)) + ".py"
    if len(rooms) > 1:
        yield f"tests/host/test_{rooms[0]}_{file}.py"


def own_name(source: str) -> list[str]:
    """The tests that bear the name of a source file; where the file lies in a room, a test in no room does not."""
    rooms = Path(source).parts[1:-1]
    candidates = {name for name in names_of_tests(source) if not rooms or not name.startswith("tests/unit/test_")}
    if not rooms:
        candidates.add(f"tests/unit/{Path(source).stem}/test_{Path(source).stem}.py")
    return sorted(name for name in candidates if (REPOSITORY / name).exists())


def has_nothing_to_run(source: str) -> bool:
    """No function at all, or only those that a Protocol declares."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    declared = {id(part) for node in ast.walk(tree(source)) if isinstance(node, ast.ClassDef) and "Protocol" in bases(node) for part in ast.walk(node)}
    return not [node for node in ast.walk(tree(source)) if isinstance(node, functions) and id(node) not in declared]


def bases(node: ast.ClassDef) -> list[str]:
    """The last names of what a class inherits from, type parameters left out."""
    return [ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases]


def test_every_source_file_has_a_test_of_its_name_or_a_reason() -> None:
    """`wiped/erase/own.py` is tested by `tests/unit/erase/test_own.py` or `tests/host/test_erase_own.py`; a room of Protocols alone has nothing to run."""
    files = [path for path in sources() if not path.endswith("/__init__.py") and not path.startswith("wiped/ports/")]
    missing = [path for path in files if not own_name(path) and path not in WITHOUT_A_TEST_OF_THEIR_NAME]
    assert not missing, lines(missing)


def test_every_reason_is_still_true() -> None:
    """No line of the list for a file that is gone or has its test by now, none for tests that are gone; a file of values has nothing to run."""
    stale = []
    for path, (why, tests) in WITHOUT_A_TEST_OF_THEIR_NAME.items():
        if path not in sources():
            stale.append(f"{path}: no such file")
        elif own_name(path):
            stale.append(f"{path}: tested by {own_name(path)[0]}")
        elif why == VALUES and not has_nothing_to_run(path):
            stale.append(f"{path}: has functions")
        elif why != VALUES and not tests:
            stale.append(f"{path}: tested where?")
        stale += [f"{path}: no such test: {test}" for test in tests if not (REPOSITORY / test).exists()]
    assert not stale, lines(stale)


def test_ports_declare_and_run_nothing() -> None:
    """That is why they need no tests of their names."""
    assert [path for path in sources() if path.startswith("wiped/ports/") and not has_nothing_to_run(path)] == []


def test_a_file_is_called_by_a_noun() -> None:
    """No file or room of the program, its tests and its documents ends in -ing, where the noun does not."""
    found = []
    for room in ("wiped", "tests", "docs"):
        for path in (REPOSITORY / room).rglob("*"):
            last = path.stem.replace("-", "_").split("_")[-1]
            if (
                last.endswith("ing")
                and path.suffix in ("", ".py", ".md", ".html", ".sh", ".c")
                and "__pycache__" not in path.parts
                and last not in NOUNS_IN_ING
                and str(path.relative_to(REPOSITORY)) not in DOCUMENTS_IN_ING
            ):
                found.append(str(path.relative_to(REPOSITORY)))
    assert not found, lines(found)


def test_no_test_is_named_after_who_asked_for_it() -> None:
    """Neither a file nor a function of the tests: a name says what is tested."""
    found = []
    for path in (REPOSITORY / "tests").rglob("*.py"):
        name = str(path.relative_to(REPOSITORY))
        functions = re.findall(r"^ *(?:async )?(?:def|class) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        for each in (path.stem, *(function for function in functions if function.lower().startswith("test"))):
            if {word.rstrip("0123456789") for word in each.lower().split("_")} & ASKERS:
                found.append(f"{name}: {each}")
    assert not found, lines(found)


def test_no_class_inherits_behaviour_from_two_of_ours() -> None:
    """Parts are called by name (`ledger.holds.release`), not mixed in. Protocols and classes without a function carry no behaviour."""
    ours = {node.name: (path, node) for path in sources() for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)}

    def behaves(name: str) -> bool:
        node = ours[name][1]
        own = any(isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)) for part in node.body) and "Protocol" not in bases(node)
        return own or any(behaves(base) for base in bases(node) if base in ours)

    found = {
        f"{path}: {name}": both for name, (path, node) in ours.items() if len(both := [base for base in bases(node) if base in ours and behaves(base)]) > 1
    }
    assert not found, lines(found.items())


def test_no_protocol_has_more_than_twelve_methods() -> None:
    """One narrow Protocol a noun; inherited methods of other Protocols of ours count too. Properties hold the nouns of a bundle, and are no methods."""
    protocols = {node.name: (path, node) for path in sources() for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef) and "Protocol" in bases(node)}

    def methods(name: str) -> int:
        node = protocols[name][1]
        functions = [part for part in node.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))]
        own = sum("property" not in map(ast.unparse, part.decorator_list) for part in functions)
        return own + sum(methods(base) for base in bases(node) if base in protocols)

    found = {f"{path}: {name}": methods(name) for name, (path, _) in protocols.items() if methods(name) > MAX_METHODS}
    assert not found, lines(found.items())


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    """350 lines at most."""
    lengths = {path: len((REPOSITORY / path).read_text(encoding="utf-8").splitlines()) for path in sources()}
    long = [f"{path}: {length}" for path, length in lengths.items() if length > MAX_LINES]
    assert not long, lines(long)


def test_one_word_for_one_thing() -> None:
    """`ls wiped/**/holds.py` is the whole feature: no room keeps a noun of the API in a file of another name. A deed's file bears the deed's kind."""
    apart = ("wiped/decide/", "wiped/model/", "wiped/conduct/deeds/")
    hidden = {path: noun for path in sources() for noun in API_NOUNS if Path(path).stem in SYNONYMS[noun] and not path.startswith(apart)}
    assert not hidden, lines(hidden.items())


def test_a_noun_of_the_api_has_its_file_in_each_upper_room() -> None:
    """What people see through the API, they ask for on the command line, a service answers and the ledger keeps: one file each, of one name."""
    rooms = ("wiped/api/v1", "wiped/cli", "wiped/conduct/service", "wiped/ports/ledger", "wiped/record")
    nouns = ("phones", "holds", "approvals", "drains", "breaker", "clock")
    lacking = [f"{room}/{noun}.py" for room in rooms for noun in nouns if f"{room}/{noun}.py" not in sources()]
    assert not lacking, lines(lacking)
