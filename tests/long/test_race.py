"""Attack: a hostile process exchanges directories, files and links as fast as it can, while phones are wiped over and over."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.host.attacks import SMALL, Host, bind_all
from tests.host.eraser_stage import Stage, random_file
from tests.host.race import build_exchanger, race
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for

#: Wipes that are raced against the eraser alone, and phones that are wiped or refused by the whole product.
WIPES, PHONES = 200, 48
#: Steps after the plan of which one begins the exchanging of a phone's disk.
MOMENTS = ("intent", "fenced", "stopped", "locked", "reobserved", "erasing", "overwritten", "verifying", "removing")


@pytest.mark.timeout(1_800)
async def test_two_hundred_wipes_against_the_eraser(scratch: Path) -> None:
    """Two hundred honest plans, each raced at another moment: no victim loses a byte or its name, and plans are still carried out."""
    seed = os.getpid()
    tally = await race(Stage(scratch), scratch, WIPES, 100_000, seed, wiped=10)
    print(f"seed {seed}: {tally}")
    assert tally.wiped > 10
    assert tally.exchanged > 100_000


@pytest.mark.timeout(1_800)
def test_the_whole_product(private_libvirt: PrivateLibvirt) -> None:
    """Phones fall due batch after batch; each one's disk or directory changes places with a victim, a link or a FIFO from one step of its wipe on."""
    host = Host(private_libvirt)
    program = build_exchanger(private_libvirt.workdir)
    golden, theirs = host.victim(host.golden / "disk.raw"), host.phone("theirs", host.phones / "theirs.raw", victim=True).disks["vda"][0]
    host_file = host.victim(host.outside / "disk.raw")
    tallies = private_libvirt.workdir / "tallies"
    tallies.mkdir()
    script, attacks, batches = private_libvirt.workdir / "attacks.json", [], []
    partners = ("theirs", "golden", "host-file", "link", "fifo", "directory", "linked-directory")
    for number in range(160):
        name = f"phone-{number}"
        directory = host.phones / name
        directory.mkdir()
        disk = random_file(directory / "disk.raw", SMALL)
        partner = partners[number % len(partners)]
        link, fifo, linked = (host.phones / f"{name}-{kind}" for kind in ("link", "fifo", "linked"))
        link.symlink_to(golden)
        os.mkfifo(fifo)
        linked.symlink_to(host.golden)
        pair = {
            "theirs": (disk, theirs),
            "golden": (disk, golden),
            "host-file": (disk, host_file),
            "link": (disk, link),
            "fifo": (disk, fifo),
            "directory": (directory, host.golden),
            "linked-directory": (directory, linked),
        }[partner]
        # A victim can be in one exchange at a time only: whoever comes while it is held waits (flock) for a second, then goes without.
        words = shlex.join([str(program), "1.5", *map(str, pair)])
        lock = private_libvirt.workdir / f"lock-{partner if partner not in ('golden', 'directory') else 'golden'}"
        shared = partner in ("theirs", "golden", "host-file", "directory")
        guarded = f"flock -n {shlex.quote(str(lock))} {words}" if shared else words
        command = f"{guarded} >{shlex.quote(str(tallies / name))} 2>/dev/null </dev/null & sleep 0.05"
        attacks.append({"name": name, "step": MOMENTS[number % len(MOMENTS)], "command": command})
        batches.append(name)
    script.write_text(json.dumps(attacks))
    product = host.product(storage="parallel_wipes = 4")
    product.start("tests.lab.attacking_daemon", str(script))
    ended: Counter[str] = Counter()
    try:
        while batches and (sum(ended.values()) < PHONES or ended["clear"] <= 5):
            batch, batches = batches[:8], batches[8:]
            phones = [host.phone(name, host.phones / name / "disk.raw") for name in batch]
            bind_all(product, phones)
            for phone in phones:

                def told(uuid: str = phone.uuid) -> str:
                    wipes = product.wipes(uuid)
                    if wipes and wipes[0]["outcome"]:
                        return str(wipes[0]["outcome"])
                    return ", ".join(product.explain(uuid)["refusals"])

                ended[wait_for(told, f"{phone.name} to be wiped or refused")] += 1
        time.sleep(2)  # the last exchanger puts back what it exchanged
    finally:
        product.stop()
    counts = [tuple(map(int, path.read_text().split())) for path in tallies.iterdir() if path.stat().st_size]
    print(f"{sum(ended.values())} wipes: {dict(ended)}; {sum(tried for tried, _ in counts)} exchanges tried, {sum(done for _, done in counts)} done")
    host.unharmed()
    assert ended["clear"] > 5
    assert sum(done for _, done in counts) > 100_000
