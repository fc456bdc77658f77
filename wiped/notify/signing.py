"""Signatures per the Standard Webhooks specification 1.0 (symmetric): HMAC-SHA256 over `id.timestamp.body`. Pure.

A secret is `whsec_` and the Base64 of 24 to 64 random bytes. While one is being replaced both stand in the file, the newer first, and each event bears a
signature by either, separated by a blank: a receiver accepts an event that one of its own secrets verifies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from wiped.errors import InputError

SECRET_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
_AT_MOST = 3


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The keys of a secret file: one secret a line, blank lines and `#` lines apart. Raises InputError, which never holds any of the text."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not 1 <= len(lines) <= _AT_MOST:
        raise InputError(f"holds {len(lines)} secrets; write one, or up to {_AT_MOST} while they are being replaced, one a line")
    keys = []
    for number, line in enumerate(lines, start=1):
        try:
            key = base64.b64decode(line.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"secret {number} is not {SECRET_PREFIX} and Base64") from error
        if not line.startswith(SECRET_PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
            raise InputError(f"secret {number} is not {SECRET_PREFIX} and the Base64 of {_SHORTEST} to {_LONGEST} bytes")
        keys.append(key)
    return tuple(keys)


def headers(keys: Sequence[bytes], event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one attempt at `at`, one signature per key."""
    stamp = str(int(at.timestamp()))
    signed = b".".join((event_id.encode("ascii"), stamp.encode("ascii"), body))
    signatures = ("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii") for key in keys)
    return {"webhook-id": event_id, "webhook-timestamp": stamp, "webhook-signature": " ".join(signatures)}
