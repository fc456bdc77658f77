"""The hash chain of the audit log: each entry's hash covers the one before it, so that nothing in between can be changed, dropped or inserted.

hash = SHA-256(previous hash, 32 bytes || canonical JSON of {"at", "body", "kind", "seq"}), hex. The first entry has seq 1 and `previous` GENESIS.
What a chain alone cannot show is a missing *end*: whoever keeps a head (seq, hash) of an earlier day can (the Merkle log comes later behind the same
port).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wiped.errors import InputError, VerificationError
from wiped.model.canonical import canonical_bytes, parse_canonical
from wiped.model.instants import parse_instant
from wiped.model.records import AuditEntry

#: The payload type of a signed head: {"seq", "hash", "at", "exported_at"}.
HEAD_TYPE = "application/vnd.wiped.audit-head+json"

#: `previous` of the first entry.
GENESIS = "0" * 64

_FIELDS = frozenset({"seq", "at", "kind", "body", "previous", "hash"})


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the last entry's seq (0: none yet), hash, and instant ("" for none)."""

    seq: int = 0
    hash: str = GENESIS
    at: str = ""


def entry_hash(previous_hex: str, seq: int, at: str, kind: str, body: dict[str, Any]) -> str:
    """The hash of an entry, 64 lower-case hex digits. Raises InputError when `body` has no canonical form."""
    leaf = canonical_bytes({"seq": seq, "at": at, "kind": kind, "body": body})
    return hashlib.sha256(bytes.fromhex(previous_hex) + leaf).hexdigest()


def follow(head: Head, entries: Iterable[AuditEntry]) -> Head:
    """The new head after `entries`, which must continue `head` without a gap. Raises VerificationError naming the first entry that does not."""
    for entry in entries:
        if entry.seq != head.seq + 1:
            raise VerificationError(f"audit entry {entry.seq} follows entry {head.seq}: entries are missing or out of order")
        if entry.previous != head.hash:
            raise VerificationError(f"audit entry {entry.seq} does not continue the chain")
        try:
            expected = entry_hash(entry.previous, entry.seq, entry.at, entry.kind, entry.body)
            parse_instant(entry.at)
        except (InputError, ValueError) as error:
            raise VerificationError(f"audit entry {entry.seq} has no canonical form") from error
        if expected != entry.hash:
            raise VerificationError(f"audit entry {entry.seq} was changed: its hash does not fit")
        head = Head(seq=entry.seq, hash=entry.hash, at=entry.at)
    return head


def entry_line(entry: AuditEntry) -> bytes:
    """One line of `audit.jsonl`: the entry in canonical JSON, newline included."""
    return canonical_bytes({"seq": entry.seq, "at": entry.at, "kind": entry.kind, "body": entry.body, "previous": entry.previous, "hash": entry.hash}) + b"\n"


def parse_entry_line(line: bytes, *, number: int) -> AuditEntry:
    """The entry in line `number` (from 1) of an `audit.jsonl`. Raises VerificationError for any other byte form."""
    where = f"line {number}"
    if not line.endswith(b"\n"):
        raise VerificationError(f"{where}: is cut off")
    try:
        value = parse_canonical(line[:-1], what=where)
    except InputError as error:
        raise VerificationError(str(error)) from error
    if not isinstance(value, dict) or set(value) != _FIELDS:
        raise VerificationError(f"{where}: is not an audit entry")
    seq, body = value["seq"], value["body"]
    texts = [value["at"], value["kind"], value["previous"], value["hash"]]
    if type(seq) is not int or not isinstance(body, dict) or not all(isinstance(text, str) for text in texts):
        raise VerificationError(f"{where}: is not an audit entry")
    return AuditEntry(seq=seq, at=texts[0], kind=texts[1], body=body, previous=texts[2], hash=texts[3])
