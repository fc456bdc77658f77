"""Attack: headers that a hostile guest wrote into its disk name golden images, host files, devices and other phones' disks (docs/physics.md 5, CVE-2024-32498).

A raw disk is never parsed: it is wiped whole, and nothing that it names is opened. A disk that libvirt calls qcow2, vmdk or qed is refused where its
header leads elsewhere. The victims keep every byte, through the whole product and against the eraser with a plan that names them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.attacks import (
    Host,
    backing_header,
    bind_all,
    data_file_header,
    forge,
    luks_header,
    qed_header,
    refusals,
    sparse_vmdk,
    vmdk_descriptor,
    wait_refused,
)
from tests.host.eraser_stage import Stage, digest, random_file, step
from tests.lab.libvirtfiles import Disk
from tests.lab.privatelibvirt import PrivateLibvirt
from tests.lab.stage import StagedPhone
from wiped.model.inventory import ArtefactKind
from wiped.wire.messages import Lock

HEADERS: dict[str, Callable[[str], bytes]] = {
    "qcow2-backing": backing_header,
    "qcow2-data-file": data_file_header,
    "qcow2-json": lambda name: backing_header(f'json:{{"driver":"raw","file":{{"driver":"file","filename":"{name}"}}}}'),
    "qcow2-nbd": lambda name: backing_header(f"nbd:unix:{name}:exportname=x"),
    "vmdk-descriptor": vmdk_descriptor,
    "vmdk-sparse": sparse_vmdk,
    "luks": luks_header,
    "qed": qed_header,
}


@pytest.fixture
def loop(scratch: Path) -> Iterator[tuple[str, Path]]:
    """A loop device and the file beneath it."""
    file = random_file(scratch / "host-disk.img", 1 << 20)
    device = subprocess.run(["losetup", "-f", "--show", str(file)], check=True, capture_output=True, text=True).stdout.strip()
    yield device, file
    subprocess.run(["losetup", "-d", device], check=True)


def targets(host: Host, loop: tuple[str, Path]) -> dict[str, str]:
    """What the headers name: a golden image, a host file, a device, another phone's disk."""
    host.victim(loop[1])
    neighbour = host.phone("neighbour", host.phones / "neighbour.raw", victim=True)
    return {
        "golden": str(host.victim(host.golden / "base.raw")),
        "host-file": str(host.victim(host.outside / "shadow")),
        "device": loop[0],
        "neighbour": str(neighbour.disks["vda"][0]),
    }


@pytest.mark.long
def test_headers_inside_raw_disks_lead_nowhere(private_libvirt: PrivateLibvirt, loop: tuple[str, Path]) -> None:
    """Every forged header with every target, inside disks that libvirt calls raw: each disk is wiped whole, no target is touched."""
    host = Host(private_libvirt)
    disks: dict[str, tuple[Path, str]] = {}
    for number, (victim, name) in enumerate(targets(host, loop).items()):
        for kind, header in HEADERS.items():
            letter = len(disks)
            disks[f"vd{chr(97 + letter // 26)}{chr(97 + letter % 26)}"] = (forge(host.phones / f"{kind}-{victim}-{number}.raw", header(name)), "raw")
    phones = []
    for number in range(0, len(disks), 8):
        phone = host.phone(f"hostile-{number}", next(iter(disks.values()))[0])
        host.libvirt.virsh("undefine", phone.uuid)
        phone.disks = dict(list(disks.items())[number : number + 8])
        phones.append(phone.define())
    with host.product() as product:
        bind_all(product, phones)
        for phone in phones:
            plan = product.get(f"/v1/phones/{phone.uuid}/plan")
            assert ([item["kind"] for item in plan["retained"]], plan["refusals"]) == ([], [])
        for phone in phones:
            assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    assert [path for path, _ in disks.values() if path.exists()] == []
    host.unharmed()


