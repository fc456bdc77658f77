"""Templates of paths and the walk by descriptor, in directories whose content others chose."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.errors import InputError
from wiped.storage import templates
from wiped.storage.templates import bound_of, check_template, directory_of, expand, matches, may_lead, walk_directory

PHONE = "0f3ab1c2-1d2e-4f50-8a6b-7c8d9e0f1a2b"
OTHER = "0f3ab1c2-1d2e-4f50-8a6b-7c8d9e0f1a2c"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory without symbolic links above it."""
    return tmp_path.resolve()


def touch(path: Path, *names: str) -> None:
    """Files, with their directories."""
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"x")


def found(place: Path, template: str) -> list[str]:
    """Files of a template below `place`, relative to it; it must meet no problem."""
    answer = expand(f"{place}/{template}", PHONE)
    assert answer.problems == ()
    return [os.path.relpath(path, place) for path in answer.files]


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("srv/{uuid}", "relative"),
        ("/srv/backup", "no {uuid}"),
        ("/srv/*/{uuid}", "glob before"),
        ("/srv/[a]/{uuid}", "glob before"),
        ("/srv/{uuid}/{name}", "braces"),
        ("/srv/{{uuid}}", "braces"),
        ("/srv/{uuid}/../x", "normal form"),
        ("/srv//{uuid}", "normal form"),
        ("//srv/{uuid}", "normal form"),
        ("/srv/{uuid}/", "normal form"),
        ("/srv/{uuid}/a**", "between slashes"),
        ("/srv/{uuid}/**/**/**", "more than two"),
        ("/srv/{uuid}/[ab", "without"),
        ("/{uuid}/x", "below the root"),
        ("/srv/{uuid}\n", "control"),
        ("", "relative"),
    ],
)
def test_what_is_no_template(template: str, part: str) -> None:
    """Each fault by itself, in words; expanding such a one is an error, not an empty answer."""
    assert part in check_template(template)
    with pytest.raises(InputError):
        expand(template, PHONE)


def test_a_directory_template_has_no_glob() -> None:
    """A phone's own directory is one."""
    assert check_template("/srv/{uuid}", globs=False) == ""
    assert "glob" in check_template("/srv/{uuid}/*", globs=False)
    assert directory_of("/srv/phones/{uuid}", PHONE) == f"/srv/phones/{PHONE}"


@pytest.mark.parametrize("uuid", ["", "*", "..", "phone", PHONE.upper(), PHONE + "/", f"{PHONE}\n", "{uuid}", PHONE.replace("-", "")])
def test_only_a_uuid_is_filled_in(uuid: str) -> None:
    """Not a name, a glob or a path."""
    for call in (expand, directory_of, bound_of):
        with pytest.raises(InputError):
            call("/srv/phones/{uuid}", uuid)


def test_bounds() -> None:
    """The deepest literal directory."""
    bounds = {template: bound_of(template, PHONE) for template in ("/a/{uuid}", "/a/{uuid}/**", "/a/{uuid}*", "/a/b-{uuid}/c/*.x/y", "/a/{uuid}/{uuid}.img")}
    assert bounds == {
        "/a/{uuid}": "/a", "/a/{uuid}/**": f"/a/{PHONE}", "/a/{uuid}*": "/a", "/a/b-{uuid}/c/*.x/y": f"/a/b-{PHONE}/c", "/a/{uuid}/{uuid}.img": f"/a/{PHONE}"
    }  # fmt: skip


def test_globs(place: Path) -> None:
    """Each kind of glob finds its files, hidden ones too, and nothing of another phone whose UUID differs by one letter."""
    touch(
        place,
        f"{PHONE}/a.img",
        f"{PHONE}/.hidden",
        f"{PHONE}/d/b.img",
        f"{PHONE}/d/e/c.img",
        f"{PHONE}.tar",
        f"{PHONE}.tar.gz",
        f"{PHONE}x",
        f"{OTHER}/a.img",
        f"{OTHER}.tar",
    )
    assert found(place, "{uuid}/**") == [f"{PHONE}/{name}" for name in (".hidden", "a.img", "d/b.img", "d/e/c.img")]
    assert found(place, "{uuid}/*") == [f"{PHONE}/.hidden", f"{PHONE}/a.img"]
    assert found(place, "{uuid}/**/*.img") == [f"{PHONE}/{name}" for name in ("a.img", "d/b.img", "d/e/c.img")]
    assert found(place, "{uuid}/*/?.img") == [f"{PHONE}/d/b.img"]
    assert found(place, "{uuid}/[!b-z].img") == [f"{PHONE}/a.img"]
    assert found(place, "{uuid}.tar*") == [f"{PHONE}.tar", f"{PHONE}.tar.gz"]
    assert found(place, "{uuid}/a.img") == [f"{PHONE}/a.img"]
    assert found(place, "{uuid}") == []
    assert found(place, "none/{uuid}/**") == []


