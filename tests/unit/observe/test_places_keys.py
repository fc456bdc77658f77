"""Secrets of libvirt that are a phone's alone."""

from __future__ import annotations

import pytest

from tests.unit.observe.places import ME, OTHER, Places, disk, neighbour, phone, qcow2
from tests.unit.observe.test_places_logs import SECRET, codes, kinds, secret
from wiped.decide.plan import make_plan


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
