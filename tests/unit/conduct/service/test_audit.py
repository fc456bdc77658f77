"""A signed head over the audit log."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.attest.audit_chain import HEAD_TYPE
from wiped.attest.signing import open_envelope
from wiped.errors import NotFoundError


async def test_a_signed_head_covers_the_entry_that_was_asked_for() -> None:
    """For an export of that length: seq and hash are the entry's, signed by this host's key; an entry that is not there has none."""
    rig = Rig()
    for number in range(3):
        await rig.ledger.audit.note("test", {"number": number}, rig.clock.now())
    entries = await rig.service.audit.entries()
    for entry in (entries[0], entries[-1]):
        told = open_envelope(await rig.service.audit.head(entry.seq), rig.service.certificates.public_key(), payload_type=HEAD_TYPE)
        assert (told["seq"], told["hash"], told["at"]) == (entry.seq, entry.hash, entry.at)
    for seq in (0, -1, entries[-1].seq + 1):
        with pytest.raises(NotFoundError):
            await rig.service.audit.head(seq)
