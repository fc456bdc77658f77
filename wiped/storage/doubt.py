"""A disk of another domain of which nobody can tell what it reaches: which files could it be? (docs/design.md, "Neighbours")

An image that begins with its format's magic and has a header that is not of that format cannot be opened by QEMU, and so reaches nothing today. What it
reached before its header was damaged, its owner may still want back. The name of that file stood in the image's head (qcow2, QED: the first cluster; qcow,
VMDK: in practice the same), so a file whose name stands nowhere there is none of it. A volume of a pool that libvirt does not know bears the volume's name.
Only ever used to protect more. Block devices have many names, so any device may be meant.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from wiped.storage.mounts import real_path

#: As far as names are looked for, bytes: the largest cluster of qcow2.
HEAD_BYTES: Final = 2 << 20
#: Where names are looked for that may be links to other names, bytes, and how many at most.
_LINKS_BYTES: Final = 64 << 10
MAX_LINKS: Final = 4096
#: A name of these letters stands in a header as it is; others may be written in another way (`json:` escapes).
_PLAIN: Final = re.compile(rb"[A-Za-z0-9._@+=-]+")
_RUN: Final = re.compile(rb"[\x20-\x7e\x80-\xff]{3,1023}")
#: Names of one or two letters: not counted, since tables are full of such bytes; as few as there are letters.
_SHORT: Final = re.compile(rb"(?<![\x20-\x7e\x80-\xff])[\x20-\x7e\x80-\xff]{1,2}(?![\x20-\x7e\x80-\xff])")
#: What stands around a name in `json:` and in a descriptor.
_BETWEEN: Final = re.compile(r"[,=\s\"'{}\[\]]+")
#: `json:` may write any letter so (RFC 8259, section 7): as one or two 16-bit numbers, or after a backslash.
_ESCAPE: Final = re.compile(rb"((?:\\u[0-9a-fA-F]{4})+)|\\([/\\\"])")
#: A text of `json:`, as it stands between its quotes.
_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"')
#: How a qcow2 header says where its data file's name is: the type of the extension.
_DATA_FILE: Final = b"DATA"
_MAX_NAME: Final = 1023
#: As many pieces of one text are followed: more than a name has.
_MAX_PIECES: Final = 64
#: Magic, version, place and length of the backing file's name.
_BACKING: Final = struct.Struct(">4sIQI")


@dataclass(frozen=True, slots=True)
class Doubt:
    """`place`: the image, or the volume; `reason`: why it cannot be followed, in words; `head`: everything that may be a name in it."""

    place: str
    reason: str
    head: bytes = field(repr=False)

    def may_be(self, location: str, *, device: bool = False) -> bool:
        """Whether the file at `location` could be what the disk reaches: under the name that it has, or that its directory's links lead to."""
        names = {os.fsencode(os.path.basename(path)) for path in (location, os.path.normpath(location), real_path(location))}
        plain = _plain_head(self.head)
        return device or any(not _PLAIN.fullmatch(name) or name in self.head or name in plain for name in names)


def head_of(fd: int) -> bytes:
    """The head of an open image. Raises OSError."""
    head = bytearray()
    while len(head) < HEAD_BYTES and (piece := os.pread(fd, HEAD_BYTES - len(head), len(head))):
        head += piece
    return bytes(head)


def paths_in(head: bytes, directory: str) -> Iterator[str]:
    """Every text in the head that could be the path of a file from `directory`: to be followed, since a link has another name than the file. Each once.

    Texts as they stand, from each of their slashes on, and what stands between quotes, commas and braces in them (`json:`, descriptors), escapes resolved; and
    what the header's own fields call a name, with whatever letters."""
    texts: dict[str, None] = dict.fromkeys(os.fsdecode(name) for name in _stated(head))
    for number, run in enumerate(_RUN.findall(head[:_LINKS_BYTES])):
        if number >= MAX_LINKS:
            break
        strings = [_unescaped(string) for string in _STRING.findall(run)[:_MAX_PIECES]] if b"\\" in run else []
        for text in dict.fromkeys(map(os.fsdecode, (run, _unescaped(run), *strings))):
            texts |= dict.fromkeys(_tails(text))
            for piece in _BETWEEN.split(text)[:_MAX_PIECES]:
                texts |= dict.fromkeys(_tails(piece))
            texts |= dict.fromkeys(re.split("[\"']", text)[:_MAX_PIECES])
    texts |= dict.fromkeys(os.fsdecode(run) for run in _SHORT.findall(head[:_LINKS_BYTES]))
    yield from dict.fromkeys(os.path.join(directory, text) for text in texts if text and "\0" not in text)


def _tails(text: str) -> list[str]:
    """The text, and what begins at each of its slashes."""
    return [text[at:] for at in [0, *(at for at, letter in enumerate(text) if letter == "/")][:32]]


def _unescaped(text: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: match[2] or _letters(match[1]), text) if b"\\" in text else text


def _letters(escapes: bytes) -> bytes:
    """What `\\uXXXX` one after the other stand for, as a file's name has it; half of a pair alone is no letter, and stays as it was written."""
    try:
        return bytes.fromhex(escapes.replace(b"\\u", b"").decode()).decode("utf-16-be").encode()
    except UnicodeDecodeError:
        return escapes


@lru_cache(maxsize=16)
def _plain_head(head: bytes) -> bytes:
    """`_unescaped`, kept: every file of the host is looked for in it."""
    return _unescaped(head)


def _stated(head: bytes) -> Iterator[bytes]:
    """The names at the places that a qcow2 (or qcow) header's fields and extensions state, as far as they are in the head."""
    if len(head) >= _BACKING.size:
        offset, length = _BACKING.unpack_from(head)[2:]
        if length <= _MAX_NAME:
            yield head[offset : offset + length].partition(b"\0")[0]
    at = head.find(_DATA_FILE)
    for _ in range(_MAX_PIECES):
        if at < 0:
            return
        length = int.from_bytes(head[at + 4 : at + 8], "big")
        if length <= _MAX_NAME:
            yield head[at + 8 : at + 8 + length].partition(b"\0")[0]
        at = head.find(_DATA_FILE, at + 4)


def has_too_many(head: bytes) -> bool:
    """Whether more texts stand there than are followed."""
    return sum(1 for _ in _RUN.finditer(head[:_LINKS_BYTES])) > MAX_LINKS
