"""This machine's Debian: its release, and how its apt reaches the mirrors. What the lab makes systems with."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.lab.privatelibvirt import LabError


def codename() -> str:
    """The release of this machine ("bookworm"); raises LabError where /etc/os-release names none."""
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    if found is None:
        raise LabError("/etc/os-release names no release")
    return found[1]


def apt_sources() -> list[str]:
    """This machine's own Debian sources, as lines of a sources.list; raises LabError where there are none."""
    words = "deb $(SITE) $(RELEASE) $(COMPONENT)"
    done = run("apt-get", "indextargets", "--format", f"$(ORIGIN)|$(CODENAME)|{words}", "Created-By: Packages")
    found = dict.fromkeys(
        line.split("|", 2)[2] for line in done.splitlines() if line.startswith("Debian|" + codename()) and "backports" not in line.split("|")[1]
    )
    if not found:
        raise LabError("apt has no Debian source with known packages here; apt-get update may help (apt-get indextargets tells)")
    return list(found)


def apt_options() -> list[str]:
    """How this machine's apt reaches its sources: proxies, certificates, retries, checks of dates."""
    done = run("apt-config", "dump", "--no-empty", "--format", '%F "%v";%n')
    wanted = re.compile(r"Acquire::(https?::|ftp::|Retries|Check-|ForceIPv|Languages)", re.IGNORECASE)
    return [line for line in done.splitlines() if wanted.match(line)]


def run(*argv: str, cwd: Path | None = None) -> str:
    """The standard output of a program; raises LabError with its words where it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, cwd=cwd, check=False, stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"})
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv[:4])}...: exit {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout
