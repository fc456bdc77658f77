"""A directory with an exported audit log: the entries, the public key, and the signed head that says where the log ends.

`audit.jsonl` holds an entry a line in canonical JSON; `public-key.pem` the key of the host; `head.dsse.json` a signed envelope with the last entry's number,
hash and instant. The hash chain shows a changed, missing or added entry; the signed head shows that the end was not cut off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime

from wiped.attest.audit_chain import HEAD_TYPE, Head, entry_line, follow, parse_entry_line
from wiped.attest.signing import Signs, open_envelope, seal
from wiped.errors import InputError, LedgerError, VerificationError
from wiped.model.instants import instant_text
from wiped.model.records import AuditEntry

ENTRIES_FILE = "audit.jsonl"
KEY_FILE = "public-key.pem"
HEAD_FILE = "head.dsse.json"
_CONTENT = f"an exported directory holds {ENTRIES_FILE}, {KEY_FILE} and {HEAD_FILE}; `wipectl audit export` writes one"


def write_export(directory: str, read: Callable[[int], tuple[AuditEntry, ...]], signer: Signs, public_pem: bytes, now: datetime) -> Head:
    """Write `audit.jsonl`, the public key, and a signed head into `directory` (made if missing, files replaced). `read(after)` gives the next entries.

    The log is verified on the way. Raises VerificationError, and LedgerError when the directory cannot be written.
    """
    head = Head()
    try:
        os.makedirs(directory, mode=0o750, exist_ok=True)
        with open(os.path.join(directory, ENTRIES_FILE), "wb") as file:
            while batch := read(head.seq):
                head = follow(head, batch)
                file.writelines(entry_line(entry) for entry in batch)
            file.flush()
            os.fsync(file.fileno())
        said = {"seq": head.seq, "hash": head.hash, "at": head.at, "exported_at": instant_text(now)}
        for name, data in ((KEY_FILE, public_pem), (HEAD_FILE, seal(said, signer, payload_type=HEAD_TYPE))):
            with open(os.path.join(directory, name), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise LedgerError(f"the audit log cannot be exported: {error.strerror}") from error
    return head


def _lines(directory: str) -> Iterator[AuditEntry]:
    with open(os.path.join(directory, ENTRIES_FILE), "rb") as file:
        for number, line in enumerate(file, start=1):
            yield parse_entry_line(line, number=number)


def verify_directory(directory: str, public_pem: bytes | None = None) -> Head:
    """Verify an exported directory offline. `public_pem`: the key to trust; None takes the one in the directory, which then proves consistency only.

    Raises VerificationError (a changed, missing, added or cut-off entry, a head that is not this log's), InputError when a file is not there.
    """
    try:
        head = follow(Head(), _lines(directory))
        with open(os.path.join(directory, HEAD_FILE), "rb") as file:
            envelope = file.read()
        if public_pem is None:
            with open(os.path.join(directory, KEY_FILE), "rb") as file:
                public_pem = file.read()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(error.filename), hint=_CONTENT) from error
    said = open_envelope(envelope, public_pem, payload_type=HEAD_TYPE)
    if (said.get("seq"), said.get("hash"), said.get("at")) != (head.seq, head.hash, head.at):
        raise VerificationError(
            f"the signed head covers {said.get('seq')} entries, but the log ends at entry {head.seq}: the log was cut off or changed",
            hint="export the log again; if the two still differ, the copy or the host must not be trusted",
        )
    return head
