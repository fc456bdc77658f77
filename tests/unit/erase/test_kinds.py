"""The data map, kind by kind: what makes a file this phone's own, and what of a neighbour's takes that back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab.libvirtfiles import Disk, LibvirtFiles, saved_state
from tests.unit.erase.test_ownership import image, overlay
from wiped.erase.claims import Claims
from wiped.erase.ownership import read_claims
from wiped.errors import RefusedError
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


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "images").mkdir()
    return Host(LibvirtFiles(tmp_path / "libvirt"), tmp_path / "images")


def both(host: Host, **mine: Any) -> None:
    """This phone and a neighbour, which has nothing."""
    host.files.define("mine", uuid=MINE, **mine)
    host.files.define("theirs", uuid=THEIRS)


# -- files that libvirt keys by name or UUID


def test_logs_and_dumps_by_name(host: Host) -> None:
    """QEMU's log and swtpm's with their rotations, dumps of libvirt's own and of people's making: the phone's; a neighbour's are the neighbour's."""
    both(host)
    logs, swtpm_logs, state = (host.files.logs, host.files.base / "var/log/swtpm/libvirt/qemu", host.files.state)
    own = [f"{logs}/mine.log", f"{logs}/mine.log.0", f"{swtpm_logs}/mine-swtpm.log", f"{state}/dump/7-mine{DUMPED}", f"{state}/dump/mine.core"]
    own.append(f"{state}/dump/before-{MINE}")
    stray = [f"{logs}/mine.log.x", f"{logs}/minee.log", f"{state}/dump/7-mine", f"{state}/dump/sub/mine.core", f"{swtpm_logs}/mine.log"]
    for path in [*own, *stray]:
        host.file(path)
    assert {path: host.codes(path) for path in own} == {path: [] for path in own}
    assert {path: host.codes(path) for path in stray} == {path: ["ambiguous-base"] for path in stray}
    assert {path: host.codes(path, THEIRS) for path in own} == {path: ["ambiguous-base", "shared-by-domain"] for path in own}


@pytest.mark.parametrize("whose", ["present", "snapshot", "saved"])
def test_a_name_that_two_domains_had_is_nobodys_evidence(host: Host, whose: str) -> None:
    """A dump or log under a name that another domain bears, bore by its snapshots, or is saved under, may be either's."""
    both(host)
    paths = [host.file(f"{host.files.state}/dump/3-mine{DUMPED}"), host.file(f"{host.files.logs}/mine.log.1")]
    assert [host.codes(path) for path in paths] == [[], []]
    match whose:
        case "present":
            host.files.status("mine", THEIRS)
        case "snapshot":
            host.files.snapshot("mine", THEIRS, [])
        case "saved":
            (host.files.state / "save/old.save").write_bytes(saved_state("mine", THEIRS))
    assert [host.codes(path) for path in paths] == [["shared-by-domain"]] * 2


def test_truncated_names_that_collide_are_shared(host: Host) -> None:
    """libvirt cuts names in dumps and memory directories: two phones with the same beginning cannot be told apart by them."""
    long = "a-very-long-name-of-a-phone"
    host.files.define(f"{long}-1", uuid=MINE)
    dump, ram = host.file(f"{host.files.state}/dump/1-{long[:20]}{DUMPED}"), host.file(f"{host.files.state}/ram/1-{long[:20]}/pc.ram")
    assert (host.codes(dump), host.codes(ram)) == ([], [])
    host.files.define(f"{long}-2", uuid=THEIRS)
    assert (host.codes(dump), host.codes(ram)) == (["shared-by-domain"], ["shared-by-domain"])


def test_former_names_of_snapshots_count(host: Host) -> None:
    """What stands under a name that only a snapshot still tells of is the phone's, as long as nobody else claims that name."""
    both(host)
    host.files.snapshot("before", MINE, [])
    log = host.file(f"{host.files.logs}/before.log")
    assert host.codes(log) == []
    host.files.define("before", uuid=THEIRS)
    assert host.codes(log) == ["shared-by-domain"]


