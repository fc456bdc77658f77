"""Two hundred random hosts on a real filesystem: what the observer and the planner make of them, and what the eraser would take by itself.

The oracle never reads a header: it knows the host from the description that it was made from. Three claims for each host (issue of the data map):
no plan contains a file that another domain reaches; every file that only this phone reaches is in the plan, or a refusal stands on it or above it in
its chain; and the eraser, handed any file at all of the host, takes only what is this phone's alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.host.eraser_stage import step
from tests.lab.libvirtfiles import Disk, LibvirtFiles
from tests.lab.rawdevice import RawFilesystem
from wiped.decide.plan import make_plan
from wiped.erase.locks import refusals_of
from wiped.erase.ownership import claims_for
from wiped.model.instants import instant_text
from wiped.model.inventory import DomainFacts, DomainState
from wiped.model.plan import Plan, Refusal
from wiped.model.policy import StorageRules
from wiped.observe.image import survey
from wiped.virt.domain_xml import merge, parse_domain
from wiped.wire.messages import Lock, LockStep

PHONE = "00000000-0000-4000-8000-000000000000"
PLACES = ("images", "golden", "outside")


@dataclass(frozen=True)
class File:
    """One image. `backing`: number of an earlier file, -1 for none; `backing_format` "" states none. `links`: hard links elsewhere."""

    place: str
    is_qcow2: bool
    backing: int = -1
    backing_format: str = "qcow2"
    by_alias: bool = False
    links: int = 0


@dataclass(frozen=True)
class Use:
    """One disk of a domain. `by_alias`: through a symbolic link."""

    file: int
    format: str = "qcow2"
    device: str = "disk"
    extra: str = ""
    by_alias: bool = False


@dataclass(frozen=True)
class Domain:
    """One domain: disks now, disks that a snapshot remembers, and plain files by number (-1 for none)."""

    disks: tuple[Use, ...]
    former: tuple[Use, ...] = ()
    nvram: int = -1
    log: int = -1


@dataclass(frozen=True)
class Host:
    """Domain 0 is the phone. `classified`: (file, word)."""

    files: tuple[File, ...]
    domains: tuple[Domain, ...]
    classified: tuple[tuple[int, str], ...] = ()


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    """Small hosts with much sharing: mistakes live where two things meet."""
    count = draw(st.integers(2, 7))
    files = []
    for number in range(count):
        is_qcow2 = draw(st.booleans())
        files.append(
            File(
                place=draw(st.sampled_from(("images", "images", "images", "golden", "outside"))),
                is_qcow2=is_qcow2,
                backing=draw(st.integers(-1, number - 1)) if is_qcow2 else -1,
                backing_format=draw(st.sampled_from(("qcow2", "qcow2", "raw", ""))),
                by_alias=draw(st.integers(0, 9)) == 0,
                links=int(draw(st.integers(0, 9)) == 0),
            )
        )
    which = st.integers(0, count - 1)
    use = st.builds(
        Use,
        file=which,
        format=st.sampled_from(("qcow2", "qcow2", "raw", "")),
        device=st.sampled_from(("disk", "disk", "disk", "cdrom")),
        extra=st.sampled_from(("", "", "", "", "<readonly/>", "<shareable/>")),
        by_alias=st.integers(0, 9).map(lambda value: value == 0),
    )
    maybe = st.one_of(st.just(-1), st.just(-1), which)
    domain = st.builds(Domain, disks=st.lists(use, max_size=3).map(tuple), former=st.lists(use, max_size=1).map(tuple), nvram=maybe, log=maybe)
    return Host(
        files=tuple(files),
        domains=tuple(draw(st.lists(domain, min_size=1, max_size=4))),
        classified=tuple(draw(st.dictionaries(which, st.sampled_from(("golden", "private")), max_size=2)).items()),
    )


# -- the oracle: from the description alone


def opened(host: Host, number: int, fmt: str) -> Iterator[int]:
    """The files that QEMU opens for a disk stated as `fmt`."""
    yield number
    file = host.files[number]
    if fmt == "qcow2" and file.is_qcow2 and file.backing >= 0:
        beneath = file.backing_format or ("qcow2" if host.files[file.backing].is_qcow2 else "raw")
        yield from opened(host, file.backing, beneath)


def reached(host: Host, domain: Domain) -> set[int]:
    """The files that a domain may open by what libvirt knows of it."""
    found = {number for number in (domain.nvram, domain.log) if number >= 0}
    for use in (*domain.disks, *domain.former):
        found.update(opened(host, use.file, use.format))
    return found


# -- the host, made real


@dataclass
class Stage:
    """A host on the disk."""

    base: Path
    files: LibvirtFiles
    rules: StorageRules
    paths: list[Path]
    aliases: list[Path]

    def domain(self, number: int) -> DomainFacts:
        """What libvirt's files say of one domain, as the daemon would hand it over."""
        documents = [parse_domain((self.files.config / f"d{number}.xml").read_bytes(), origin="inactive")]
        documents += [parse_domain(path.read_bytes(), origin="snapshot") for path in sorted((self.files.state / "snapshot").glob(f"d{number}/*.xml"))]
        facts = merge(*documents)
        return DomainFacts(**{**{name: getattr(facts, name) for name in DomainFacts.__slots__}, "state": DomainState.SHUTOFF})


