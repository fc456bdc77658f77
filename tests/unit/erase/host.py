"""One host of two phones for the eraser's rules: libvirt's files, images, and the codes that judge a file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.libvirtfiles import LibvirtFiles
from tests.unit.erase.test_ownership import image
from wiped.erase.claims import Claims
from wiped.erase.ownership import read_claims
from wiped.model.inventory import BlockFacts, FileIdentity
from wiped.model.policy import StorageRules

MINE = "11111111-2222-3333-4444-555555555555"


THEIRS = "66666666-7777-8888-9999-000000000000"


KEY = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


DUMPED = "-2026-01-02-03:04:05"


TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"


@dataclass
class Host:
    """libvirt's files, a root with images, and the rules."""

    files: LibvirtFiles
    images: Path
    rules: dict[str, Any] = field(default_factory=dict)

    def claims(self, uuid: str = MINE, **how: Any) -> Claims:
        return read_claims(self.files.directories, uuid, StorageRules(**{"roots": (str(self.images),), **self.rules}), **how)

    def codes(self, path: Path | str, uuid: str = MINE, **how: Any) -> list[str]:
        return judged(self.claims(uuid, **how), path)

    def file(self, *parts: str) -> str:
        path = self.files.base.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return image(path)


def judged(claims: Claims, path: Path | str) -> list[str]:
    found = os.stat(path)
    return sorted(str(refusal.code) for refusal in claims.judge(str(path), FileIdentity(found.st_dev, found.st_ino)))


def both(host: Host, **mine: Any) -> None:
    """This phone and a neighbour, which has nothing."""
    host.files.define("mine", uuid=MINE, **mine)
    host.files.define("theirs", uuid=THEIRS)


def encrypted(path: str, secret: str) -> str:
    inside = f"<encryption format='luks'>{secret}</encryption>"
    return f"<disk type='file' device='disk'><driver type='raw'/><source file='{path}'>{inside}</source><target dev='vda'/></disk>"


def share(folder: Path | str, extra: str = "") -> str:
    return f"<filesystem type='mount'><source dir='{folder}'/><target dir='x'/>{extra}</filesystem>"


def block(number: str = "7:0", backing: str = "", claims: tuple[tuple[str, str], ...] = ()) -> BlockFacts:
    return BlockFacts(number, "loop", 1 << 20, backing_file=backing, claims=claims, stacked=(number,))


def device_codes(claims: Claims, location: str, facts: BlockFacts, aliases: frozenset[FileIdentity] = frozenset()) -> list[str]:
    return sorted(str(refusal.code) for refusal in claims.judge_device(location, facts, aliases))


GONE_LONG_AGO = 1_000_000_000
