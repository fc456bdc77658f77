"""What each start proves of the host's memory before it is believed (docs/design.md, "Memory"): a lost, damaged or older ledger never passes for a whole one.

Beside the ledger stands `ledger-head.json`: how far the audit log had come, and, after a clean stop, a digest over every row of every table. How far it had
come stands in the salt file too, which no copy of the state directory may hold (docs/backup.md): so a directory that was put back as a whole is found. In the
ledger stands a number over the rows of each table, which changes with them (`sql/row_digest.py`). At the start:

- a ledger that is missing or empty is a first run only where nothing shows an earlier one;
- the ledger is of this machine, or a person said that it goes on here;
- SQLite's integrity check holds, the audit entries form a chain, and the chain contains the heads that were noted;
- the rows are those that were last written, after a kill too, and those of the clean stop, where the last stop was one.

What does not fit is a ConfigError (exit 78) that names it; only a person's word goes on with a ledger that is missing or older (docs/backup.md).
Synchronous; reads the database without SQLAlchemy, so that a damaged row cannot stop the looking.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wiped.attest.audit_chain import Head, follow
from wiped.errors import ConfigError, LedgerError, VerificationError, WipedError
from wiped.machine import durable_file
from wiped.model.records import AuditEntry
from wiped.model.strict_json import read_json
from wiped.record.sql import row_digest
from wiped.record.sql.migrate import FILE_NAME, SCHEMA_VERSION, version_of

HEAD_NAME: Final = "ledger-head.json"
_MAX_HEAD: Final = 4096
_BATCH: Final = 1000
_REMEDY: Final = "stop, and restore what is missing as docs/backup.md says; only a person can decide to go on without it: wiped migrate --accept"


@dataclass(frozen=True, slots=True)
class Noted:
    """`seq` and `hash` of the newest audit entry when it was noted; `rows`: the digest over all rows at a clean stop, "" while the daemon runs."""

    seq: int
    hash: str
    rows: str = ""


def unfit(what: str) -> ConfigError:
    """The memory does not fit together."""
    return ConfigError(f"host.state_dir: {what}", faults=[("host.state_dir", what)], hint=_REMEDY)


def prove(state_dir: str, signs: Sequence[str] = (), witness: tuple[int, str] | None = None, *, machine: str = "", accepted: bool = False) -> None:
    """Prove the memory in `state_dir`. `signs`: what shows an earlier life of this host, in words. `witness`: the number and hash of the audit entry that
    the salt file noted. `machine`: which machine this is, "" where nobody knows. `accepted`: a person said to go on with a ledger that is missing or
    older; a damaged one is never gone on with.

    Raises ConfigError that names what does not fit."""
    path = os.path.join(state_dir, FILE_NAME)
    noted = None if accepted else read_head(state_dir)
    heads = [] if accepted else [*([(noted.seq, noted.hash, HEAD_NAME)] if noted else []), *([(*witness, "the salt file")] if witness else [])]
    try:
        version = version_of(path)
    except (WipedError, ValueError) as error:
        raise unfit(f"the ledger {path} cannot be read: {error}") from error
    if version.isdigit() and version > SCHEMA_VERSION:
        return  # a newer program's: opening it says so, and leaves it untouched
    if version and not version.isdigit():
        raise unfit(f"the ledger {path} is damaged: {version!r} is no version of a schema")
    if not version:
        key = os.path.exists(os.path.join(state_dir, "signing-key.pem"))
        found = [*(["a signing key of its own"] if key else []), *(["the head of an earlier audit log"] if heads else []), *signs]
        if found and not accepted:
            raise unfit(f"the ledger {path} is missing or empty, but this host has a past: {', '.join(found)}")
        return
    try:
        with closing(_open(path)) as connection:
            head = _chain(connection, heads)
            faults = row_digest.faults(connection) if version >= row_digest.SINCE else row_digest.too_new(connection)
            rows = _rows(connection) if noted is not None and noted.rows else ""
            last = _last_machine(connection)
    except sqlite3.Error as error:
        raise unfit(f"the ledger {path} is damaged: {error}") from error
    if faults:
        raise unfit(f"the ledger {path} is damaged: {'; '.join(faults)}")
    for seq, _, where in heads:
        if head.seq < seq:
            raise unfit(f"the ledger is older than this host: its audit log ends at entry {head.seq}, and entry {seq} was noted as written in {where}")
    if machine and last and machine != last and not accepted:
        raise unfit(f"the ledger {path} was written on another machine: a neighbour's, or this host was installed anew")
    if noted is None:
        return
    if noted.rows and head.seq == noted.seq and rows != noted.rows:
        raise unfit("rows of the ledger are not those of the last clean stop, although nothing was recorded since: the file was changed or damaged")


def note(state_dir: str, *, stopped: bool) -> None:
    """Note how far the audit log has come, synced; at a clean stop (no connection writes any more) with the digest over all rows. Raises
    LedgerError."""
    try:
        with closing(_open(os.path.join(state_dir, FILE_NAME))) as connection:
            row = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
            noted = Noted(0, "") if row is None else Noted(int(row[0]), _text(row[1]))
            rows = _rows(connection) if stopped else ""
        text = json.dumps({"seq": noted.seq, "hash": noted.hash, "rows": rows}, sort_keys=True)
        durable_file.put(os.path.realpath(state_dir), HEAD_NAME, text.encode("ascii"), 0o600, unless_same=True)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"the head of the audit log cannot be noted beside the ledger: {error}") from error


def read_head(state_dir: str) -> Noted | None:
    """What was noted; None where nothing is. Raises ConfigError for a file that is not understood."""
    path = os.path.join(state_dir, HEAD_NAME)
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_HEAD + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unfit(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = read_json(data)
        noted = Noted(found["seq"], found["hash"], found["rows"])
        if type(noted.seq) is not int or type(noted.hash) is not str or type(noted.rows) is not str or len(found) != 3 or len(data) > _MAX_HEAD:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise unfit(f"{path} is damaged: how far the audit log had come cannot be told") from error
    return noted


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=rw", uri=True, timeout=5, isolation_level=None)
    connection.text_factory = bytes
    return connection


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _chain(connection: sqlite3.Connection, heads: Sequence[tuple[int, str, str]]) -> Head:
    """The head of the audit log, after SQLite's own check, every link of the chain and the noted `heads` (number, hash, where). Raises ConfigError,
    sqlite3.Error."""
    found = [_text(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise unfit(f"the ledger is damaged: SQLite's integrity check says {found[0][:200]!r}")
    head = Head()
    try:
        for batch in _entries(connection):
            for seq, known, where in heads:
                if batch[0].seq <= seq <= batch[-1].seq and next((entry.hash for entry in batch if entry.seq == seq), "") != known:
                    raise unfit(f"entry {seq} of the audit log is not the one that was noted in {where}: the ledger is another one, or was changed")
            head = follow(head, batch)
    except VerificationError as error:
        raise unfit(f"the audit log in the ledger is damaged: {error}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise unfit(f"an entry of the audit log after number {head.seq} is damaged") from error
    return head


def _last_machine(connection: sqlite3.Connection) -> str:
    """The machine of the newest start, or of the newest word of a person who went on with the ledger on another one; "" where none is known."""
    query = "SELECT json_extract(body, '$.machine') AS machine FROM audit WHERE kind IN ('daemon-started', 'memory-accepted') AND machine <> ''"
    row = connection.execute(f"{query} ORDER BY seq DESC LIMIT 1").fetchone()
    return _text(row[0]) if row is not None else ""


def _entries(connection: sqlite3.Connection) -> Iterator[list[AuditEntry]]:
    rows = connection.execute("SELECT seq, at, kind, body, previous, hash FROM audit ORDER BY seq")
    while batch := rows.fetchmany(_BATCH):
        yield [
            AuditEntry(int(seq), at.decode(), kind.decode(), json.loads(body), previous.decode(), found.decode())
            for seq, at, kind, body, previous, found in batch
        ]


def _rows(connection: sqlite3.Connection) -> str:
    """Hex SHA-256 over every row of every table, in the order of rowids, whatever the schema's version. The audit log is left out: its chain covers it."""
    total = hashlib.sha256()
    names = sorted(row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"))
    for row in connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"):
        total.update(repr(row).encode())
    for name in names:
        if name == b"audit":
            continue
        quoted = '"' + _text(name).replace('"', '""') + '"'
        columns = len(connection.execute(f"SELECT * FROM {quoted} LIMIT 0").description)  # our own tables' names
        total.update(repr((name, columns)).encode())
        order = ", ".join(str(number) for number in range(1, columns + 1))
        for row in connection.execute(f"SELECT * FROM {quoted} ORDER BY {order}"):
            total.update(repr(row).encode())
    return total.hexdigest()