def build(base: Path, host: Host) -> Stage:
    """Make the files, links, libvirt's documents and the classification records."""
    for place in (*PLACES, "aliases"):
        (base / place).mkdir(parents=True)
    stage = Stage(base, LibvirtFiles(base / "libvirt"), StorageRules(roots=(f"{base}/images", f"{base}/golden"), protected=(f"{base}/golden",)), [], [])
    for number, file in enumerate(host.files):
        path = base / file.place / f"f{number}.img"
        beneath = b""
        if file.backing >= 0:
            beneath = os.fsencode((stage.aliases if file.by_alias else stage.paths)[file.backing])
        path.write_bytes(qcow2(beneath, file.backing_format) if file.is_qcow2 else os.urandom(65536))
        alias = base / "aliases" / f"a{number}"
        alias.symlink_to(path)
        for link in range(file.links):
            (base / "outside" / f"l{number}.{link}").hardlink_to(path)
        stage.paths.append(path)
        stage.aliases.append(alias)
    for number, domain in enumerate(host.domains):
        uuid = f"{number:08x}-0000-4000-8000-000000000000"
        plain = {key: str(stage.paths[value]) for key, value in (("nvram", domain.nvram), ("log", domain.log)) if value >= 0}
        stage.files.define(f"d{number}", disks(stage, domain.disks), uuid=uuid, **plain)
        if domain.former:
            stage.files.snapshot(f"d{number}", uuid, disks(stage, domain.former))
    stage.files.classified.mkdir(parents=True, mode=0o700)
    for number, word in host.classified:
        path = stage.paths[number]
        found = path.stat()
        record = {"path": str(path), "device": found.st_dev, "inode": found.st_ino, "as": word, "at": instant_text(datetime.now(UTC))}
        target = stage.files.classified / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
        target.write_text(json.dumps(record))
        target.chmod(0o600)
    return stage


def disks(stage: Stage, uses: tuple[Use, ...]) -> list[Disk]:
    """The uses as libvirt states them."""
    return [Disk(str((stage.aliases if use.by_alias else stage.paths)[use.file]), use.format, use.device, use.extra) for use in uses]


def qcow2(backing: bytes, backing_format: str) -> bytes:
    """A version 3 header of an empty 1 MiB image, and a cluster behind it."""
    length, extensions = 104, b""
    if backing and backing_format:
        extensions += struct.pack(">II", 0xE2792ACA, len(backing_format)) + backing_format.encode().ljust((len(backing_format) + 7) & ~7, b"\0")
    extensions += struct.pack(">II", 0, 0)
    place = length + len(extensions) if backing else 0
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, place, len(backing), 16, 1 << 20, 0, 1, 0x30000, 0x10000, 1, 0, 0)
    head += struct.pack(">QQQII", 0, 0, 0, 4, length)
    return (head + extensions + backing).ljust(65536, b"\0") + bytes(65536)


# -- the claims


def check(stage: Stage, host: Host) -> Plan:
    """The three claims for one host; returns the plan."""
    facts = [stage.domain(number) for number in range(len(host.domains))]
    plan = make_plan(survey(facts[0], facts[1:], stage.rules, stage.files.directories), 1, stage.rules)
    number_of = {(path.stat().st_dev, path.stat().st_ino): number for number, path in enumerate(stage.paths)}
    own = reached(host, host.domains[0])
    others = set(itertools.chain.from_iterable(reached(host, domain) for domain in host.domains[1:]))
    golden = {number for number, word in host.classified if word == "golden"}

    taken = {number_of[one.identity.device, one.identity.inode] for one in plan.steps}
    assert not taken & others, "a file that another domain reaches is in the plan"
    assert not taken & golden, "a golden image is in the plan"
    assert taken <= own, "a file that the phone does not reach is in the plan"
    for number in taken:
        assert host.files[number].place == "images", "a protected or foreign place is in the plan"
        assert not host.files[number].links, "a file with a second name is in the plan"

    kept = {number_of[item.identity.device, item.identity.inode] for item in plan.retained if item.identity is not None}
    # What lies beneath an image that is kept is kept with it, and told where the chain can be walked.
    told = taken.union(kept, *(opened(host, number, "qcow2") for number in kept))
    refused = {refusal.location for refusal in plan.refusals}
    told |= {number for number, names in enumerate(zip(stage.paths, stage.aliases, strict=True)) if {str(name) for name in names} & refused}
    for number in sorted(own - others - told):
        assert plan.refusals, f"f{number} is forgotten in a plan that would be executed"
        assert any(number in set(opened(host, above, "qcow2")) for above in told if above != number), f"f{number} is told nowhere, nor what lies above it"

    takes_by_itself(stage, host, plan, others | golden, own)
    return plan