def test_a_name_never_becomes_a_pattern(host: Host) -> None:
    """A phone called `*` has no other's dumps."""
    host.files.define("*", uuid=MINE)
    (host.files.config / "mine.xml").unlink(missing_ok=True)
    assert host.codes(host.file(f"{host.files.state}/dump/1-other{DUMPED}")) == ["ambiguous-base"]
    assert host.codes(host.file(f"{host.files.state}/dump/1-*{DUMPED}")) == []


def test_places_follow_qemu_conf(host: Host) -> None:
    """Dumps and memory directories are where qemu.conf says; what stands at the compiled-in places then is nobody's."""
    both(host)
    (host.files.base / "etc/libvirt/qemu.conf").write_text(f'auto_dump_path = "{host.files.base}/dumps"\nmemory_backing_dir = "{host.files.base}/mem"\n')
    moved = [host.file(f"dumps/1-mine{DUMPED}"), host.file("mem/libvirt/qemu/4-mine/ram-node0")]
    assert [host.codes(path) for path in moved] == [[], []]
    assert host.codes(host.file(f"{host.files.state}/dump/1-mine{DUMPED}")) == ["ambiguous-base"]
    (host.files.base / "etc/libvirt/qemu.conf").write_text("memory_backing_dir = 7\n")
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)


def test_tpm_state_goes_by_the_directory_of_the_uuid(host: Host) -> None:
    """Everything in swtpm/UUID is the phone's; another's directory is another's, defined or not, whatever an XML says."""
    own, other = (host.file(f"{host.files.swtpm}/{uuid}/tpm2/tpm2-00.permall") for uuid in (MINE, THEIRS))
    lock, gone = host.file(f"{host.files.swtpm}/{MINE}/tpm2/.lock"), host.file(f"{host.files.swtpm}/{KEY}/tpm2/tpm2-00.permall")
    both(host, devices=TPM, log=other)
    assert [host.codes(path) for path in (own, lock)] == [[], []]
    assert [host.codes(path) for path in (other, gone)] == [["ambiguous-base", "shared-by-domain"]] * 2


def test_a_snapshots_memory_file_needs_the_uuid_inside(host: Host) -> None:
    """The XML names it; whose RAM it is tells only the header, as with a managed save."""
    memory = image(host.images / "s1.mem")
    both(host)
    host.files.snapshot("mine", MINE, [], memory=memory)
    claims = host.claims()
    assert judged(claims, memory) == []
    assert claims.needs_uuid_inside(memory)
    assert not claims.needs_uuid_inside(f"{host.files.logs}/mine.log")
    host.files.snapshot("theirs", THEIRS, [], memory=memory)
    assert host.codes(memory) == ["shared-by-domain"]


# -- secrets


def encrypted(path: str, secret: str) -> str:
    inside = f"<encryption format='luks'>{secret}</encryption>"
    return f"<disk type='file' device='disk'><driver type='raw'/><source file='{path}'>{inside}</source><target dev='vda'/></disk>"


@pytest.mark.parametrize("named", ["uuid", "usage", "volume"])
def test_a_secret_of_this_phones_alone(host: Host, named: str) -> None:
    """Named by the phone's XML, by UUID or usage, or made for the phone's own volume."""
    disk = image(host.images / "d.luks")
    value = host.files.secret(KEY, usage=("volume", disk))
    secret = {"uuid": f"<secret type='passphrase' uuid='{KEY.upper()}'/>", "usage": f"<secret type='passphrase' usage='{disk}'/>", "volume": ""}[named]
    both(host, devices=encrypted(disk, secret))
    assert host.codes(value) == []
    assert host.codes(value, THEIRS) == ["ambiguous-base", "shared-by-domain"]
    assert host.codes(value.with_suffix(".xml")) == ["ambiguous-base"]


