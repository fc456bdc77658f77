"""What libvirt keeps by name, by UUID or by its configuration: logs, dumps, snapshots' memory, memory backing, TPM state, secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.observe.places import ME, OTHER, Places, disk, neighbour, phone, qcow2, saved_state
from wiped.decide.plan import make_plan
from wiped.model.inventory import DomainState, Inventory
from wiped.observe.places.ram import is_memory


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Directories of this test."""
    return Places(Path(os.path.realpath(tmp_path)))


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


def test_dumps(places: Places) -> None:
    """Dumps by libvirt's own names, by people's, and by UUID; another's are left."""
    mine = ["7-phone-2026-01-02-03:04:05", "phone.core", f"x-{ME}.bin"]
    for name in (*mine, "7-phone2-2026-01-02-03:04:05", "phone.txt", "7-phone", "neighbour.core"):
        places.raw(f"state/dump/{name}")
    inventory = places.look(phone(), neighbour())
    assert kinds(inventory) == [("core-dump", name) for name in sorted(mine)]
    assert all(found.claim and found.owners == (ME,) for found in inventory.artefacts)


def test_short_names_that_two_phones_share(places: Places) -> None:
    """libvirt cuts names in dumps at 20 characters: a dump that may be either's is both's."""
    places.raw("state/dump/7-abcdefghijklmnopqrst-2026-01-02-03:04:05")
    (found,) = places.look(phone(name="abcdefghijklmnopqrstA"), neighbour(former_names=("abcdefghijklmnopqrstB",))).artefacts
    assert found.owners == (ME, OTHER)


def test_places_that_qemu_conf_moves(places: Places) -> None:
    """Dumps are looked for where qemu.conf says; a qemu.conf that is not understood refuses, since anything may be elsewhere."""
    places.raw("etc/qemu.conf", f'auto_dump_path = "{places.base}/dumps"\n'.encode())
    places.raw("dumps/phone.core")
    places.raw("state/dump/phone.core")
    inventory = places.look(phone())
    assert [found.layer.location for found in inventory.artefacts] == [f"{places.base}/dumps/phone.core"]
    assert inventory.artefacts[0].layer.libvirt_owned
    for content in (b"auto_dump_path = relative\n", b"\xff = [", b'auto_dump_path = "relative"\n'):
        places.raw("etc/qemu.conf", content)
        assert codes(places.look(phone())) == [("unreadable", "qemu.conf")]
    (places.base / "etc/qemu.conf").unlink()
    (places.base / "etc/qemu.conf").symlink_to("elsewhere")
    assert codes(places.look(phone())) == [("unreadable", "qemu.conf")]


def test_snapshot_memory(places: Places) -> None:
    """RAM of an external snapshot is the phone's by the UUID inside; of another UUID, without a header, or gone, it refuses."""
    own, other, broken = places.raw("own.mem", saved_state(ME)), places.raw("other.mem", saved_state(OTHER)), places.raw("broken.mem")
    inventory = places.look(phone(snapshot_memory_files=(str(own),), has_snapshot_memory=True))
    assert (kinds(inventory), inventory.problems) == ([("memory-image", "own.mem")], ())
    for path in (other, broken):
        assert codes(places.look(phone(snapshot_memory_files=(str(path),)))) == [("identity-changed", path.name)]
    (gone,) = places.look(phone(snapshot_memory_files=(f"{places.images}/gone.mem",))).artefacts
    assert gone.layer.problem == "missing"


def test_a_disk_that_only_snapshot_memory_names(places: Places) -> None:
    """It was attached when the snapshot was made, and nothing else names it."""
    xml = f"<disk type='file' device='disk'><source file='{places.raw('hot.raw')}'/><target dev='vdb'/></disk>"
    memory = places.raw("own.mem", saved_state(ME, disks=xml))
    assert codes(places.look(phone(snapshot_memory_files=(str(memory),)))) == [("unsupported-artefact", "hot.raw")]


def test_memory_backing(places: Places) -> None:
    """A running phone's RAM in a file on a disk is lost at the stop: refused before it; what a crash left behind is found and wiped."""
    path = places.raw("qemu/ram/4-phone/pc.ram")
    places.raw("qemu/ram/4-phone2/pc.ram")
    places.raw("etc/qemu.conf", f'memory_backing_dir = "{places.base}/moved"\n'.encode())
    running = phone(memory_backing_file=True, state=DomainState.RUNNING)
    assert codes(places.look(running)) == [("live-only", "qemu")]
    left = places.raw("moved/libvirt/qemu/4-phone/pc.ram", path.read_bytes())
    inventory = places.look(phone(memory_backing_file=True, state=DomainState.SHUTOFF))
    assert [(str(found.kind), found.layer.location) for found in inventory.artefacts] == [("memory-backing", str(left))]
    assert inventory.problems == ()


def test_memory_backing_in_memory() -> None:
    """On a tmpfs nothing stays, so nothing is told (the machine's own /dev/shm)."""
    if os.statvfs("/dev/shm").f_blocks == 0:
        pytest.skip("no tmpfs here")
    assert is_memory("/dev/shm/libvirt/qemu")
    assert not is_memory("/var/tmp/nothing")


def test_tpm_state(places: Places) -> None:
    """swtpm's directory of this UUID, whether or not the XML still has a TPM; another's is not touched."""
    for uuid in (ME, OTHER):
        places.raw(f"swtpm/{uuid}/tpm2/tpm2-00.permall")
    inventory = places.look(phone(), neighbour())
    assert [(str(found.kind), found.layer.location) for found in inventory.artefacts] == [("tpm-state", f"{places.base}/swtpm/{ME}/tpm2/tpm2-00.permall")]
    assert inventory.artefacts[0].layer.libvirt_owned


