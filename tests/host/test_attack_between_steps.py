"""Attack: between plan, fence, stop, lock and erase somebody renames, redefines, copies or exchanges. Each victim keeps every byte; each code is the right one.

One daemon, one attack a phone, run by the daemon itself at the named milestone, so that the wipe cannot outrun it (tests.lab.attacking_daemon).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host.attacks import SMALL, Host, bind_all, reasons
from tests.host.eraser_stage import random_file
from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.stage import StagedPhone

VIRSH = "virsh -q -c qemu:///system"


@dataclass
class Attack:
    """One phone, what happens to it and when, and the codes of which one must be told. `spared`: files that must keep every byte."""

    phone: StagedPhone
    step: str
    command: str
    codes: frozenset[str]
    spared: tuple[Path, ...]


class Plot:
    """Makes the phones and their attacks."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.attacks: list[Attack] = []

    def add(self, name: str, step: str, command: Callable[[StagedPhone, Path], str], *codes: str, spare: Path | None = None, own: bool = True) -> None:
        """A phone of that name with one disk. `spare`: another victim than that disk; not `own`: the disk itself may rightly be wiped."""
        disk = random_file(self.host.phones / f"{name}.raw", SMALL)
        phone = self.host.phone(name, disk)
        spared = (*((disk,) if own else ()), *((spare,) if spare else ()))
        self.attacks.append(Attack(phone, step, command(phone, disk), frozenset(codes), spared))

    def file(self, name: str, text: str) -> Path:
        """A file for a command."""
        path = self.host.libvirt.workdir / name
        path.write_text(text)
        return path

    def redefined(self, phone: StagedPhone, disk: Path, name: str = "") -> str:
        """A command that defines the same UUID over another disk."""
        other = StagedPhone(phone.libvirt, name or phone.name, {"vda": (disk, "raw")}, uuid=phone.uuid)
        return f"{VIRSH} define {shlex.quote(str(self.file(f'{phone.name}.xml', other.xml)))}"

    def neighbour(self, phone: StagedPhone) -> str:
        """A command that gives the phone's disk to a second domain too."""
        other = StagedPhone(phone.libvirt, f"{phone.name}-neighbour", phone.disks)
        return f"{VIRSH} define {shlex.quote(str(self.file(f'{phone.name}-neighbour.xml', other.xml)))}"


def plotted(host: Host) -> Plot:
    """Every attack; the victims are the phones' own disks (the wipe must not go on as if nothing had happened) and what they were exchanged for."""
    plot = Plot(host)
    golden = host.victim(host.golden / "base.raw")
    theirs = host.phone("theirs", host.phones / "theirs.raw", victim=True).disks["vda"][0]
    # after the plan, before the locks
    plot.add("renamed", "stopped", lambda phone, disk: f"{VIRSH} domrename {phone.uuid} renamed-by-hand", "drift")
    spare = host.victim(host.phones / "next-customer.raw")
    plot.add("redefined", "stopped", lambda phone, disk: plot.redefined(phone, spare), "drift", "ambiguous-base", spare=spare)
    plot.add("onto-golden", "stopped", lambda phone, disk: f"mv {disk} {disk}.old; ln {golden} {disk}", "identity-changed", "hard-link", "drift")
    plot.add("onto-theirs", "stopped", lambda phone, disk: f"mv {disk} {disk}.old; ln -s {theirs} {disk}", "symlink")
    plot.add("copied", "stopped", lambda phone, disk: f"cp {disk} {disk}.new && mv {disk} {disk}.old && mv {disk}.new {disk}", "identity-changed", "drift")
    plot.add("linked", "stopped", lambda phone, disk: f"ln {disk} {host.outside}/a-second-name", "hard-link")
    plot.add("neighbour", "stopped", lambda phone, disk: plot.neighbour(phone), "shared-by-domain")
    plot.add("fifo", "stopped", lambda phone, disk: f"mv {disk} {disk}.old; mkfifo {disk}", "not-regular", "identity-changed")
    # under the locks, before the last word
    # A name is no key: under its locks the phone is the phone, and its own disk goes.
    plot.add("renamed-late", "locked", lambda phone, disk: f"{VIRSH} domrename {phone.uuid} renamed-late-by-hand", "clear", spare=golden, own=False)
    late = host.victim(host.phones / "late.raw")
    plot.add("redefined-late", "locked", lambda phone, disk: plot.redefined(phone, late), "drift", "ambiguous-base", "missing", spare=late)
    plot.add("swapped-late", "locked", lambda phone, disk: f"mv {disk} {disk}.old; cp {theirs} {disk}", "identity-changed", "drift")
    plot.add("neighbour-late", "locked", lambda phone, disk: plot.neighbour(phone), "shared-by-domain")
    plot.add("linked-late", "reobserved", lambda phone, disk: f"ln {disk} {host.outside}/late-second-name", "hard-link", "drift", "readback-impossible")
    # after the last word, before the first byte
    plot.add("neighbour-last", "erasing", lambda phone, disk: plot.neighbour(phone), "shared-by-domain", "readback-impossible")
    plot.add("linked-last", "erasing", lambda phone, disk: f"ln {disk} {host.outside}/last-second-name", "hard-link", "readback-impossible")
    plot.add("swapped-last", "erasing", lambda phone, disk: f"mv {disk} {disk}.old; cp {theirs} {disk}", "identity-changed", "readback-impossible")
    return plot


def kept(path: Path) -> set[str]:
    """Digests of a victim under its name and under the one that an attack gave it."""
    return {images.digest(each) for each in (path, path.with_name(path.name + ".old")) if each.is_file()}


@pytest.mark.long
def test_nothing_is_erased_that_changed_since_the_plan(private_libvirt: PrivateLibvirt) -> None:
    """Redefined, exchanged, linked, given to a neighbour at four moments: refused or left, told why, every byte in place. Under the locks a name is no key."""
    host = Host(private_libvirt)
    plot = plotted(host)
    before = {path: images.digest(path) for attack in plot.attacks for path in attack.spared}
    script = plot.file("attacks.json", json.dumps([{"name": each.phone.name, "step": each.step, "command": each.command} for each in plot.attacks]))
    product = host.product()
    product.start("tests.lab.attacking_daemon", str(script))
    try:
        bind_all(product, [attack.phone for attack in plot.attacks])
        for attack in plot.attacks:

            def told(attack: Attack = attack) -> set[str]:
                ended = {code for wipe in product.wipes(attack.phone.uuid) for code in (*wipe["reasons"], wipe["outcome"])}
                return (reasons(product, attack.phone) | ended) & attack.codes

            try:
                wait_for(told, f"{attack.phone.name} to be refused with one of {sorted(attack.codes)}")
            except BaseException:
                print(product.explain(attack.phone.uuid), product.wipes(attack.phone.uuid), product.log.read_text()[-3000:], sep="\n")
                raise
    finally:
        product.stop()
    log = product.log.read_text()
    assert [attack.phone.name for attack in plot.attacks if f"'command': {attack.command!r}}} -> 0" not in log] == []
    host.unharmed()
    assert [path.name for path, digest in before.items() if digest not in kept(path)] == []