@pytest.mark.parametrize("how", ["uuid", "without dashes", "usage", "pool", "qemu.conf", "volume"])
def test_a_secret_that_anybody_else_mentions_stays(host: Host, how: str) -> None:
    """A neighbour by UUID or usage, a pool that logs in with it, the host's own TLS key: not erased."""
    disk, usage = image(host.images / "d.luks"), ("volume", "phones") if how != "volume" else ("volume", str(host.images / "d.luks"))
    value = host.files.secret(KEY, usage=usage)
    host.files.define("mine", uuid=MINE, devices=encrypted(disk, f"<secret type='passphrase' uuid='{KEY}'/>"))
    assert host.codes(value) == []
    match how:
        case "uuid":
            host.files.define("theirs", uuid=THEIRS, devices=f"<disk type='network'><auth><secret type='ceph' uuid='{KEY}'/></auth></disk>")
        case "without dashes":
            host.files.define("theirs", uuid=THEIRS, devices=f"<disk type='network'><auth><secret type='ceph' uuid='{KEY.replace('-', '')}'/></auth></disk>")
        case "usage":
            host.files.define("theirs", uuid=THEIRS, devices="<disk type='network'><auth><secret type='ceph' usage='phones'/></auth></disk>")
        case "pool":
            host.files.pool("p", "/srv").write_text(
                f"<pool type='rbd'><name>p</name><source><auth><secret uuid='{KEY}'/></auth></source><target><path>/x</path></target></pool>"
            )
        case "qemu.conf":
            (host.files.base / "etc/libvirt/qemu.conf").write_text(f'vnc_tls_x509_secret_uuid = "{KEY}"\n')
        case "volume":
            host.files.define("theirs", [Disk(disk, "raw")], uuid=THEIRS)
    assert host.codes(value) == ["shared-by-domain"]


def test_no_xml_makes_a_key_a_console_log(host: Host) -> None:
    """In libvirt's own places only the grant of that very kind counts."""
    value = host.files.secret(KEY)
    document = host.file(f"{host.files.state}/snapshot/gone/s.txt")
    save = host.file(f"{host.files.state}/save/gone.save")
    for path in (str(value), document, save):
        host.files.define("mine", [Disk(path, "raw")], uuid=MINE, log=path)
        assert host.codes(path) == ["ambiguous-base"]


# -- media, templates, directories, shares


@pytest.mark.parametrize(
    ("name", "expected"), [(f"seed-{MINE}.iso", []), (f"{MINE}/seed.iso", []), ("seed.iso", ["ambiguous-base"]), (f"{THEIRS}.iso", ["ambiguous-base"])]
)
@pytest.mark.parametrize("device", ["cdrom", "disk"])
def test_a_medium_that_bears_the_uuid_is_the_phones_seed(host: Host, device: str, name: str, expected: list[str]) -> None:
    """A CD or read-only disk is shared install media unless its name, or its directory's, has this phone's UUID."""
    (host.images / name).parent.mkdir(exist_ok=True)
    medium = image(host.images / name)
    both(host, disks=[Disk(medium, "raw", device, "<readonly/>")])
    assert host.codes(medium) == expected


@pytest.mark.parametrize(("extra", "expected"), [("", []), ("<readonly/>", ["ambiguous-base"])])
def test_a_memory_device_that_is_a_file_is_the_phones_own(host: Host, extra: str, expected: list[str]) -> None:
    """NVDIMM: what the guest writes there stays in the file; one that it may only read is as any medium."""
    pmem = image(host.images / "pstore.img")
    both(host, devices=f"<memory model='nvdimm'><source><path>{pmem}</path></source>{extra}<target><size unit='MiB'>1</size></target></memory>")
    assert host.codes(pmem) == expected


def test_a_medium_classified_private_is_erased_and_golden_never(host: Host) -> None:
    """What people settled, for exactly that file: another file under the same path is not meant."""
    medium = image(host.images / "seed.iso")
    both(host, disks=[Disk(medium, "raw", "cdrom")])
    assert host.codes(medium) == ["ambiguous-base"]
    record = host.files.classify(medium, "private")
    assert host.codes(medium) == []
    record.unlink()
    host.files.classify(medium, "golden")
    assert host.codes(medium) == ["ambiguous-base", "protected-root"]
    Path(medium).unlink()
    (host.images / "filler").touch()
    assert host.codes(image(host.images / "seed.iso")) == ["ambiguous-base"]


