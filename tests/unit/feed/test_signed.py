"""Records that billing signed."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.clock import START
from tests.unit.feed.test_poll import PEM, PHONES, Stand, row, signed
from wiped.feed.signed import Verifier
from wiped.model.instants import instant_text


async def test_only_what_billing_signed_is_taken(stand: Stand) -> None:
    """Unsigned, by another key, changed after it was signed, out of its validity: refused one by one; the signed one is taken."""
    feed = stand.open(verifier=Verifier(PEM))
    stand.publish([
        signed(row(0)),
        row(1),
        signed(row(2), key=Ed25519PrivateKey.generate()),
        {**signed(row(3)), "expires": instant_text(START)},
        signed(row(4), hours=-0.5),
        {**signed(row(5)), "signature": "AAAA"},
    ])  # fmt: skip
    status = await feed.poll()
    assert await stand.ends() == {PHONES[0]: 10}
    assert (status.fault, stand.failed) == ("", ["record-refused"])


async def test_whoever_writes_an_unsigned_file_cannot_end_a_running_term_alone(stand: Stand) -> None:
    """Billing's API can, and so can billing's signature; a file in the file system is one person's word (R14)."""
    feed = stand.open()
    stand.publish([row(0)])
    await feed.poll()
    stand.publish([row(0, days=1)])
    await feed.poll()
    assert await stand.ends() == {PHONES[0]: 10 if stand.kind == "file" else 1}
    assert stand.failed == (["record-refused"] if stand.kind == "file" else [])
    strict = stand.open(verifier=Verifier(PEM))
    stand.publish([signed(row(0, days=0.5))])
    await strict.poll()
    assert await stand.ends() == {PHONES[0]: 0.5}
