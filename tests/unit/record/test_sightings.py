"""Files that phones were last seen to have."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.contract.ledger import begun, bind, memory
from tests.fakes.clock import START
from tests.unit.attest.samples import EVIDENCE, RESULTS
from tests.unit.record.rig import PHONE, domain, yes
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.records import CertificateRecord, WipeStep
from wiped.model.sightings import RememberedFile
from wiped.ports.ledger import Ledger


async def test_the_newest_look_is_what_a_phone_had(ledger: Ledger) -> None:
    """A file that a later look did not find is not its own any more, but it is still known whose it was."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    a, b = (RememberedFile(ArtefactKind.DISK_IMAGE, f"/srv/{name}", FileIdentity(1, inode), local=True) for name, inode in (("a", 1), ("b", 2)))
    assert await ledger.sightings.files(PHONE) == ()
    await ledger.sightings.remember(memory(), (a, b))
    await ledger.sightings.remember(memory(1), (b,))
    assert await ledger.sightings.find(PHONE) == (memory(1),)
    assert await ledger.sightings.files(PHONE) == (replace(b, first_seen=START, last_seen=START + timedelta(hours=1)),)
    assert {file.identity for file in await ledger.sightings.files(PHONE, ever=True)} == {a.identity, b.identity}
    assert await ledger.sightings.owners() == {FileIdentity(1, 1): {PHONE}, FileIdentity(1, 2): {PHONE}}


async def test_a_look_at_a_phone_that_is_gone_or_anothers_is_not_remembered(ledger: Ledger) -> None:
    """What was read of the host may be older than what the ledger knows."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    await ledger.sightings.remember(memory(generation=7), ())
    await ledger.phones.see([], START)
    await ledger.sightings.remember(memory(), ())
    assert await ledger.sightings.find() == ()


async def test_nothing_is_remembered_beyond_a_release(ledger: Ledger) -> None:
    """The generation ended."""
    await begun(ledger)
    await ledger.sightings.remember(memory(), (RememberedFile(ArtefactKind.NVRAM, "/srv/n", FileIdentity(1, 1), local=True),))
    await ledger.wipes.last_word("w-1", START, yes)
    for artefact in ("a1", "a2"):
        await ledger.artefacts.record_erased("w-1", RESULTS[artefact])
        await ledger.artefacts.record_evidence("w-1", EVIDENCE[artefact], proven=True)
        await ledger.artefacts.record_removed("w-1", artefact)
    certificate = CertificateRecord("c-1", "w-1", PHONE, "certificate", START, b"envelope")
    await ledger.verdicts.judge("w-1", outcome="clear", reasons=(), residuals=(), certificate=certificate, now=START, retry_at=None)
    await ledger.verdicts.finish("w-1", WipeStep.RELEASED, START)
    assert (await ledger.sightings.find(), await ledger.sightings.owners()) == ((), {})


async def test_who_left_by_migration_is_remembered(ledger: Ledger) -> None:
    """Audited once, whether anything was remembered of it or not; seen here again, it counts as here."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    for _ in range(2):
        await ledger.sightings.note_migrated(PHONE, START)
    assert (await ledger.sightings.find(PHONE))[0].migrated
    assert [entry.kind for entry in await ledger.audit.entries()].count("migrated-away") == 1
    await ledger.sightings.remember(memory(1), ())
    assert not (await ledger.sightings.find(PHONE))[0].migrated