def test_a_disk_classified_golden_is_never_erased(host: Host) -> None:
    """Under no name: the record's file is meant, wherever the XML finds it."""
    disk = image(host.images / "d.raw")
    both(host, disks=[Disk(disk, "raw")])
    host.files.classify(disk, "golden")
    assert host.codes(disk) == ["protected-root"]


def test_a_classification_that_cannot_be_read_refuses_everything(host: Host) -> None:
    """It may be the one that says golden."""
    both(host, disks=[Disk(image(host.images / "d.raw"), "raw")])
    host.files.classify(host.images / "d.raw", "golden").write_text("{")
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)


def test_extra_artefacts_by_template(host: Host) -> None:
    """What root's configuration says is the phone's, by UUID; by path alone, so that a renamed file is still meant."""
    host.rules = {"extra_artefacts": (f"{host.files.base}/backup/{{uuid}}/**", f"{host.files.base}/export/vm-{{uuid}}-*.ova")}
    both(host)
    own = [host.file(f"backup/{MINE}/a/b/c"), host.file(f"export/vm-{MINE}-1.ova")]
    stray = [host.file(f"backup/{KEY}/a"), host.file(f"export/vm-{MINE}-1.ova.asc"), host.file(f"export/sub/vm-{MINE}-1.ova"), host.file("export/vm-mine.ova")]
    claims = host.claims()
    assert [judged(claims, path) for path in own] == [[], []]
    assert judged(claims, stray[0]) == ["ambiguous-base", "shared-by-domain"]
    assert {tuple(judged(claims, path)) for path in stray[1:]} == {("ambiguous-base",)}
    bounds = [claims.bound(path) for path in [*own, *stray]]
    assert [bound and bound.directory for bound in bounds] == [f"{host.files.base}/backup/{MINE}", f"{host.files.base}/export", None, None, None, None]
    assert [claims.grants(f"{host.files.base}/backup/{MINE}/renamed")[0].why] == ["extra"]
    host.files.define("theirs", uuid=THEIRS, log=own[0])
    assert host.codes(own[0]) == ["shared-by-domain"]


def test_a_phones_own_directory_by_its_profile(host: Host) -> None:
    """Listed files are the phone's, kept and unlisted ones are not; a listed seed is its own medium."""
    profile = host.files.base / "profile.toml"
    profile.write_text(
        'file = [{ glob = "golden.img", kind = "disk-image", keep = true }, { glob = "*.img", kind = "disk-image" },'
        ' { glob = "*.iso", kind = "install-media" }]\n'
    )
    profile.chmod(0o600)
    host.rules = {"phone_directories": (f"{host.files.base}/phones/{{uuid}}",), "profile": str(profile)}
    disk, seed, kept, unknown = (host.file(f"phones/{MINE}/{name}") for name in ("d.img", "s.iso", "golden.img", "what"))
    both(host, disks=[Disk(disk, "raw"), Disk(seed, "raw", "cdrom"), Disk(kept, "raw")])
    assert [host.codes(path) for path in (disk, seed, kept, unknown)] == [[], [], ["ambiguous-base"], ["ambiguous-base"]]
    profile.chmod(0o666)
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)


def share(folder: Path | str, extra: str = "") -> str:
    return f"<filesystem type='mount'><source dir='{folder}'/><target dir='x'/>{extra}</filesystem>"


def test_files_in_a_directory_that_the_guest_may_write(host: Host) -> None:
    """All of them, at any depth; not of a read-only one, not outside the roots, and never of a root itself."""
    folder, readonly, outside = host.images / "share", host.images / "readonly", host.files.base / "outside"
    for each in (folder, readonly, outside):
        (each / "a/b").mkdir(parents=True)
    both(host, devices=share(folder) + share(readonly, "<readonly/>") + share(outside) + share(host.images))
    paths = [image(each / "a/b/file") for each in (folder, readonly, outside)]
    assert [host.codes(path) for path in (*paths, image(host.images / "top"))] == [[], ["ambiguous-base"], ["ambiguous-base"], ["ambiguous-base"]]


