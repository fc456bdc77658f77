"""Keys and envelopes: what this key signed, in its one byte form, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.hazmat.primitives.serialization import PublicFormat as Public
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.model.test_canonical import TEXT, VALUES
from wiped.attest.signing import IN_TOTO, Ed25519Signer, generate_key, key_id, open_envelope, pae, seal
from wiped.errors import ConfigError, VerificationError
from wiped.model.canonical import canonical_bytes

SIGNER = Ed25519Signer(generate_key())
OTHER = Ed25519Signer(generate_key())
STATEMENT: dict[str, Any] = {"_type": "statement", "n": 7, "list": ["é", None, True]}
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def sealed(value: Any) -> bytes:
    """An envelope around any value, signed correctly, in whatever form it is given."""
    return canonical_bytes(value)


def parts(statement: dict[str, Any] = STATEMENT) -> dict[str, Any]:
    """The envelope as a value, to be broken by a test."""
    found: dict[str, Any] = json.loads(seal(statement, SIGNER))
    return found


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_what_was_sealed_comes_out(statement: dict[str, Any]) -> None:
    """Any statement with a canonical form."""
    assert open_envelope(seal(statement, SIGNER), SIGNER.public_pem) == statement


def test_pae_is_the_specifications() -> None:
    """The vector of DSSE's protocol document."""
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_pae_counts_bytes() -> None:
    """Not characters."""
    assert pae("é", b"\xc3\xa9") == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"


def test_the_key_id_is_bound_to_the_key() -> None:
    """Hex SHA-256 of the SubjectPublicKeyInfo in DER."""
    der = load_pem_public_key(SIGNER.public_pem).public_bytes(Encoding.DER, Public.SubjectPublicKeyInfo)
    assert hashlib.sha256(der).hexdigest() == SIGNER.key_id == key_id(SIGNER.public_pem)


def test_every_changed_byte_is_refused() -> None:
    """Each position of the envelope, several other values: no byte is without meaning."""
    good = seal(STATEMENT, SIGNER)
    for at in range(len(good)):
        for flip in (0x01, 0x02, 0x04, 0x10, 0x20, 0x80):
            bad = bytearray(good)
            bad[at] ^= flip
            with pytest.raises(VerificationError):
                open_envelope(bytes(bad), SIGNER.public_pem)


def test_every_cut_and_every_addition_is_refused() -> None:
    """A byte less at either end, a byte more of any value anywhere."""
    good = seal(STATEMENT, SIGNER)
    for at in range(len(good)):
        with pytest.raises(VerificationError):
            open_envelope(good[:at] + good[at + 1 :], SIGNER.public_pem)
    for at in range(len(good) + 1):
        for extra in (b" ", b"\n", b"A", b"=", b"\x00"):
            with pytest.raises(VerificationError):
                open_envelope(good[:at] + extra + good[at:], SIGNER.public_pem)


@pytest.mark.parametrize("length", range(3))
def test_tail_bits_of_base64_are_refused(length: int) -> None:
    """Bits that decoding throws away cannot be changed: other text, same bytes, refused."""
    for padding in range(40):
        envelope = parts({"a": "x" * (padding * 3 + length)})
        for holder, key in ((envelope, "payload"), (envelope["signatures"][0], "sig")):
            text = holder[key]
            if not text.endswith("="):
                continue
            at = len(text.rstrip("=")) - 1
            for letter in BASE64.decode():
                changed = text[:at] + letter + text[at + 1 :]
                if changed != text:
                    holder[key] = changed
                    with pytest.raises(VerificationError):
                        open_envelope(sealed(envelope), SIGNER.public_pem)
            holder[key] = text


def test_other_forms_of_the_same_content_are_refused() -> None:
    """White space, another order of keys, escapes, a key twice, a byte order mark: the same to a JSON parser, not to us."""
    good = seal(STATEMENT, SIGNER)
    value = json.loads(good)
    signature = json.dumps(value["signatures"], separators=(",", ":"))
    for bad in (
        json.dumps(value).encode(),
        json.dumps(value, indent=1).encode(),
        json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
        good.replace(b"payloadType", b"payloadTyp\\u0065"),
        good.replace(b'"payloadType"', b'"payload":"","payloadType"'),
        good[:-1] + b',"signatures":' + signature.encode() + b"}",
        b"\xef\xbb\xbf" + good,
        good.decode().encode("utf-16"),
    ):
        assert bad != good
        with pytest.raises(VerificationError):
            open_envelope(bad, SIGNER.public_pem)


