"""Both locks, installed by the one script that installs them, against an index that offers a newer release of everything.

The newer releases are made here: an empty wheel of version 9999 for each package of the locks, in a local folder that pip is pointed to beside this machine's
index. So the pip of Debian's own python3 (23.0.1 on Debian 12) could take one wherever it resolves anything: for a package that another one requires with an
extra, or for what builds a package. The controls show that it does, once the script's option against it is taken away.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.lab.stage import REPOSITORY

LOCKS = REPOSITORY / ".lock"
# Seconds: an environment takes half a minute on an idle machine; it is downloaded, and one package is compiled.
pytestmark = pytest.mark.timeout(1200)
NEWER = "9999.0"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(*locks: str) -> dict[str, str]:
    """What the locks pin: name -> version."""
    return dict(pin for lock in locks for pin in re.findall(r"^([a-z0-9-]+)==(\S+)", (LOCKS / f"{lock}.txt").read_text(encoding="utf-8"), re.MULTILINE))


def _required_with_extras() -> dict[str, set[str]]:
    """Of the packages of this environment: what another one of them requires with an extra, and which extras."""
    found: dict[str, set[str]] = {}
    for distribution in distributions():
        for requirement in distribution.requires or []:
            if (with_extra := re.match(r"([\w.-]+) ?\[([\w., -]+)\]", requirement)) and "extra ==" not in requirement and distribution.name != "wiped":
                found.setdefault(_normal(with_extra[1]), set()).update(word.strip() for word in with_extra[2].split(","))
    return found


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A folder with a newer release of every package of the locks, which has the extras that others ask for, and no content."""
    folder = tmp_path / "newer"
    folder.mkdir()
    extras = _required_with_extras()
    for name in _pins("build", "run", "dev"):
        module = name.replace("-", "_")
        about = f"{module}-{NEWER}.dist-info"
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {NEWER}", *(f"Provides-Extra: {extra}" for extra in sorted(extras.get(name, ())))]
        with zipfile.ZipFile(folder / f"{module}-{NEWER}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{about}/METADATA", "\n".join(lines) + "\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The python of a new environment of Debian's python3, with the pip that Debian gives it."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(tmp_path / "environment")], check=True, capture_output=True)
    return tmp_path / "environment/bin/python"


def _install(script: Path, python: Path, lock: str, newer: Path) -> subprocess.CompletedProcess[str]:
    links = f"{newer} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    environment = {**os.environ, "PIP_FIND_LINKS": links, "PIP_NO_COMPILE": "1", "LC_ALL": "C.UTF-8"}
    return subprocess.run([str(script), str(python), lock], capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL)


def _installed(python: Path) -> dict[str, str]:
    """What the environment holds besides pip itself: name -> version."""
    done = subprocess.run([str(python), "-m", "pip", "--disable-pip-version-check", "list", "--format=json"], capture_output=True, text=True, check=True)
    return {_normal(entry["name"]): entry["version"] for entry in json.loads(done.stdout) if entry["name"] != "pip"}


def _without(option: str, tmp_path: Path) -> Path:
    """The script and its locks, without one of its options."""
    script = shutil.copytree(LOCKS, tmp_path / "lock") / "install"
    text = script.read_text(encoding="utf-8")
    assert f" {option} " in text
    script.write_text(text.replace(f" {option} ", " "), encoding="utf-8")
    return script


def test_the_locks_install_what_they_pin_although_everything_has_a_newer_release(newer: Path, python: Path) -> None:
    """The first command works on any day: no release of any day is looked at. One lock after the other into one environment, as the Makefile does."""
    for lock in ("run", "dev"):
        done = _install(LOCKS / "install", python, lock, newer)
        assert done.returncode == 0, done.stdout + done.stderr
        assert _installed(python) == _pins("build", lock)


def test_without_no_deps_the_newer_release_of_what_is_required_with_an_extra_is_looked_at(newer: Path, python: Path, tmp_path: Path) -> None:
    """The control: the made index does offer what broke the first command, so the test above is able to fail."""
    assert "coverage" in _required_with_extras()
    done = _install(_without("--no-deps", tmp_path), python, "dev", newer)
    assert done.returncode != 0
    assert "must have their versions pinned" in done.stdout + done.stderr
    assert re.search(r"^ +(coverage)\b", done.stdout + done.stderr, re.MULTILINE), done.stderr


def test_without_no_build_isolation_the_newer_setuptools_builds(newer: Path, python: Path, tmp_path: Path) -> None:
    """The control of the other half: what a package is built with is taken from the lock too, and would be fetched otherwise."""
    done = _install(_without("--no-build-isolation", tmp_path), python, "run", newer)
    assert done.returncode != 0
    assert "setuptools" in done.stdout + done.stderr
