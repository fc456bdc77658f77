"""Ed25519 keys and DSSE envelopes in one canonical byte form.

The envelope is the canonical JSON of `{"payload": base64, "payloadType": text, "signatures": [{"keyid": hex, "sig": base64}]}`: one signature, no white
space, padded standard base64 with zero tail bits. What is signed is DSSE's pre-authentication encoding of type and payload. The key id is bound to the
key: hex SHA-256 of the public key's SubjectPublicKeyInfo in DER.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from wiped.errors import ConfigError, InputError, VerificationError
from wiped.model.canonical import canonical_bytes, parse_canonical

#: The payload type of certificates (docs/contract.md).
IN_TOTO = "application/vnd.in-toto+json"


class Signs(Protocol):
    """What sealing needs of the port `Signer` (this room lies beneath the ports)."""

    @property
    def key_id(self) -> str:
        """Hex SHA-256 of the public key's SubjectPublicKeyInfo in DER."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over `message`."""


def generate_key() -> bytes:
    """A new Ed25519 private key, PKCS #8 PEM, not encrypted: whoever stores it guards it."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _spki(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_key(public_pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(public_pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise VerificationError("the public key is not a PEM public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise VerificationError("the public key is not an Ed25519 key")
    return key


def key_id(public_pem: bytes) -> str:
    """The key id of a public key in PEM. Raises VerificationError when it is not an Ed25519 public key."""
    return hashlib.sha256(_spki(_public_key(public_pem))).hexdigest()


class Ed25519Signer:
    """The port `Signer` over a private key in PEM. Raises ConfigError when that is not an unencrypted Ed25519 key (the key never reaches the message)."""

    def __init__(self, pem: bytes) -> None:
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # No `from`: the cause may quote the key's bytes.
            raise ConfigError("the signing key is not an unencrypted private key in PEM", faults=[("attest.signing_key_file", "not a private key")]) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError("the signing key is not an Ed25519 key", faults=[("attest.signing_key_file", "not an Ed25519 key")])
        self._key = key
        self._public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._key_id = hashlib.sha256(_spki(key.public_key())).hexdigest()

    def __repr__(self) -> str:
        return f"Ed25519Signer({self._key_id})"

    @property
    def key_id(self) -> str:
        """Hex SHA-256 of the public key's SubjectPublicKeyInfo in DER."""
        return self._key_id

    @property
    def public_pem(self) -> bytes:
        """The public key, PEM."""
        return self._public_pem

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over `message`."""
        return self._key.sign(message)


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: `DSSEv1 <len(type)> <type> <len(payload)> <payload>`, lengths in bytes, decimal."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(statement: dict[str, Any], signer: Signs, *, payload_type: str = IN_TOTO) -> bytes:
    """The signed envelope of `statement`. Raises InputError when the statement has no canonical form."""
    payload = canonical_bytes(statement)
    signature = signer.sign(pae(payload_type, payload))
    return canonical_bytes(
        {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": payload_type,
            "signatures": [{"keyid": signer.key_id, "sig": base64.b64encode(signature).decode("ascii")}],
        }
    )


def _strict_base64(text: object, what: str) -> bytes:
    if not isinstance(text, str):
        raise VerificationError(f"the envelope's {what} is not text")
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise VerificationError(f"the envelope's {what} is not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise VerificationError(f"the envelope's {what} is not in the one form of base64")
    return data


def _canonical(data: bytes, what: str) -> Any:
    try:
        return parse_canonical(data, what=what)
    except InputError as error:
        raise VerificationError(str(error)) from error


def open_envelope(envelope: bytes, public_pem: bytes, *, payload_type: str = IN_TOTO) -> dict[str, Any]:
    """The statement in an envelope that is, byte for byte, the one form of what this key signed.

    Raises VerificationError for everything else: another byte form of the same content, a key id that is not this key's, a bad signature, a payload that
    is not canonical.
    """
    key = _public_key(public_pem)
    value = _canonical(envelope, "envelope")
    if not isinstance(value, dict) or set(value) != {"payload", "payloadType", "signatures"}:
        raise VerificationError("the envelope has not exactly payload, payloadType and signatures")
    if value["payloadType"] != payload_type:
        raise VerificationError("the envelope's payload type is another one")
    signatures = value["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict) or set(signatures[0]) != {"keyid", "sig"}:
        raise VerificationError("the envelope has not exactly one signature with keyid and sig")
    if signatures[0]["keyid"] != hashlib.sha256(_spki(key)).hexdigest():
        raise VerificationError("the envelope was signed with another key: its key id is not this public key's")
    payload = _strict_base64(value["payload"], "payload")
    try:
        key.verify(_strict_base64(signatures[0]["sig"], "signature"), pae(payload_type, payload))
    except InvalidSignature as error:
        raise VerificationError("the signature does not verify") from error
    statement = _canonical(payload, "payload")
    if not isinstance(statement, dict):
        raise VerificationError("the payload is not a statement")
    return statement