def takes_by_itself(stage: Stage, host: Host, plan: Plan, forbidden: set[int], own: set[int]) -> None:
    """The eraser agrees with an executable plan, and of plans that nobody should have made it takes only the phone's own files."""

    def judged(*steps: LockStep) -> tuple[Refusal, ...]:
        request = Lock("w", PHONE, "d0", steps)
        return refusals_of(request, claims_for(request, stage.rules, stage.files.directories))

    if not plan.refusals:
        asked = (step(one.location, kind=one.kind, format=one.format) for one in plan.steps)
        assert judged(*asked) == (), "the eraser refuses what was planned"
    for number, path in enumerate(stage.paths):
        if not judged(step(path)):
            assert number in own - forbidden, f"the eraser would take f{number}"
            assert (host.files[number].place, host.files[number].links) == ("images", 0)


#: Hosts that once went wrong, or nearly: shrunk, and kept.
CASES = (
    # the golden image is reached by a neighbour through a chain whose middle has no stated format
    Host(
        (File("images", is_qcow2=True), File("images", is_qcow2=True, backing=0, backing_format=""), File("images", is_qcow2=True, backing=1)),
        (Domain((Use(0),)), Domain((Use(2),))),
    ),
    # the phone's disk is another domain's CD, and only through a symbolic link
    Host((File("images", is_qcow2=False),), (Domain((Use(0, "raw"),)), Domain((Use(0, "raw", "cdrom", by_alias=True),)))),
    # a raw disk whose content claims a backing file: the claim is the guest's
    Host((File("images", is_qcow2=True), File("images", is_qcow2=True, backing=0)), (Domain((Use(1, "raw"),)), Domain(()))),
    # classified as private, but a neighbour's snapshot still knows it
    Host(
        (File("images", is_qcow2=True), File("images", is_qcow2=True, backing=0)),
        (Domain((Use(1),)), Domain((), former=(Use(0),))),
        ((0, "private"),),
    ),
    # beneath a golden CD that is reached through a symbolic link, where the walk ends
    Host(
        (File("images", is_qcow2=False), File("images", is_qcow2=True, backing=0, backing_format=""), File("images", is_qcow2=False)),
        (Domain((), former=(Use(1, "qcow2", "cdrom", by_alias=True),), log=2),),
        ((1, "golden"),),
    ),
    # the same file as disk and as NVRAM
    Host((File("images", is_qcow2=False),), (Domain((Use(0, "raw"),), nvram=0), Domain((), log=0))),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real ext4 to make hosts on."""
    base = tmp_path_factory.mktemp("hosts")
    (base / "m").mkdir()
    with RawFilesystem("ext4", base / "dev.img") as filesystem:
        filesystem.mount(base / "m")
        yield base / "m"


def on(place: Path, host: Host) -> Plan:
    """Build the host, check it, and clear it away."""
    base = place / "host"
    try:
        return check(build(base, host), host)
    finally:
        shutil.rmtree(base)


#: A fixture of the whole module serves all examples.
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@settings(SHARED, max_examples=40)
@example(CASES[0])
@example(CASES[1])
@example(CASES[2])
@example(CASES[3])
@example(CASES[4])
@example(CASES[5])
@given(host=hosts())
def test_no_plan_holds_a_strangers_file_and_nothing_is_forgotten(place: Path, host: Host) -> None:
    """40 random hosts and the kept cases: planner, observer and eraser against the oracle."""
    on(place, host)


@pytest.mark.long
@settings(SHARED, max_examples=400)
@given(host=hosts())
def test_nor_on_four_hundred_others(place: Path, host: Host) -> None:
    """As above."""
    on(place, host)


def test_the_generator_makes_plans_that_would_be_executed(place: Path) -> None:
    """The claims would hold of a planner that refuses everything: an ordinary host is planned, with steps, and its golden image is kept."""
    host = Host(
        (File("golden", is_qcow2=True), File("images", is_qcow2=True, backing=0), File("images", is_qcow2=True, backing=1), File("images", is_qcow2=False)),
        (Domain((Use(2), Use(3, "raw")), former=(Use(1),)), Domain((Use(0, "qcow2", extra="<readonly/>"),))),
    )
    plan = on(place, host)
    assert plan.refusals == ()
    assert sorted(Path(one.location).name for one in plan.steps) == ["f1.img", "f2.img", "f3.img"]
    assert [Path(kept.location).name for kept in plan.retained] == ["f0.img"]
