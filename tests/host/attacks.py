"""What the attacks share: victims that must keep every byte, headers as a hostile guest would write them, many phones on one host, one daemon over them all."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.host.eraser_stage import random_file
from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.stage import ACCOUNT, Product, StagedPhone, instant
from tests.unit.storage.headers import DATA_FILE, qcow2

SMALL = 256 << 10
#: An external data file (incompatible feature bit 2 of qcow2 version 3).
EXTERNAL_DATA = 1 << 2


class Host:
    """A host under attack: `phones` is the root, `golden` a protected root beside it, `outside` lies under no root. All are visible inside."""

    def __init__(self, libvirt: PrivateLibvirt) -> None:
        self.libvirt = libvirt
        self.phones, self.golden, self.outside = (libvirt.workdir / name for name in ("phones", "golden", "outside"))
        for path in (self.phones, self.golden, self.outside):
            path.mkdir(exist_ok=True)
        self.victims: dict[Path, str] = {}

    def victim(self, path: Path) -> Path:
        """From now on this file must stay as it is; made of random bytes if it is not there."""
        if not path.exists():
            random_file(path, SMALL)
        self.victims[path] = images.digest(path)
        return path

    def unharmed(self) -> None:
        """Every victim has its name and every byte."""
        now = {path: images.digest(path) if path.is_file() else "gone" for path in self.victims}
        assert now == self.victims

    def phone(self, name: str, disk: Path, fmt: str = "raw", *, victim: bool = False) -> StagedPhone:
        """A defined phone over one disk, made of random bytes if it is not there."""
        if not os.path.lexists(disk):
            random_file(disk, SMALL)
        if victim:
            self.victim(disk)
        return StagedPhone(self.libvirt, name, {"vda": (disk, fmt)}).define()

    def product(self, **options: Any) -> Product:
        """The daemon over this host, with a breaker that many phones at once do not open: they are what is tried here."""
        return Product(self.libvirt, [self.phones], [self.golden], **{"safety": "breaker_max = 10000"} | options)


def wait_seen(product: Product, phones: Iterable[StagedPhone | str]) -> list[str]:
    """Until the daemon has seen these domains; their UUIDs."""
    wanted = [phone if isinstance(phone, str) else phone.uuid for phone in phones]

    def seen() -> bool:
        there = {item["uuid"] for item in product.get("/v1/phones")["items"] if item["present"]}
        return there >= set(wanted)

    wait_for(seen, "the phones to be seen")
    return wanted


def bind_all(product: Product, phones: Iterable[StagedPhone | str], *, ends_in: float = 1.0) -> None:
    """Record for every phone a term that began an hour ago and ends in `ends_in` seconds: one import instead of a program for each."""
    wanted = wait_seen(product, phones)
    now = datetime.now(UTC)
    lines = [
        {
            "phone": uuid,
            "account": ACCOUNT,
            "subscription": f"sub-{uuid[:8]}",
            "starts": instant(now - timedelta(hours=1)),
            "expires": instant(now + timedelta(seconds=ends_in)),
        }
        for uuid in wanted
    ]
    where = product.libvirt.workdir / "terms.jsonl"
    where.write_text("".join(json.dumps(line) + "\n" for line in lines))
    product.ctl("subscriptions", "import", str(where))


def reasons(product: Product, phone: StagedPhone | str) -> set[str]:
    """The codes that `wipectl explain` shows now."""
    return {item["code"] for item in product.explain(phone if isinstance(phone, str) else phone.uuid)["reasons"]}


def refusals(product: Product, phone: StagedPhone | str) -> set[str]:
    """The codes with which the plan of this moment is refused."""
    return {item["code"] for item in product.get(f"/v1/phones/{phone if isinstance(phone, str) else phone.uuid}/plan")["refusals"]}


def wait_refused(product: Product, phone: StagedPhone | str, codes: Sequence[str] | set[str]) -> None:
    """Until the daemon itself says that the due phone is refused with one of `codes`; no byte of it may have been overwritten."""
    wanted, uuid = set(codes), phone if isinstance(phone, str) else phone.uuid
    try:
        wait_for(lambda: reasons(product, uuid) & wanted, f"{uuid} to be refused with one of {sorted(wanted)}")
    except BaseException:
        print(product.explain(uuid), product.log.read_text()[-4000:], sep="\n")
        raise
    untouched(product, uuid)


def untouched(product: Product, phone: StagedPhone | str) -> None:
    """No wipe of the phone has overwritten a byte."""
    uuid = phone if isinstance(phone, str) else phone.uuid
    assert [item for wipe in product.wipes(uuid) for item in wipe["artefacts"] if item["bytes_overwritten"]] == []


# -- headers as a hostile guest writes them


def backing_header(name: str, fmt: str = "raw") -> bytes:
    """A qcow2 header whose backing file is `name`; `fmt` "" leaves the format open."""
    return qcow2(backing=os.fsencode(name), backing_format=fmt.encode())


def data_file_header(name: str) -> bytes:
    """A qcow2 header whose guest data lies in the file `name`."""
    return qcow2(features=EXTERNAL_DATA, extensions=((DATA_FILE, os.fsencode(name)),))


def vmdk_descriptor(*names: str) -> bytes:
    """A text descriptor of a split VMDK with `names` as its extents and the first as its parent."""
    extents = "".join(f'RW 512 FLAT "{name}" 0\n' for name in names)
    text = f'# Disk DescriptorFile\nversion=1\nCID=123a4567\nparentCID=7654a321\nparentFileNameHint="{names[0]}"\ncreateType="monolithicFlat"\n\n{extents}'
    return text.encode().ljust(65536, b"\0")


def sparse_vmdk(*names: str) -> bytes:
    """The binary form (KDMV), whose descriptor names `names`."""
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, 2048, 128, 1, 20, 512, 21, 26, 128)
    return head.ljust(512, b"\0") + vmdk_descriptor(*names)[:10240].ljust(65536 - 512, b"\0")


def luks_header(name: str) -> bytes:
    """A LUKS2 header whose JSON area and LUKS1 fields carry a path wherever text fits."""
    area = json.dumps({"keyslots": {}, "segments": {"0": {"type": "crypt", "path": name}}, "config": {"backing": name}}).encode()
    head = b"LUKS\xba\xbe" + struct.pack(">HQQ", 2, 16384, 1) + name.encode()[:48].ljust(48, b"\0")
    return (head.ljust(4096, b"\0") + area).ljust(65536, b"\0")


def qed_header(name: str) -> bytes:
    """A QED header with a backing file (format not probed)."""
    where = 64
    head = struct.pack("<4sIIIQQQQQII", b"QED\0", 65536, 1, 1, 1, 0, 0, 65536, 1 << 20, where, len(name.encode()))
    return (head.ljust(where, b"\0") + name.encode()).ljust(65536, b"\0")


def forge(path: Path, header: bytes, size: int = SMALL) -> Path:
    """An image that begins with `header`; the rest is random."""
    path.write_bytes(header + os.urandom(max(0, size - len(header))))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path
