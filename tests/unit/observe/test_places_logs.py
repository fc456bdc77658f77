"""What libvirt keeps by name, by UUID or by its configuration: logs, dumps, snapshots' memory, memory backing, TPM state, secrets."""

from __future__ import annotations

import os
from pathlib import Path

from tests.unit.observe.places import ME, OTHER, Places, disk, neighbour, phone, saved_state
from wiped.model.inventory import Inventory


def kinds(inventory: Inventory) -> list[tuple[str, str]]:
    """(kind, file name) of what was found."""
    return [(str(found.kind), os.path.basename(found.layer.location)) for found in inventory.artefacts]


def codes(inventory: Inventory) -> list[tuple[str, str]]:
    """(code, last part of the location) of the problems."""
    return [(code, os.path.basename(location)) for code, location, _ in inventory.problems]


def test_logs_by_name(places: Places) -> None:
    """QEMU's and swtpm's log of the present and of a former name, with rotations, each once; look-alikes are not the phone's."""
    for name in ("phone.log", "phone.log.0", "phone.log.01", "phone.log.old", "phone2.log", "before.log", "phone-swtpm.log"):
        places.raw(f"logs/{name}")
    places.raw("swtpm-logs/phone-swtpm.log")
    inventory = places.look(phone(former_names=("before",), console_logs=(f"{places.base}/logs/phone.log",)))
    assert kinds(inventory) == [("console-log", name) for name in ("phone.log", "phone.log.0", "phone-swtpm.log", "before.log")]
    assert all(found.owners == (ME,) and found.layer.libvirt_owned for found in inventory.artefacts)


def test_a_name_that_another_has_or_had(places: Places) -> None:
    """A log, dump or memory directory under a name that is another's too belongs to both: so says its present, former or saved name."""
    places.raw("logs/phone.log")
    places.raw("state/dump/phone.core")
    places.raw("state/ram/3-phone/pc.ram")
    for other in (neighbour(former_names=("phone",)), phone(uuid=OTHER)):
        assert {found.owners for found in places.look(phone(), other).artefacts} == {(ME, OTHER)}
    assert {found.owners for found in places.look(phone()).artefacts} == {(ME,)}
    places.raw("state/save/x.save", saved_state(OTHER, name="phone"))
    assert {found.owners for found in places.look(phone()).artefacts} == {(ME, OTHER)}


def test_another_domains_places_are_its_own(places: Places) -> None:
    """An XML that points a log at another's log, saved state, TPM state or secret does not make it this phone's."""
    secret = "aaaaaaaa-2222-3333-4444-555555555555"
    named = [places.raw(name) for name in ("logs/neighbour.log", "state/save/neighbour.save", f"swtpm/{OTHER}/tpm2/x", f"secrets/{secret}.base64")]
    inventory = places.look(phone(console_logs=tuple(map(str, named))), neighbour(secrets=(secret,)))
    assert [found.owners for found in inventory.artefacts] == [(ME, OTHER)] * 4
    assert [found.layer.libvirt_owned for found in inventory.artefacts] == [True, True, False, False]


SECRET = "aaaaaaaa-2222-3333-4444-555555555555"


def secret(places: Places, usage: str = "", uuid: str = SECRET) -> Path:
    """A secret with a value; `usage`: its `<usage>`."""
    places.raw(f"secrets/{uuid}.xml", f"<secret ephemeral='no' private='no'><uuid>{uuid}</uuid>{usage}</secret>".encode())
    return places.raw(f"secrets/{uuid}.base64", b"c2VjcmV0")


def test_the_guilty_domain_is_named(places: Places) -> None:
    """A neighbour's image that cannot be understood refuses the wipe of what it may name: the detail says whose and which."""
    broken = places.raw("broken.qcow2", b"QFI\xfb" + bytes(4096) + b"a.raw")
    path = places.raw("a.raw")
    ((code, where, detail),) = places.look(phone(disk(path)), neighbour(disk(broken, "qcow2"))).problems
    assert (code, where) == ("unreadable", str(path))
    assert OTHER in detail
    assert str(broken) in detail


def test_variables_under_the_phones_name(places: Places) -> None:
    """libvirt makes them for a definition that names no place; a former name counts, look-alikes do not, and what may be another's is both's."""
    for name in ("phone_VARS.fd", "phone_VARS.qcow2", "phone_VARS", "before_VARS.raw", "phone2_VARS.fd", "phone_VARS.fd.bak", "xphone_VARS.fd"):
        places.raw(f"state/nvram/{name}")
    own = phone(former_names=("before",))
    assert sorted(kinds(places.look(own))) == [("nvram", name) for name in ("before_VARS.raw", "phone_VARS", "phone_VARS.fd", "phone_VARS.qcow2")]
    others = places.look(own, neighbour(former_names=("before",)))
    assert {os.path.basename(found.layer.location): found.owners for found in others.artefacts}["before_VARS.raw"] == (ME, OTHER)
    theirs = places.raw("state/nvram/neighbour_VARS.fd")
    named = places.look(phone(nvram=str(theirs)), neighbour())
    assert {found.owners for found in named.artefacts if found.layer.location == str(theirs)} == {(ME, OTHER)}