def test_names_are_not_globs(place: Path) -> None:
    """A directory called `*` holds what stands in it, and a file called `[a]` is matched as letters, not as a pattern."""
    touch(place, f"{PHONE}/*/x", f"{PHONE}/[a]", f"{PHONE}/a", f"{PHONE}/?")
    assert found(place, "{uuid}/*") == [f"{PHONE}/?", f"{PHONE}/[a]", f"{PHONE}/a"]
    assert found(place, "{uuid}/**") == [f"{PHONE}/*/x", f"{PHONE}/?", f"{PHONE}/[a]", f"{PHONE}/a"]


def test_hostile_content(place: Path) -> None:
    """Links out of the directory, pipes, sockets, second names, names with newlines and broken UTF-8: told with their codes, never followed or taken."""
    base = place / PHONE
    touch(place, "victim", "victims/one", f"{PHONE}/own")
    (base / "link").symlink_to(place / "victim")
    (base / "dir").symlink_to(place / "victims")
    os.link(place / "victim", base / "hard")
    os.mkfifo(base / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(base)
        server.bind("sock")
        os.chdir(here)
    touch(base, "new\nline", "esc\x1b[31m")
    (Path(os.fsdecode(os.fsencode(base) + b"/\xff\xfe"))).write_bytes(b"x")
    for answer in (expand(f"{place}/{{uuid}}/**", PHONE), walk_directory(str(base))):
        assert [os.path.basename(path) for path in answer.files] == ["own"]
        told = {os.path.basename(path): code for code, path, _ in answer.problems}
        assert told == {
            "link": "symlink", "dir": "symlink", "hard": "hard-link", "pipe": "not-regular", "sock": "not-regular",
            "new\\nline": "untrusted-format", "esc\\x1b[31m": "untrusted-format", "\\udcff\\udcfe": "untrusted-format",
        }  # fmt: skip
        assert all(path.isprintable() for _, path, _ in answer.problems)


def test_what_a_template_does_not_mean_is_no_problem(place: Path) -> None:
    """A link or pipe that no part of the template matches is nobody's business."""
    base = place / PHONE
    touch(base, "a.img")
    (base / "link").symlink_to("/etc")
    os.mkfifo(base / "pipe")
    assert found(place, "{uuid}/*.img") == [f"{PHONE}/a.img"]


def test_a_link_above_is_a_problem(place: Path) -> None:
    """The phone's directory, or one above it, replaced by a link to another's."""
    touch(place, f"{OTHER}/disk", f"deep/{PHONE}/disk")
    (place / PHONE).symlink_to(OTHER)
    (place / "way").symlink_to("deep")
    for answer in (expand(f"{place}/{{uuid}}/**", PHONE), expand(f"{place}/way/{{uuid}}/*", PHONE), walk_directory(str(place / PHONE))):
        assert ([code for code, _, _ in answer.problems], answer.files) == (["symlink"], ())


def test_walk_of_what_is_no_directory(place: Path) -> None:
    """Nothing there is nothing; a file, a relative path and an unreadable name are told."""
    touch(place, "file")
    assert walk_directory(str(place / "none")) == templates.Walked()
    assert [code for code, _, _ in walk_directory(str(place / "file")).problems] == ["not-regular"]
    assert [code for code, _, _ in walk_directory("relative").problems] == ["unsupported-artefact"]


def test_limits(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files and too deep directories are told; what is listed then is not all, and the code says so."""
    touch(place, *(f"{PHONE}/{number}" for number in range(30)))
    monkeypatch.setattr(templates, "MAX_FILES", 20)
    assert [code for code, _, _ in walk_directory(str(place / PHONE)).problems] == ["unsupported-artefact"]
    touch(place, f"deep/{'d/' * 70}x")
    answer = walk_directory(str(place / "deep"))
    assert ([code for code, _, _ in answer.problems], answer.files) == (["unsupported-artefact"], ())


def test_no_descriptor_is_left(place: Path) -> None:
    """Whatever was met."""
    touch(place, f"{PHONE}/a/b/c", f"{PHONE}/a/d")
    (place / PHONE / "link").symlink_to("a")
    before = len(os.listdir("/proc/self/fd"))
    walk_directory(str(place / PHONE))
    expand(f"{place}/{{uuid}}/**/c", PHONE)
    assert len(os.listdir("/proc/self/fd")) == before


NAMES = st.lists(st.text("ab*?[", min_size=1, max_size=3), min_size=1, max_size=4)
PATTERNS = st.lists(st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=3).filter(lambda text: "**" not in text)), min_size=1, max_size=4)


@given(PATTERNS, NAMES)
def test_whatever_matches_is_led_to(pattern: list[str], parts: list[str]) -> None:
    """The walk goes into every directory above a match, so that nothing is missed."""
    if matches(pattern, parts):
        assert all(may_lead(pattern, parts[:count]) for count in range(len(parts)))
