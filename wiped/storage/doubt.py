"""A disk of another domain of which nobody can tell what it reaches: which files could it be? (docs/design.md, "Neighbours")

An image that begins with its format's magic and has a header that is not of that format cannot be opened by QEMU, and so reaches nothing today. What it
reached before its header was damaged, its owner may still want back. The name of that file stood in the image's head (qcow2, QED: the first cluster; qcow,
VMDK: in practice the same), so a file whose name stands nowhere there is none of it. A volume of a pool that libvirt does not know bears the volume's name.
Only ever used to protect more. Block devices have many names, so any device may be meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Doubt:
    """`place`: the image, or the volume; `reason`: why it cannot be followed, in words; `head`: everything that may be a name in it."""

    place: str
    reason: str
    head: bytes = field(repr=False)

    def may_be(self, location: str, *, device: bool = False) -> bool:
        """Whether the file at `location` could be what the disk reaches: under the name that it has, or that its directory's links lead to."""
        names = {os.fsencode(os.path.basename(path)) for path in (location, os.path.normpath(location), real_path(location))}
        return device or any(not _PLAIN.fullmatch(name) or name in self.head for name in names)


def head_of(fd: int) -> bytes:
    """The head of an open image. Raises OSError."""
    head = bytearray()
    while len(head) < HEAD_BYTES and (piece := os.pread(fd, HEAD_BYTES - len(head), len(head))):
        head += piece
    return bytes(head)


def paths_in(head: bytes, directory: str) -> Iterator[str]:
    """Every text in the head that could be the path of a file from `directory`: to be followed, since a link has another name than the file."""
    for number, run in enumerate(_RUN.findall(head[:_LINKS_BYTES])):
        if number >= MAX_LINKS:
            return
        text = os.fsdecode(run)
        starts = [0, *(at for at, letter in enumerate(text) if letter == "/")][:32]
        for at in starts:
            yield os.path.join(directory, text[at:])


def has_too_many(head: bytes) -> bool:
    """Whether more texts stand there than are followed."""
    return sum(1 for _ in _RUN.finditer(head[:_LINKS_BYTES])) > MAX_LINKS