#: (header, what it names) -> the codes; () where the base is somebody else's and the overlay alone is wiped.
QCOW2_SAYS = {
    ("qcow2-backing", "golden"): set(),
    ("qcow2-backing", "neighbour"): set(),
    ("qcow2-backing", "host-file"): {"ambiguous-base"},
    ("qcow2-backing", "device"): {"ambiguous-base", "unsupported-artefact", "outside-roots"},
    ("no-format", "golden"): {"untrusted-format"},
    ("no-format", "neighbour"): {"untrusted-format"},
    ("qcow2-data-file", "golden"): {"external-data-file"},
    ("qcow2-data-file", "neighbour"): {"external-data-file"},
    ("qcow2-data-file", "other-host-file"): {"external-data-file"},
    ("qcow2-json", "golden"): {"untrusted-format"},
    ("qcow2-json", "other-host-file"): {"untrusted-format"},
    ("qcow2-nbd", "neighbour"): {"untrusted-format"},
}


@pytest.mark.long
def test_headers_of_disks_that_libvirt_calls_by_that_format(private_libvirt: PrivateLibvirt, loop: tuple[str, Path]) -> None:
    """Called qcow2, vmdk or qed: data files, json:, nbd:, open formats, strange bases are refused; over a golden or foreign base only the overlay goes."""
    host = Host(private_libvirt)
    names = targets(host, loop) | {"other-host-file": str(host.victim(host.outside / "passwd"))}
    headers = HEADERS | {"no-format": lambda name: backing_header(name, "")}
    cases: list[tuple[StagedPhone, set[str]]] = []
    for (kind, victim), codes in QCOW2_SAYS.items():
        image = forge(host.phones / f"{kind}-{victim}.qcow2", headers[kind](names[victim]))
        cases.append((host.phone(image.stem, host.victim(image) if codes else image, "qcow2"), codes))
    for kind, declared in (("vmdk-descriptor", "vmdk"), ("vmdk-sparse", "vmdk"), ("qed", "qed")):
        image = host.victim(forge(host.phones / f"{kind}.{declared}", HEADERS[kind](names["golden"])))
        cases.append((host.phone(kind, image, declared), {"external-data-file"}))
    with host.product() as product:
        bind_all(product, [phone for phone, _ in cases])
        for phone, codes in cases:
            if codes:
                wait_refused(product, phone, codes)
                assert refusals(product, phone) <= codes, phone.name
            else:
                assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear", phone.name
                assert not phone.disks["vda"][0].exists()
    host.unharmed()


@pytest.mark.parametrize("kind", HEADERS)
async def test_the_eraser_takes_nothing_that_a_header_names(scratch: Path, kind: str) -> None:
    """A plan that has the forged disk and what its header names: refused as a whole, whatever the plan calls the victim; both keep every byte."""
    stage = Stage(scratch)
    golden, host_file = random_file(stage.golden / "base.raw"), random_file(stage.images / "nobodys.raw")
    other = random_file(stage.images / "other.raw")
    stage.files.define("other", [Disk(str(other), "raw")])
    cases = (
        (golden, "backing-private", {"protected-root", "ambiguous-base"}),
        (host_file, "backing-private" if "qcow2" in kind else "extra", {"ambiguous-base"}),
        (other, "snapshot-overlay", {"shared-by-domain", "ambiguous-base"}),
    )
    for victim, says, codes in cases:
        name = f"phone-{victim.stem}"
        disk = forge(stage.images / f"{name}.img", HEADERS[kind](str(victim)))
        declared = "qcow2" if kind in ("qcow2-backing", "qcow2-data-file") else "raw"
        uuid = stage.files.define(name, [Disk(str(disk), declared)])
        before = {path: digest(path) for path in (disk, victim)}
        request = Lock("w", uuid, name, (step(disk, format=declared), step(victim, kind=ArtefactKind(says))))
        assert set(await stage.wipe(request)) == codes, (says, victim)
        assert {path: digest(path) for path in before} == before
        os.unlink(stage.files.config / f"{name}.xml")
