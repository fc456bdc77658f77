"""A host of 500 phones with everything: one survey stays little work, and mixes nobody up."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from tests.patience import Work
from tests.unit.observe.places import Places, disk, phone, qcow2, saved_state
from wiped.model.inventory import DomainFacts

PHONES = 500


def furnished(places: Places, number: int, golden: Path) -> DomainFacts:
    """One phone with a chain, a snapshot, logs and rotations, TPM state, a dump, a saved state, NVRAM and a shared directory."""
    identity, name = str(uuid.uuid4()), f"phone-{number}"
    home = places.images / identity
    home.mkdir()
    base = qcow2(home / "base.qcow2", backing=str(golden))
    top = qcow2(home / "top.qcow2", backing=str(base))
    for log in (f"console-{number}.log", f"console-{number}.log.0", f"{name}.log", f"{name}.log.0"):
        places.raw(f"logs/{log}")
    places.raw(f"swtpm-logs/{name}-swtpm.log")
    places.raw(f"swtpm/{identity}/tpm2/tpm2-00.permall")
    places.raw(f"state/dump/{number}-{name}-2026-01-01-10:10:10")
    places.raw(f"state/save/{name}.save", saved_state(identity, name=name))
    places.raw(f"images/{identity}/share/photo")
    return phone(
        disk(top, "qcow2"),
        disk(base, "qcow2", origin="snapshot"),
        uuid=identity,
        name=name,
        console_logs=(f"{places.base}/logs/console-{number}.log",),
        nvram=str(places.raw(f"state/nvram/{identity}.fd")),
        shared_directories=(f"{home}/share",),
        tpm=True,
        secrets=(str(uuid.uuid4()),),
        has_managed_save=True,
    )


def test_a_survey_among_five_hundred(tmp_path: Path) -> None:
    """Every artefact is found, only the golden image is another's too, and it is little work (0.3 s on an idle machine)."""
    places = Places(Path(os.path.realpath(tmp_path)))
    golden = qcow2(places.golden / "golden.qcow2")
    domains = [furnished(places, number, golden) for number in range(PHONES)]
    with Work() as work:
        inventory = places.look(domains[7], *domains, with_extents=True)
    assert work.units < 250
    assert inventory.problems == ()
    assert len(inventory.artefacts) == 13
    assert {os.path.basename(found.layer.location) for found in inventory.artefacts if len(found.owners) > 1} == {"golden.qcow2"}