def test_other_shapes_are_refused() -> None:
    """More or fewer keys or signatures, other types of values."""
    broken: list[Any] = [None, 7, [], {}, "x"]
    for key in ("payload", "payloadType", "signatures"):
        for value in (None, 7, [], {}, "", "!"):
            broken.append({**parts(), key: value})
        broken.append({k: v for k, v in parts().items() if k != key})
    one = parts()["signatures"][0]
    for signatures in ([one, one], [one, {"keyid": OTHER.key_id, "sig": one["sig"]}], [{**one, "extra": 1}], [{"sig": one["sig"]}], [one["sig"]]):
        broken.append({**parts(), "signatures": signatures})
    broken.append({**parts(), "extra": 1})
    broken.append({**parts(), "payload": parts()["payload"].replace("=", "") + "\n"})
    for value in broken:
        with pytest.raises(VerificationError):
            open_envelope(sealed(value), SIGNER.public_pem)


def test_another_key_is_refused() -> None:
    """By its key id first, and by the signature even when the key id is forged."""
    good = seal(STATEMENT, SIGNER)
    with pytest.raises(VerificationError, match="another key"):
        open_envelope(good, OTHER.public_pem)
    with pytest.raises(VerificationError, match="does not verify"):
        open_envelope(good.replace(SIGNER.key_id.encode(), OTHER.key_id.encode()), OTHER.public_pem)


def test_another_payload_type_is_refused() -> None:
    """What was signed as one thing is never read as another."""
    audit_head = seal(STATEMENT, SIGNER, payload_type="application/vnd.wiped.audit-head+json")
    with pytest.raises(VerificationError, match="payload type"):
        open_envelope(audit_head, SIGNER.public_pem)
    with pytest.raises(VerificationError):
        open_envelope(audit_head.replace(b"application/vnd.wiped.audit-head+json", IN_TOTO.encode()), SIGNER.public_pem)


@pytest.mark.parametrize("payload", [b'{"a": 1}', b'{"b":1,"a":1}', b"[1]", b"7", b"{", b"\xff", b""])
def test_a_signed_payload_in_another_form_is_refused(payload: bytes) -> None:
    """Even this key's signature does not make another byte form of a statement one."""
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": IN_TOTO,
        "signatures": [{"keyid": SIGNER.key_id, "sig": base64.b64encode(SIGNER.sign(pae(IN_TOTO, payload))).decode()}],
    }
    with pytest.raises(VerificationError):
        open_envelope(canonical_bytes(envelope), SIGNER.public_pem)


def test_signatures_that_openssl_calls_malleable_are_refused() -> None:
    """S plus the group's order is the same signature to a careless verifier."""
    order = 2**252 + 27742317777372353535851937790883648493
    envelope = parts()
    raw = base64.b64decode(envelope["signatures"][0]["sig"])
    forged = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    envelope["signatures"][0]["sig"] = base64.b64encode(forged).decode()
    with pytest.raises(VerificationError):
        open_envelope(sealed(envelope), SIGNER.public_pem)


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_bad_public_key_is_said_so(pem: bytes) -> None:
    """VerificationError, not a traceback."""
    with pytest.raises(VerificationError, match="public key"):
        open_envelope(seal(STATEMENT, SIGNER), pem)


def test_bad_private_keys_are_configuration_errors() -> None:
    """Not PEM, another algorithm, encrypted: ConfigError, and the key's text is in no message."""
    encrypted = load_pem_private_key(generate_key(), None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (b"", b"SECRETTEXT", encrypted, elliptic):
        with pytest.raises(ConfigError) as caught:
            Ed25519Signer(pem)
        assert caught.value.faults[0][0] == "attest.signing_key_file"
        assert "SECRETTEXT" not in str(caught.value)


def test_a_public_key_of_another_kind_is_refused() -> None:
    """Only Ed25519."""
    pem = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo)
    with pytest.raises(VerificationError, match="not an Ed25519"):
        open_envelope(seal(STATEMENT, SIGNER), pem)


def test_the_signer_does_not_print_its_key() -> None:
    """Its repr is its key id."""
    assert repr(SIGNER) == f"Ed25519Signer({SIGNER.key_id})"
