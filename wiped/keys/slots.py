"""The form of the salt file: 4096-byte slots, each whole with a checksum, random where it holds nothing.

Slot 0 is the head: it binds the file to the look-up key. Every other slot is free, holds one account generation, or a note of how far the ledger's audit log
had come (two slots in turn, so that a torn write leaves the other):

    0 magic 8 | 8 state 1 | 9 zero 7 | 16 look-up 32 | 48 pseudonym 20 | 68 salt 32 | 100 sealing key 32 | random | 4064 SHA-256 of all before
    0 magic 8 | 8 state 1 | 9 zero 7 | 16 turn 8 | 24 audit entry 8 | 32 its hash 32 | random | 4064 SHA-256 of all before
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass

SLOT = 4096
#: Slots that the file grows by at once, written whole with random bytes (1 MiB).
CHUNK_SLOTS = 256
#: Bytes of a pseudonym: 160 bits, 32 letters in base32.
PSEUDONYM_BYTES = 20

_MAGIC = b"WIPEDSL1"
_CHECKED = SLOT - 32
_HEAD, _FREE, _USED, _NOTE = 1, 2, 3, 4
_NUMBERS = struct.Struct(">QQ")


@dataclass(frozen=True, slots=True, repr=False)
class Slot:
    """One account generation: found by `lookup`, named by `pseudonym`, hidden by `salt`, its words sealed with `key`. Never printed."""

    lookup: bytes
    pseudonym: bytes
    salt: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Slot(***)"


@dataclass(frozen=True, slots=True)
class Note:
    """How far the audit log had come: the number and hash (32 bytes) of an entry. `turn`: the highest of all notes is the newest."""

    turn: int
    seq: int
    hash: bytes


def _finished(state: int, fields: bytes) -> bytes:
    front = _MAGIC + bytes([state]) + bytes(7) + fields
    body = front + os.urandom(_CHECKED - len(front))
    return body + hashlib.sha256(body).digest()


def head_bytes(binding: bytes) -> bytes:
    """The head, with 32 bytes that only the right look-up key can make."""
    return _finished(_HEAD, binding)


def free_bytes() -> bytes:
    """A slot that holds nothing."""
    return _finished(_FREE, b"")


def used_bytes(slot: Slot) -> bytes:
    """A slot that holds one account generation."""
    return _finished(_USED, slot.lookup + slot.pseudonym + slot.salt + slot.key)


def note_bytes(note: Note) -> bytes:
    """A slot that holds a note."""
    return _finished(_NOTE, _NUMBERS.pack(note.turn, note.seq) + note.hash)


def note_of(data: bytes) -> Note | None:
    """The note in an intact slot; None for any other."""
    if not _intact(data) or data[8] != _NOTE:
        return None
    turn, seq = _NUMBERS.unpack_from(data, 16)
    return Note(turn, seq, data[32:64])


def _intact(data: bytes) -> bool:
    return len(data) == SLOT and data.startswith(_MAGIC) and hashlib.sha256(data[:_CHECKED]).digest() == data[_CHECKED:]


def binding_of(data: bytes) -> bytes | None:
    """The 32 bytes in a head; None when this is no intact head."""
    return data[16:48] if _intact(data) and data[8] == _HEAD else None


def is_free(data: bytes) -> bool:
    """An intact slot that holds nothing."""
    return _intact(data) and data[8] == _FREE


def slot_of(data: bytes) -> Slot | None:
    """What an intact used slot holds; None for any other."""
    if not _intact(data) or data[8] != _USED:
        return None
    return Slot(lookup=data[16:48], pseudonym=data[48:68], salt=data[68:100], key=data[100:132])