def test_a_tpm_without_state(places: Places) -> None:
    """A running phone whose TPM has no directory keeps its state elsewhere; one that never ran has none."""
    assert codes(places.look(phone(tpm=True, state=DomainState.RUNNING))) == [("unsupported-artefact", "tpm")]
    assert places.look(phone(tpm=True, state=DomainState.SHUTOFF)).problems == ()


def test_links_in_the_tpm_directory(places: Places) -> None:
    """What stands there and is no plain file of one name refuses."""
    places.raw(f"swtpm/{ME}/x")
    os.link(places.base / "swtpm" / ME / "x", places.base / "elsewhere/second")
    (places.base / "swtpm" / ME / "link").symlink_to("x")
    assert sorted(codes(places.look(phone()))) == [("hard-link", "x"), ("symlink", "link")]


SECRET = "aaaaaaaa-2222-3333-4444-555555555555"


def secret(places: Places, usage: str = "", uuid: str = SECRET) -> Path:
    """A secret with a value; `usage`: its `<usage>`."""
    places.raw(f"secrets/{uuid}.xml", f"<secret ephemeral='no' private='no'><uuid>{uuid}</uuid>{usage}</secret>".encode())
    return places.raw(f"secrets/{uuid}.base64", b"c2VjcmV0")


def test_secrets(places: Places) -> None:
    """A secret that the XML names is the phone's, by UUID or by usage; one that another names too is both's; others' are left."""
    secret(places, "<usage type='vtpm'><name>tpm of phone</name></usage>")
    secret(places, uuid="bbbbbbbb-2222-3333-4444-555555555555")
    by_uuid = places.look(phone(secrets=(SECRET,)), neighbour())
    assert kinds(by_uuid) == [("libvirt-secret", f"{SECRET}.base64")]
    assert (by_uuid.artefacts[0].owners, by_uuid.artefacts[0].layer.libvirt_owned) == ((ME,), True)
    assert kinds(places.look(phone(secrets=("usage:vtpm:tpm of phone",)))) == kinds(by_uuid)
    assert places.look(phone(secrets=(SECRET,)), neighbour(secrets=("usage:vtpm:tpm of phone",))).artefacts[0].owners == (ME, OTHER)
    assert places.look(phone()).artefacts == ()


def test_a_secret_for_a_volume(places: Places) -> None:
    """A secret whose usage is a disk of this phone is its own though no XML names it; of a base or a medium it is not."""
    mine, base = places.raw("mine.luks"), places.raw("golden/base.raw")
    top = qcow2(places.images / "top.qcow2", backing=str(base), backing_format="raw")
    secret(places, f"<usage type='volume'><volume>{mine}</volume></usage>")
    secret(places, f"<usage type='volume'><volume>{base}</volume></usage>", uuid="bbbbbbbb-2222-3333-4444-555555555555")
    inventory = places.look(phone(disk(mine, "luks"), disk(top, "qcow2", target="vdb")))
    assert [name for kind, name in kinds(inventory) if kind == "libvirt-secret"] == [f"{SECRET}.base64"]
    shared = places.look(phone(disk(mine, "luks")), neighbour(disk(mine, "luks")))
    assert [found.owners for found in shared.artefacts] == [(ME, OTHER)] * 2


@pytest.mark.parametrize("where", ["etc/storage/p.xml", "etc/qemu.conf"])
def test_a_secret_of_the_hosts(places: Places, where: str) -> None:
    """A secret that a pool or qemu.conf names too is not the phone's alone."""
    secret(places)
    pool = f"<pool type='rbd'><name>p</name><source><name>x</name><auth type='ceph'><secret uuid='{SECRET.upper()}'/></auth></source></pool>"
    places.raw(where, pool.encode() if where.endswith(".xml") else f'vnc_tls_x509_secret_uuid = "{SECRET}"\n'.encode())
    (found,) = places.look(phone(secrets=(SECRET,))).artefacts
    assert found.owners == ("(the host's own configuration)", ME)
    assert make_plan(places.look(phone(secrets=(SECRET,)), with_extents=True), 1, places.rules).refusals[0].code == "shared-by-domain"


def test_a_secret_that_cannot_be_understood(places: Places) -> None:
    """It may unlock a volume of this phone."""
    secret(places)
    places.raw(f"secrets/{SECRET}.xml", b"<secret>")
    assert codes(places.look(phone())) == [("unreadable", f"{SECRET}.xml")]


def test_swap_of_a_phone_that_runs(places: Places) -> None:
    """A phone that runs and whose process cannot be asked counts as swapped; one that is off does not."""
    assert places.look(phone(state=DomainState.RUNNING)).swap_bytes == 1
    assert places.look(phone(state=DomainState.SHUTOFF)).swap_bytes == 0


def test_the_guilty_domain_is_named(places: Places) -> None:
    """A neighbour's image that cannot be understood refuses every wipe: the detail says whose and which."""
    broken = places.raw("broken.qcow2", b"QFI\xfb" + bytes(4096))
    ((code, where, detail),) = places.look(phone(disk(places.raw("a.raw"))), neighbour(disk(broken, "qcow2"))).problems
    assert (code, where) == ("unreadable", str(broken))
    assert OTHER in detail
    assert str(broken) in detail
