"""Billing's signature over one record (docs/design.md, "Memory"): Ed25519 over the canonical JSON of the record without its `signature`. Pure.

The record then has `revision`, `valid_from` and `valid_until` too, so that an old signature cannot be played again for ever: a compromised feed can
withhold a record, but never make one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from wiped.errors import InputError
from wiped.model.canonical import canonical_bytes
from wiped.model.instants import read_rfc3339

_SIGNATURE_BYTES = 64


def message(row: Mapping[str, Any]) -> bytes:
    """What is signed. Raises InputError for what has no canonical form."""
    return canonical_bytes({key: value for key, value in row.items() if key != "signature"})


class Verifier:
    """Accepts records that one public key signed. `pem`: Ed25519, SubjectPublicKeyInfo PEM. Raises InputError for anything else."""

    def __init__(self, pem: bytes) -> None:
        try:
            key = load_pem_public_key(pem)
        except (ValueError, TypeError) as error:
            raise InputError("is not a public key in PEM") from error
        if not isinstance(key, Ed25519PublicKey):
            raise InputError("is not an Ed25519 public key")
        self._key = key

    def accepts(self, row: Mapping[str, Any], now: datetime) -> bool:
        """Whether `row` is signed, and within its validity at `now`. Never raises."""
        try:
            signature = base64.b64decode(row["signature"], validate=True)
            if len(signature) != _SIGNATURE_BYTES or not isinstance(row["revision"], int) or isinstance(row["revision"], bool):
                return False
            if not read_rfc3339(row["valid_from"]) <= now < read_rfc3339(row["valid_until"]):
                return False
            self._key.verify(signature, message(row))
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, InvalidSignature, InputError):
            return False
        return True