@pytest.mark.parametrize("theirs", ["same", "above", "beneath", "a disk in it", "through a link"])
def test_a_shared_directory_that_overlaps_a_neighbours_is_not_this_phones(host: Host, theirs: str) -> None:
    """In either direction, and if another domain has but one file in it: none of it is erased."""
    folder = host.images / "phones/share"
    (folder / "sub").mkdir(parents=True)
    (host.images / "link").symlink_to(folder)
    own = image(folder / "file")
    both(host, devices=share(folder))
    assert host.codes(own) == []
    devices = {
        "same": share(folder),
        "above": share(folder.parent),
        "beneath": share(folder / "sub"),
        "a disk in it": f"<disk type='file'><driver type='raw'/><source file='{folder}/sub/d.raw'/><target dev='vda'/></disk>",
        "through a link": share(host.images / "link"),
    }[theirs]
    host.files.define("theirs", uuid=THEIRS, devices=devices)
    assert host.codes(own) == ["shared-by-domain"]


# -- bases


def chained(host: Host, *, fmt: str = "qcow2") -> tuple[str, str, str]:
    base = image(host.images / "base.raw")
    middle = overlay(host.images / "middle.qcow2", base)
    top = overlay(host.images / "top.qcow2", middle, "qcow2")
    both(host, disks=[Disk(top, fmt)])
    return top, middle, base


def test_a_private_base_needs_both_the_chain_and_the_classification(host: Host) -> None:
    """A header alone grants nothing, nor does a record alone."""
    top, middle, base = chained(host)
    stray = image(host.images / "stray.raw")
    assert [host.codes(path) for path in (top, middle, base)] == [[], ["ambiguous-base"], ["ambiguous-base"]]
    host.files.classify(base, "private")
    host.files.classify(stray, "private")
    assert [host.codes(path) for path in (top, middle, base, stray)] == [[], ["ambiguous-base"], [], ["ambiguous-base"]]
    host.files.define("theirs", [Disk(middle)], uuid=THEIRS)
    assert host.codes(base) == ["shared-by-domain"]


@pytest.mark.parametrize("how", ["raw", "two formats", "no backing format", "another's disk"])
def test_a_chain_that_is_not_stated_proves_nothing(host: Host, how: str) -> None:
    """A guest can write a qcow2 header into its raw disk, and a base into a header without format."""
    _top, _middle, base = chained(host)
    host.files.classify(base, "private")
    top = str(host.images / "top.qcow2")
    match how:
        case "raw":
            host.files.define("mine", [Disk(top, "raw")], uuid=MINE)
        case "two formats":
            host.files.snapshot("mine", MINE, [Disk(top, "raw")])
        case "no backing format":
            top = overlay(host.images / "x.qcow2", base, "")
            host.files.define("mine", [Disk(top)], uuid=MINE)
        case "another's disk":
            host.files.define("mine", [Disk(top, "qcow2", "disk", "<readonly/>")], uuid=MINE)
    assert host.codes(base) == ["ambiguous-base"]


def test_a_base_stays_known_while_its_overlays_are_erased(host: Host) -> None:
    """Within one connection by what was found before; after a crash by the classification, once the overlay's header is gone."""
    top, middle, base = chained(host)
    host.files.classify(base, "private")
    before = host.claims()
    Path(top).write_bytes(os.urandom(65536))
    Path(middle).unlink()
    assert judged(host.claims(previous=before), base) == []
    assert host.codes(base) == ["ambiguous-base"]
    assert host.codes(base, resumed=True) == []
    host.files.define("theirs", [Disk(base, "raw")], uuid=THEIRS)
    assert host.codes(base, resumed=True) == ["shared-by-domain"]


