"""An export of a ledger's audit log, as `wipectl audit export` writes one from the API."""

from __future__ import annotations

from wiped.attest.audit_chain import HEAD_TYPE, Head
from wiped.attest.signing import Ed25519Signer, seal
from wiped.ports.ledger import Ledger
from wiped.verify.export import Export


async def export(ledger: Ledger, directory: str, signer: Ed25519Signer) -> Head:
    """Write all entries, the signed head and the key into `directory`; the head."""
    with Export(directory) as copy:
        while entries := await ledger.audit.entries(after=copy.head.seq, limit=7):
            copy.add(entries)
        said = {"seq": copy.head.seq, "hash": copy.head.hash, "at": copy.head.at}
        copy.finish(seal(said, signer, payload_type=HEAD_TYPE), signer.public_pem)
        return copy.head
