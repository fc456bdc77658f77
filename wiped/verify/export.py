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

    A context manager; the directory is made if it is missing. The log is verified on the way. Methods raise VerificationError for an entry that does not
    follow the one before, InputError when the directory cannot be written. Files of an earlier export stay whole until `finish` puts the new ones in their
    place.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        #: The last entry that was written.
        self.head = Head()
        with self._writing():
            os.makedirs(directory, mode=0o750, exist_ok=True)
            self._entries = open(self._beside(ENTRIES_FILE), "wb")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()
        for name in (ENTRIES_FILE, KEY_FILE, HEAD_FILE):
            with suppress(OSError):
                os.unlink(self._beside(name))

    def add(self, entries: Sequence[AuditEntry]) -> None:
        """Write the next entries."""
        with self._writing():
            self.head = follow(self.head, entries)
            self._entries.writelines(entry_line(entry) for entry in entries)

    def finish(self, signed_head: bytes, public_pem: bytes) -> None:
        """Sync the entries, then put them, the key, and the head that the host signed over them in place."""
        with self._writing():
            self._entries.flush()
            os.fsync(self._entries.fileno())
            for name, data in ((KEY_FILE, public_pem), (HEAD_FILE, signed_head)):
                with open(self._beside(name), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            for name in (ENTRIES_FILE, KEY_FILE, HEAD_FILE):
                os.replace(self._beside(name), os.path.join(self._directory, name))

    def _beside(self, name: str) -> str:
        return os.path.join(self._directory, f".{name}.new")

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