def test_a_resumed_wipe_with_its_chain_whole_grants_no_other_base(host: Host) -> None:
    """Where the phone's own chain still stands and does not lead to a private base, that base is not this phone's."""
    chained(host)
    stray = image(host.images / "stray.raw")
    host.files.classify(stray, "private")
    assert host.codes(stray, resumed=True) == ["ambiguous-base"]


def remember(host: Host, uuid: str, *paths: str) -> None:
    folder = host.files.base / "var/lib/wiped/remembered"
    folder.mkdir(parents=True, exist_ok=True)
    found = [(path, os.stat(path)) for path in paths]
    files = [{"kind": "backing-private", "path": path, "device": each.st_dev, "inode": each.st_ino, "local": True} for path, each in found]
    (folder / f"{uuid}.json").write_text(json.dumps({"uuid": uuid, "files": files}))
    (folder / f"{uuid}.json").chmod(0o600)


def test_a_resumed_wipe_goes_by_what_was_remembered_of_a_base(host: Host) -> None:
    """With the chain gone, a base that was another phone's stays, and so does one that is not in this phone's own record."""
    top, _middle, base = chained(host)
    host.files.classify(base, "private")
    Path(top).write_bytes(os.urandom(65536))
    assert host.codes(base, resumed=True) == []
    remember(host, THEIRS, base)
    assert host.codes(base, resumed=True) == ["ambiguous-base"]
    remember(host, THEIRS)
    remember(host, MINE, base)
    assert host.codes(base, resumed=True) == []
    remember(host, MINE, top)
    assert host.codes(base, resumed=True) == ["ambiguous-base"]


# -- golden pools and protected roots


def test_golden_pools_are_protected_places(host: Host) -> None:
    """Their directories count like protected roots; one that nobody knows refuses everything."""
    disk = image(host.images / "d.raw")
    both(host, disks=[Disk(disk, "raw")])
    host.rules = {"golden_pools": ("golden",)}
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)
    host.files.pool("golden", str(host.images))
    assert host.claims().protected.of(disk) == str(host.images)


def test_a_protected_root_that_was_replaced_by_a_link_refuses_everything(host: Host) -> None:
    """What it protected may stand under any name now."""
    golden = host.files.base / "golden"
    golden.mkdir()
    both(host)
    host.rules = {"protected": (str(golden),)}
    host.claims()
    golden.rmdir()
    golden.symlink_to(host.images)
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("symlink",)


def test_a_pool_with_two_definitions_resolves_nothing_of_ours_and_everything_of_theirs(host: Host) -> None:
    """A running pool and its definition may differ: in doubt a volume is not ours, and each may be the neighbour's."""
    volume = "<disk type='volume' device='disk'><driver type='raw'/><source pool='p' volume='d.raw'/><target dev='vda'/></disk>"
    here, there = image(host.images / "d.raw"), host.file("there/d.raw")
    host.files.pool("p", str(host.images))
    both(host, devices=volume)
    assert host.codes(here) == []
    (host.files.base / "run/libvirt/storage").mkdir(parents=True)
    (host.files.base / "run/libvirt/storage/p.xml").write_text(
        f"<poolstate><pool type='dir'><name>p</name><target><path>{host.files.base}/there</path></target></pool></poolstate>"
    )
    assert [host.codes(path) for path in (here, there)] == [["ambiguous-base"]] * 2
    host.files.define("mine", [Disk(here, "raw")], uuid=MINE)
    host.files.define("theirs", uuid=THEIRS, devices=volume)
    assert host.codes(here) == ["shared-by-domain"]


# -- block devices, without any


def block(number: str = "7:0", backing: str = "", claims: tuple[tuple[str, str], ...] = ()) -> BlockFacts:
    return BlockFacts(number, "loop", 1 << 20, backing_file=backing, claims=claims, stacked=(number,))


def device_codes(claims: Claims, location: str, facts: BlockFacts, aliases: frozenset[FileIdentity] = frozenset()) -> list[str]:
    return sorted(str(refusal.code) for refusal in claims.judge_device(location, facts, aliases))


