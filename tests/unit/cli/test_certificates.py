"""`wipectl certificates`."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.service import WIPE_ID
from tests.unit.cli.conftest import Operator
from wiped.attest.signing import Ed25519Signer, generate_key, seal


def test_a_certificate_is_fetched_and_verified_offline(operator: Operator, tmp_path: Path) -> None:
    """Byte for byte to a file and to stdout; one changed byte, another key, an added newline: code 65."""
    signer = Ed25519Signer(generate_key())
    operator.service.envelope = seal({"predicate": {"certificate_id": "c-1", "overall": {"outcome": "clear"}}}, signer)
    operator.service.pem = signer.public_pem
    envelope, key = tmp_path / "c.json", tmp_path / "pub.pem"
    assert operator.run("certificates", "get", WIPE_ID, "-o", str(envelope)).code == 0
    assert operator.run("certificates", "key", "-o", str(key)).code == 0
    assert operator.run("certificates", "get", WIPE_ID).out.encode() == operator.service.envelope == envelope.read_bytes()
    verified = operator.run("--output", "json", "certificates", "verify", str(envelope), "--key", str(key))
    assert (verified.code, verified.json["predicate"]["certificate_id"]) == (0, "c-1")
    assert "verified" in operator.run("certificates", "verify", str(envelope), "--key", str(key)).out
    for data in (operator.service.envelope[:-1] + b"]", operator.service.envelope + b"\n", b"", b"\xff"):
        envelope.write_bytes(data)
        assert operator.run("certificates", "verify", str(envelope), "--key", str(key)).code == 65
    envelope.write_bytes(operator.service.envelope)
    key.write_bytes(Ed25519Signer(generate_key()).public_pem)
    assert operator.run("certificates", "verify", str(envelope), "--key", str(key)).code == 65
    assert operator.run("certificates", "verify", str(tmp_path / "nowhere"), "--key", str(key)).code == 2
