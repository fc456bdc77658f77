"""A directory with an exported audit log: the entries, the public key, and the signed head that says where the log ends.

`audit.jsonl` holds an entry a line in canonical JSON; `public-key.pem` the key of the host; `head.dsse.json` a signed envelope with the last entry's number,
hash and instant. The hash chain shows a changed, missing or added entry; the signed head shows that the end was not cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

from wiped.attest.audit_chain import HEAD_TYPE, Head, entry_line, follow, parse_entry_line
from wiped.attest.signing import open_envelope
from wiped.errors import InputError, VerificationError
from wiped.model.records import AuditEntry

ENTRIES_FILE = "audit.jsonl"
KEY_FILE = "public-key.pem"
HEAD_FILE = "head.dsse.json"
_CONTENT = f"an exported directory holds {ENTRIES_FILE}, {KEY_FILE} and {HEAD_FILE}; `wipectl audit export` writes one"


class Export:
    """A directory that an audit log is exported into: the entries in order, and at the end the signed head and the public key.

    A context manager; made if it is missing, files in it are replaced. The log is verified on the way. Methods raise VerificationError for an entry that does
    not follow the one before, InputError when the directory cannot be written. Until `finish` the directory verifies as nothing.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        #: The last entry that was written.
        self.head = Head()
        with self._writing():
            os.makedirs(directory, mode=0o750, exist_ok=True)
            for old in (HEAD_FILE, KEY_FILE):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(directory, old))
            self._entries = open(os.path.join(directory, ENTRIES_FILE), "wb")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def add(self, entries: Sequence[AuditEntry]) -> None:
        """Write the next entries."""
        with self._writing():
            self.head = follow(self.head, entries)
            self._entries.writelines(entry_line(entry) for entry in entries)

    def finish(self, signed_head: bytes, public_pem: bytes) -> None:
        """Sync the entries, then write the head that the host signed over them, and its key."""
        with self._writing():
            self._entries.flush()
            os.fsync(self._entries.fileno())
            for name, data in ((KEY_FILE, public_pem), (HEAD_FILE, signed_head)):
                with open(os.path.join(self._directory, name), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}", where=self._directory) from error


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
