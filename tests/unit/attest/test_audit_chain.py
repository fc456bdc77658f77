"""The hash chain: nothing in between can be changed, dropped, inserted or moved."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.model.test_canonical import TEXT, VALUES
from wiped.attest.audit_chain import GENESIS, Head, entry_hash, entry_line, follow, parse_entry_line
from wiped.errors import VerificationError
from wiped.model.records import AuditEntry

AT = "2026-03-01T12:00:00.000000Z"
BODIES = st.lists(st.tuples(TEXT, st.dictionaries(TEXT, VALUES, max_size=3)), min_size=1, max_size=6)


def chain(told: list[tuple[str, dict[str, Any]]]) -> list[AuditEntry]:
    """A good log."""
    entries: list[AuditEntry] = []
    previous = GENESIS
    for seq, (kind, body) in enumerate(told, start=1):
        entries.append(AuditEntry(seq, AT, kind, body, previous, entry_hash(previous, seq, AT, kind, body)))
        previous = entries[-1].hash
    return entries


GOOD = chain([("a", {"n": 1}), ("b", {"n": 2}), ("c", {}), ("d", {"x": [None]})])


def test_the_hash_is_what_the_document_says() -> None:
    """SHA-256(previous, 32 bytes || canonical JSON of at, body, kind, seq), computed by other means."""
    told = b'{"at":"' + AT.encode() + b'","body":{"n":1},"kind":"a","seq":1}'
    assert hashlib.sha256(bytes(32) + told).hexdigest() == GOOD[0].hash


@given(BODIES)
def test_good_logs_verify_and_lines_come_back(told: list[tuple[str, dict[str, Any]]]) -> None:
    """Any bodies with a canonical form; as a whole, in parts, and through `audit.jsonl`."""
    entries = chain(told)
    follow(Head(), entries)
    head = Head()
    for entry in entries:
        head = follow(head, [entry])
    assert head == Head(len(entries), entries[-1].hash, AT)
    assert [parse_entry_line(entry_line(entry), number=n) for n, entry in enumerate(entries, 1)] == entries


@pytest.mark.parametrize("at", range(len(GOOD)))
@pytest.mark.parametrize(
    "changes",
    [{"seq": 9}, {"at": "2026-03-01T12:00:00.000001Z"}, {"kind": "z"}, {"body": {"n": 3}}, {"previous": "11" * 32}, {"hash": "22" * 32}, {"body": {"n": 1.5}}],
    ids=lambda changes: next(iter(changes)),
)
def test_every_changed_field_is_found(at: int, changes: dict[str, Any]) -> None:
    """In every entry."""
    with pytest.raises(VerificationError):
        follow(Head(), [*GOOD[:at], replace(GOOD[at], **changes), *GOOD[at + 1 :]])


def test_a_changed_entry_with_a_new_hash_breaks_the_next() -> None:
    """Whoever recomputes one hash must recompute all that follow."""
    forged = replace(GOOD[1], body={"n": 7}, hash=entry_hash(GOOD[1].previous, 2, AT, "b", {"n": 7}))
    with pytest.raises(VerificationError, match="entry 3"):
        follow(Head(), [GOOD[0], forged, *GOOD[2:]])


def test_dropped_inserted_and_swapped_entries_are_found() -> None:
    """Every other arrangement of the same entries but a shorter beginning."""
    for size in range(1, len(GOOD) + 1):
        for arrangement in itertools.permutations(GOOD, size):
            if list(arrangement) != GOOD[:size]:
                with pytest.raises(VerificationError):
                    follow(Head(), arrangement)
    with pytest.raises(VerificationError):
        follow(Head(), [*GOOD[:2], GOOD[1], *GOOD[2:]])


def test_an_instant_in_another_form_is_refused() -> None:
    """`at` has one form."""
    at = "2026-03-01T12:00:00Z"
    with pytest.raises(VerificationError, match="form"):
        follow(Head(), [AuditEntry(1, at, "a", {}, GENESIS, entry_hash(GENESIS, 1, at, "a", {}))])


def test_every_changed_byte_of_a_line_is_found() -> None:
    """A line of `audit.jsonl` has one form too; the number of the line is told."""
    line = entry_line(GOOD[0])
    for at in range(len(line)):
        for flip in (0x01, 0x20, 0x80):
            bad = bytearray(line)
            bad[at] ^= flip
            with pytest.raises(VerificationError):
                follow(Head(), [parse_entry_line(bytes(bad), number=1)])
    for bad_line in (line[:-1], line + b"\n", b"\n", b"", b"[]\n", b'{"seq":1}\n', line.replace(b'"seq":1', b'"seq":true')):
        with pytest.raises(VerificationError):
            parse_entry_line(bad_line, number=7)