def test_a_device_must_be_a_disk_of_type_block_and_unclaimed(host: Host) -> None:
    """As the XML says; whatever sysfs tells of others who have it stands against it; so does a neighbour who reaches the file behind it."""
    behind = image(host.images / "behind.img")
    disk = "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/mine'/><target dev='vda'/></disk>"
    both(host, devices=disk, disks=[Disk("/dev/vg/file", "raw")])
    claims = host.claims()
    found = os.stat(behind)
    alias = frozenset({FileIdentity(found.st_dev, found.st_ino)})
    assert device_codes(claims, "/dev/vg/mine", block()) == []
    assert device_codes(claims, "/dev/vg/file", block()) == ["not-regular"]
    assert device_codes(claims, "/dev/vg/mine", block(claims=(("mounted", "at /srv"), ("in-use", "held")))) == ["in-use", "mounted"]
    assert device_codes(claims, "/dev/vg/mine", block(backing=behind), alias) == []
    host.files.define("theirs", [Disk(behind, "raw")], uuid=THEIRS)
    assert device_codes(host.claims(), "/dev/vg/mine", block(backing=behind), alias) == ["shared-by-domain"]


def test_a_neighbours_volume_that_may_be_any_device_protects_all_devices(host: Host) -> None:
    """An iSCSI pool names its volumes by unit: which device that is, the pool's file does not say."""
    host.files.pool("p", "/dev/disk/by-path").write_text("<pool type='iscsi'><name>p</name><target><path>/dev/disk/by-path</path></target></pool>")
    volume = "<disk type='volume' device='disk'><driver type='raw'/><source pool='p' volume='unit:0:0:1'/><target dev='vda'/></disk>"
    disk = "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/mine'/><target dev='vda'/></disk>"
    file = image(host.images / "d.raw")
    both(host, devices=disk, disks=[Disk(file, "raw")])
    assert device_codes(host.claims(), "/dev/vg/mine", block()) == []
    host.files.define("theirs", uuid=THEIRS, devices=volume)
    assert device_codes(host.claims(), "/dev/vg/mine", block()) == ["unreadable"]
    assert host.codes(file) == []


def test_a_volume_of_a_logical_pool_is_a_device_of_ours(host: Host) -> None:
    """Pool and volume make /dev/VG/LV; that is then a disk that may be a device."""
    host.files.pool("vg", "/dev/vg").write_text("<pool type='logical'><name>vg</name><target><path>/dev/vg</path></target></pool>")
    both(host, devices="<disk type='volume' device='disk'><driver type='raw'/><source pool='vg' volume='lv'/><target dev='vda'/></disk>")
    claims = host.claims()
    assert device_codes(claims, "/dev/vg/lv", block()) == []
    assert [refusal.code for refusal in claims.judge("/dev/vg/lv", FileIdentity(0xFD00, 0))] == []


# -- bounds


def test_bounds_are_as_narrow_as_the_way_in_which_a_file_is_ours(host: Host) -> None:
    """A root first; else the directory of that kind; what an XML names by path else only libvirt's state and logs; a root itself is beneath nothing."""
    logs, state, swtpm = str(host.files.logs), str(host.files.state), str(host.files.swtpm)
    both(host, disks=[Disk(str(host.images / "d"), "raw"), Disk("/elsewhere/d", "raw")], nvram=f"{state}/nvram/x", log=f"{logs}/x.log")
    claims = host.claims()
    where = {
        f"{host.images}/d": str(host.images),
        "/elsewhere/d": None,
        f"{state}/nvram/x": state,
        f"{logs}/x.log": logs,
        f"{logs}/mine.log": logs,
        f"{swtpm}/{MINE}/a": swtpm,
        f"{swtpm}/{THEIRS}/a": None,
        f"{state}/dump/mine.core": f"{state}/dump",
        str(host.images): None,
    }
    found = {path: claims.bound(path) for path in where}
    assert {path: bound and bound.directory for path, bound in found.items()} == where
