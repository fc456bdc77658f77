"""Every kind of thing that a phone leaves in files, on a raw filesystem: markers before, none after; a neighbour's things beside them keep theirs.

And forged plans for each kind: the eraser alone refuses, the victim's digest is unchanged.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.eraser_stage import SEED, Stage, digest, erase, prove, random_file, run, step
from tests.lab.libvirtfiles import Disk, LibvirtFiles, saved_state
from tests.lab.rawdevice import Markers, RawFilesystem
from tests.patience import Work
from wiped.erase.remove import apart_name, clear_apart, remove
from wiped.errors import HelperError, RefusedError
from wiped.model.inventory import ArtefactKind, LibvirtDirectories
from wiped.model.outcome import Evidence, Via
from wiped.storage.artefacts import ArtefactMap, map_artefact
from wiped.storage.direct import compare_ranges
from wiped.storage.kernel import identity_of
from wiped.storage.keystream import Keystream
from wiped.storage.paths import open_image
from wiped.wire.messages import Lock

RawFs = Callable[..., RawFilesystem]
MINE = "11111111-2222-3333-4444-555555555555"
THEIRS = "66666666-7777-8888-9999-000000000000"
KEYS = ("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee")
BLOCKS = 5


@pytest.fixture
def stage(scratch: Path) -> Stage:
    return Stage(scratch)


class Things:
    """Everything that two phones, `mine` and `theirs`, leave below `base`, each file with markers of its own."""

    def __init__(self, base: Path) -> None:
        self.images = base / "images"
        self.images.mkdir()
        self.files = LibvirtFiles(base / "libvirt")
        self.stage = Stage(base, self.images, self.files)
        self.marks: dict[str, Markers] = {}
        self.paths: dict[str, Path] = {}
        (base / "profile.toml").write_text('file = [{ glob = "*.img", kind = "disk-image" }, { glob = "logs/**", kind = "console-log" }]\n')
        (base / "profile.toml").chmod(0o600)
        self.stage.rules = dataclasses.replace(
            self.stage.rules,
            extra_artefacts=(f"{base}/backup/{{uuid}}/**",),
            phone_directories=(f"{base}/phones/{{uuid}}",),
            profile=str(base / "profile.toml"),
        )
        for name, uuid, key in (("mine", MINE, KEYS[0]), ("theirs", THEIRS, KEYS[1])):
            self._phone(base, name, uuid, key)

    def _phone(self, base: Path, name: str, uuid: str, key: str) -> None:
        state, libvirt = self.files.state, self.files.base
        share, bottom, top = self.images / f"share-{name}", self.images / f"{name}-base.raw", self.images / f"{name}.qcow2"
        places = {
            "swtpm": self.files.swtpm / uuid / "tpm2/tpm2-00.permall",
            "swtpm-log": libvirt / f"var/log/swtpm/libvirt/qemu/{name}-swtpm.log",
            "qemu-log": self.files.logs / f"{name}.log",
            "qemu-log-rotated": self.files.logs / f"{name}.log.1",
            "dump": state / f"dump/3-{name}-2026-01-02-03:04:05",
            "ram": state / f"ram/3-{name}/pc.ram",
            "seed": self.images / f"seed-{uuid}.iso",
            "share": share / "deep/down/file",
            "backup": base / f"backup/{uuid}/a/disk.bak",
            "directory": base / f"phones/{uuid}/userdata.img",
            "directory-log": base / f"phones/{uuid}/logs/x/kernel.log",
            "base": bottom,
        }
        for kind, path in places.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._marked(name, kind, path)
        memory = self.images / f"{name}.mem"
        memory.write_bytes(saved_state(name, uuid))
        self._marked(name, "memory", memory, at_block=2)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(bottom), str(top), "8M")
        self.paths[f"{name} overlay"] = top
        secret = self.files.secret(key, usage=("volume", str(top)), value=b"")
        secret.unlink()
        self._marked(name, "secret", secret)
        devices = (
            f"<filesystem type='mount'><driver type='virtiofs'/><source dir='{share}'/><target dir='s'/></filesystem>"
            "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
        )
        self.files.define(name, [Disk(str(top)), Disk(str(places["seed"]), "raw", "cdrom", "<readonly/>")], uuid=uuid, devices=devices)
        self.files.snapshot(name, uuid, [], memory=str(memory))
        self.files.classify(bottom, "private")

    def _marked(self, name: str, kind: str, path: Path, at_block: int = 0) -> None:
        markers = self.marks[f"{name} {kind}"] = Markers()
        markers.write(path, BLOCKS, at_block=at_block)
        self.paths[f"{name} {kind}"] = path

    def of(self, name: str) -> list[Path]:
        """Paths in the order of erasing: a private base last, when its overlay is gone already."""
        return sorted((path for key, path in self.paths.items() if key.startswith(f"{name} ")), key=lambda path: path.name.endswith("-base.raw"))


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
async def test_everything_is_gone_and_the_neighbours_is_not(kind: str, scratch: Path, raw_fs: RawFs) -> None:
    """Thirteen kinds of files of one phone in one plan; the same thirteen of its neighbour stand beside them, byte for byte."""
    base = scratch / "device"
    base.mkdir()
    device = raw_fs(kind, base)
    things = Things(base)
    device.unmount()
    before = {name: device.count(markers.prefix) for name, markers in things.marks.items()}
    device.mount(base)
    for name in ("mine", "theirs"):  # the device's number may be another one now
        things.files.classify(things.paths[f"{name} base"], "private")
    theirs = {path: digest(path) for path in things.of("theirs")}
    assert await things.stage.wipe(things.stage.request(MINE, "mine", things.of("mine"))) == ()
    assert [path for path in things.of("mine") if path.exists()] == []
    assert {path: digest(path) for path in things.of("theirs")} == theirs
    assert (things.files.secrets / f"{KEYS[0]}.xml").exists()  # libvirt's to remove
    assert (base / f"phones/{MINE}/logs/x").is_dir()  # empty directories stay
    device.unmount()
    after = {name: device.count(markers.prefix) for name, markers in things.marks.items()}
    assert before == dict.fromkeys(things.marks, BLOCKS)
    assert after == {name: 0 if name.startswith("mine ") else BLOCKS for name in things.marks}


async def test_each_kind_of_a_neighbours_is_refused(scratch: Path) -> None:
    """A plan over any one of the neighbour's files, whatever kind it claims to be: refused, and nothing is changed."""
    things = Things(scratch)
    before = {path: digest(path) for path in things.paths.values()}
    for path in things.of("theirs"):
        for kind in (ArtefactKind.DISK_IMAGE, ArtefactKind.EXTRA, ArtefactKind.BLOCK_DEVICE):
            codes = await things.stage.wipe(Lock("w", MINE, "mine", (step(path, kind=kind),)))
            assert codes, f"{path} as {kind}"
            if kind is not ArtefactKind.BLOCK_DEVICE:
                assert "ambiguous-base" in codes, f"{path}: {codes}"
    everything = things.stage.request(MINE, "mine", [*things.of("mine"), things.of("theirs")[0]])
    assert set(await things.stage.wipe(everything)) >= {"ambiguous-base", "shared-by-domain"}
    assert {path: digest(path) for path in things.paths.values()} == before


def interrupt_unlinking(request: Lock) -> None:
    """As three crashes leave it, one after the other: the directory just made; the file in it; the file gone, the directory there."""
    for number, each in enumerate(request.steps):
        folder = os.path.dirname(each.location)
        apart = os.path.join(folder, apart_name(each.rename_to))
        os.mkdir(apart, 0o700)
        if number % 3:
            os.rename(os.path.join(folder, each.rename_to), os.path.join(apart, each.rename_to))
        if number % 3 == 2:
            os.unlink(os.path.join(apart, each.rename_to))


def test_a_directory_that_is_not_plainly_ours_is_left(tmp_path: Path) -> None:
    """Another file in it, open to others, or a link by that name: nothing is taken away, and removing goes on beside it."""
    disk = tmp_path / "d"
    disk.write_bytes(b"x")
    identity, apart = identity_of(disk.stat()), tmp_path / apart_name("r")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        apart.mkdir(mode=0o700)
        (apart / "r").write_bytes(b"another")
        clear_apart(fd, "r", identity)
        assert (apart / "r").read_bytes() == b"another"
        (apart / "r").unlink()
        apart.chmod(0o770)
        clear_apart(fd, "r", identity)
        assert apart.is_dir()
        with open_image(str(tmp_path), str(disk), write=True, expected=identity, cross_mounts=True) as file:
            remove(file, "r", renamed=False)
        assert os.listdir(tmp_path) == [apart.name]
        apart.rmdir()
        apart.symlink_to(tmp_path)
        clear_apart(fd, "r", identity)
        assert apart.is_symlink()
    finally:
        os.close(fd)


@pytest.mark.parametrize("after", ["the first erasing", "the last renaming", "the unlinking"])
async def test_a_crash_in_the_middle_is_finished(scratch: Path, after: str) -> None:
    """A new eraser, with the overlay's header gone and files under their rename targets, takes every kind again, the private base too."""
    things = Things(scratch)
    request = things.stage.request(MINE, "mine", things.of("mine"))
    proofs: dict[str, Evidence] = {}
    digests: dict[str, str] = {}
    async with things.stage.eraser().session() as session:
        await session.lock(request)
        for each in request.steps:
            result = await erase(session, each)
            proofs[each.artefact_id], digests[each.artefact_id] = prove(each, result), result.digest_after
            if after == "the first erasing" and each.location.endswith("mine.qcow2"):
                break
    if after != "the first erasing":
        for each in request.steps:
            os.rename(each.location, os.path.join(os.path.dirname(each.location), each.rename_to))
    if after == "the unlinking":
        interrupt_unlinking(request)
    steps = tuple(dataclasses.replace(each, map_digest=digests.get(each.artefact_id, "")) for each in request.steps)
    again = dataclasses.replace(request, steps=steps, resumed=True)
    if after == "the first erasing":
        assert await things.stage.wipe(again) == ()
    else:
        async with things.stage.eraser().session() as session:
            answer = await session.lock(again)
            found = {each.artefact_id: each.status for each in answer.steps}
            assert set(found.values()) == ({"renamed", "missing"} if after == "the unlinking" else {"renamed"})
            for each in again.steps:
                if found[each.artefact_id] == "renamed":
                    await session.remove(each.artefact_id, proofs[each.artefact_id])
    assert [path for path in things.of("mine") if path.exists()] == []
    folders = [folder for folder in {path.parent for path in things.of("mine")} if folder.exists()]  # that of the UUID is gone
    assert [name for folder in folders for name in os.listdir(folder) if name.startswith(".wiped")] == []


# -- reflinked clones


def clone(scratch: Path, raw_fs: RawFs) -> tuple[RawFilesystem, Stage, Path, Path, Markers, Markers]:
    """On XFS: a golden image of 100 marked blocks under a protected root, and a clone of which 20 blocks were rewritten and 30 added."""
    base = scratch / "device"
    base.mkdir()
    device = raw_fs("xfs", base)
    (base / "images").mkdir()
    stage = Stage(base, base / "images", LibvirtFiles(base / "libvirt"))
    golden, disk = stage.golden / "golden.raw", stage.images / "d.raw"
    kept, private = Markers(), Markers()
    kept.write(golden, 100)
    run("cp", "--reflink=always", str(golden), str(disk))
    private.write(disk, 20, at_block=40)
    private.write(disk, 30, at_block=100)
    return device, stage, golden, disk, kept, private


def looked_at(stage: Stage, path: Path) -> ArtefactMap:
    fd = os.open(path, os.O_RDONLY)
    try:
        return map_artefact(fd, stage.rules, stage.files.directories)
    finally:
        os.close(fd)


async def test_of_a_reflinked_clone_the_private_extents_are_erased(scratch: Path, raw_fs: RawFs) -> None:
    """What the phone wrote is gone from the raw device; the golden image's digest is equal, and its blocks stay where they were."""
    device, stage, golden, disk, kept, private = clone(scratch, raw_fs)
    device.unmount()
    before = (device.count(kept.prefix), device.count(private.prefix))
    device.mount(scratch / "device")
    whole = digest(golden)
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request = stage.request(uuid, "p", [disk])
    seen = looked_at(stage, disk)
    assert (seen.extents.bytes, seen.golden, seen.reasons) == (50 * 4096, str(golden), ())
    async with stage.eraser().session() as session:
        await session.lock(request)
        one = request.steps[0]
        result = await session.erase(one.artefact_id, SEED, seen.digest, 1, lambda _done, _total: None)
        assert (result.reasons, result.bytes_overwritten, result.digest_after) == ((), 50 * 4096, seen.digest)
        assert digest(golden) == whole
        fd = os.open(disk, os.O_RDONLY | os.O_DIRECT)
        compared = compare_ranges(fd, seen.extents, Keystream(SEED, one.artefact_id, 1), physical=False)
        os.close(fd)
        await session.remove(one.artefact_id, Evidence(one.artefact_id, str(Via.FILE_ODIRECT), compared.bytes, compared.mismatches, seen.digest))
    assert (digest(golden), disk.exists()) == (whole, False)
    device.unmount()
    assert before == (100, 50)
    assert (device.count(kept.prefix), device.count(private.prefix)) == (100, 0)


async def test_blocks_shared_with_anything_else_stop_the_erasing(scratch: Path, raw_fs: RawFs) -> None:
    """A second clone holds the phone's own blocks: overwriting would leave them; nothing is written."""
    _device, stage, golden, disk, _kept, _private = clone(scratch, raw_fs)
    run("cp", "--reflink=always", str(disk), str(stage.outside / "copy.raw"))
    before = (digest(disk), digest(golden))
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request = stage.request(uuid, "p", [disk])
    async with stage.eraser().session() as session:
        await session.lock(request)
        result = await session.erase(request.steps[0].artefact_id, SEED, looked_at(stage, disk).digest, 1, lambda _done, _total: None)
        assert (result.reasons, result.bytes_overwritten) == (("extent-shared",), 0)
    assert (digest(disk), digest(golden)) == before


# -- forged plans


Forgery = tuple[Lock, Path, set[str]]


def bare(stage: Stage, *disks: Disk, devices: str = "") -> None:
    stage.files.define("mine", list(disks), uuid=MINE, devices=devices)
    stage.files.define("theirs", uuid=THEIRS)


def plan(stage: Stage, *paths: Path) -> Lock:
    return stage.request(MINE, "mine", list(paths))


def marked(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return random_file(path, 65536)


def a_link_in_the_shared_directory(stage: Stage) -> Forgery:
    victim = marked(stage.outside / "victim")
    share = stage.images / "share"
    share.mkdir()
    (share / "link").symlink_to(victim)
    bare(stage, devices=f"<filesystem type='mount'><source dir='{share}'/><target dir='x'/></filesystem>")
    return plan(stage, share / "link"), victim, {"symlink"}


def a_linked_directory_in_the_shared_directory(stage: Stage) -> Forgery:
    victim = marked(stage.outside / "sub/victim")
    share = stage.images / "share"
    share.mkdir()
    (share / "sub").symlink_to(victim.parent)
    bare(stage, devices=f"<filesystem type='mount'><source dir='{share}'/><target dir='x'/></filesystem>")
    return plan(stage, share / "sub/victim"), victim, {"symlink"}


def a_mount_in_the_shared_directory(stage: Stage) -> Forgery:
    victim = marked(stage.outside / "victim")
    at = stage.images / "share/sub"
    at.mkdir(parents=True)
    run("mount", "--bind", str(stage.outside), str(at))
    bare(stage, devices=f"<filesystem type='mount'><source dir='{at.parent}'/><target dir='x'/></filesystem>")
    return plan(stage, at / "victim"), victim, {"outside-roots"}


def a_hard_link_in_the_shared_directory(stage: Stage) -> Forgery:
    victim = marked(stage.outside / "victim")
    share = stage.images / "share"
    share.mkdir()
    os.link(victim, share / "file")
    bare(stage, devices=f"<filesystem type='mount'><source dir='{share}'/><target dir='x'/></filesystem>")
    return plan(stage, share / "file"), victim, {"hard-link"}


def a_file_in_a_readonly_shared_directory(stage: Stage) -> Forgery:
    victim = marked(stage.images / "media/apps.img")
    bare(stage, devices=f"<filesystem type='mount'><source dir='{victim.parent}'/><target dir='x'/><readonly/></filesystem>")
    return plan(stage, victim), victim, {"ambiguous-base"}


def the_root_shared_as_a_whole(stage: Stage) -> Forgery:
    victim = marked(stage.images / "orphan.raw")
    bare(stage, devices=f"<filesystem type='mount'><source dir='{stage.images}'/><target dir='x'/></filesystem>")
    return plan(stage, victim), victim, {"ambiguous-base"}


def the_configuration_shared(stage: Stage) -> Forgery:
    victim = marked(stage.files.secrets / "x.base64")
    stage.rules = dataclasses.replace(stage.rules, roots=(*stage.rules.roots, str(stage.files.base)))
    bare(stage, devices=f"<filesystem type='mount'><source dir='{stage.files.base}/etc'/><target dir='x'/></filesystem>")
    return plan(stage, victim), victim, {"ambiguous-base"}


def a_link_among_the_backups(stage: Stage) -> Forgery:
    victim = marked(stage.outside / "victim")
    folder = stage.base / "backup" / MINE
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(victim)
    stage.rules = dataclasses.replace(stage.rules, extra_artefacts=(f"{stage.base}/backup/{{uuid}}/**",))
    bare(stage)
    return plan(stage, folder / "link"), victim, {"symlink"}


def a_backup_directory_that_is_a_link(stage: Stage) -> Forgery:
    victim = marked(stage.outside / "victim")
    (stage.base / "backup").mkdir()
    (stage.base / "backup" / MINE).symlink_to(stage.outside)
    stage.rules = dataclasses.replace(stage.rules, extra_artefacts=(f"{stage.base}/backup/{{uuid}}/**",))
    bare(stage)
    return plan(stage, stage.base / "backup" / MINE / "victim"), victim, {"symlink"}


def a_tpm_directory_that_is_a_link(stage: Stage) -> Forgery:
    victim = marked(stage.files.swtpm / THEIRS / "tpm2/tpm2-00.permall")
    (stage.files.swtpm / MINE).symlink_to(stage.files.swtpm / THEIRS)
    bare(stage)
    return plan(stage, stage.files.swtpm / MINE / "tpm2/tpm2-00.permall"), victim, {"symlink"}


def a_dump_of_a_name_that_two_have(stage: Stage) -> Forgery:
    victim = marked(stage.files.state / "dump/4-mine-2026-01-02-03:04:05")
    bare(stage)
    stage.files.snapshot("mine", THEIRS, [])
    return plan(stage, victim), victim, {"shared-by-domain"}


def a_snapshots_memory_with_another_uuid_inside(stage: Stage) -> Forgery:
    victim = stage.images / "s.mem"
    victim.write_bytes(saved_state("gone", "99999999-2222-3333-4444-555555555555") + os.urandom(65536))
    bare(stage)
    stage.files.snapshot("mine", MINE, [], memory=str(victim))
    return plan(stage, victim), victim, {"shared-by-domain"}


def a_snapshots_memory_without_header(stage: Stage) -> Forgery:
    victim = marked(stage.images / "s.mem")
    bare(stage)
    stage.files.snapshot("mine", MINE, [], memory=str(victim))
    return plan(stage, victim), victim, {"unreadable"}


def a_secret_of_the_whole_host(stage: Stage) -> Forgery:
    victim = stage.files.secret(KEYS[0], value=os.urandom(100))
    (stage.files.base / "etc/libvirt/qemu.conf").write_text(f'default_tls_x509_secret_uuid = "{KEYS[0]}"\n')
    bare(stage, devices=f"<tpm model='tpm-crb'><backend type='emulator'><encryption secret='{KEYS[0]}'/></backend></tpm>")
    return plan(stage, victim), victim, {"shared-by-domain"}


def install_media(stage: Stage) -> Forgery:
    victim = marked(stage.images / "debian.iso")
    bare(stage, Disk(str(victim), "raw", "cdrom"))
    return plan(stage, victim), victim, {"ambiguous-base"}


def a_seed_that_a_neighbour_reads(stage: Stage) -> Forgery:
    victim = marked(stage.images / f"seed-{MINE}.iso")
    bare(stage, Disk(str(victim), "raw", "cdrom"))
    stage.files.define("theirs", [Disk(str(victim), "raw", "cdrom")], uuid=THEIRS)
    return plan(stage, victim), victim, {"shared-by-domain"}


def a_disk_classified_golden(stage: Stage) -> Forgery:
    victim = marked(stage.images / "d.raw")
    bare(stage, Disk(str(victim), "raw"))
    stage.files.classify(victim, "golden")
    return plan(stage, victim), victim, {"protected-root"}


def a_disk_in_a_golden_pool(stage: Stage) -> Forgery:
    victim = marked(stage.images / "golden-pool/d.raw")
    bare(stage, Disk(str(victim), "raw"))
    stage.files.pool("g", str(victim.parent))
    stage.rules = dataclasses.replace(stage.rules, golden_pools=("g",))
    return plan(stage, victim), victim, {"protected-root"}


def a_private_base_of_nobodys_chain(stage: Stage) -> Forgery:
    victim = marked(stage.images / "base.raw")
    bare(stage, Disk(str(marked(stage.images / "d.raw")), "raw"))
    stage.files.classify(victim, "private")
    return dataclasses.replace(plan(stage, victim), resumed=True), victim, {"ambiguous-base"}


def a_header_forged_in_a_raw_disk(stage: Stage) -> Forgery:
    victim = marked(stage.images / "base.raw")
    disk = stage.images / "d.raw"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(victim), str(disk))
    bare(stage, Disk(str(disk), "raw"))
    stage.files.classify(victim, "private")
    return plan(stage, disk, victim), victim, {"ambiguous-base"}


def a_vanished_phone(stage: Stage) -> Forgery:
    victim = marked(stage.images / "d.raw")
    return Lock("w", MINE, "mine", (step(victim),), vanished=True), victim, {"drift", "ambiguous-base"}


def a_present_phone_called_vanished(stage: Stage) -> Forgery:
    victim = marked(stage.images / "d.raw")
    bare(stage, Disk(str(victim), "raw"))
    return Lock("w", MINE, "mine", (step(victim),), vanished=True), victim, {"drift"}


FORGERIES = [
    a_link_in_the_shared_directory,
    a_linked_directory_in_the_shared_directory,
    a_mount_in_the_shared_directory,
    a_hard_link_in_the_shared_directory,
    a_file_in_a_readonly_shared_directory,
    the_root_shared_as_a_whole,
    the_configuration_shared,
    a_link_among_the_backups,
    a_backup_directory_that_is_a_link,
    a_tpm_directory_that_is_a_link,
    a_dump_of_a_name_that_two_have,
    a_snapshots_memory_with_another_uuid_inside,
    a_snapshots_memory_without_header,
    a_secret_of_the_whole_host,
    install_media,
    a_seed_that_a_neighbour_reads,
    a_disk_classified_golden,
    a_disk_in_a_golden_pool,
    a_private_base_of_nobodys_chain,
    a_header_forged_in_a_raw_disk,
    a_vanished_phone,
    a_present_phone_called_vanished,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_a_forged_plan_is_refused(stage: Stage, forge: Callable[[Stage], Forgery]) -> None:
    """The right code, and the victim keeps its bytes and its name."""
    request, victim, codes = forge(stage)
    before = digest(victim)
    found = set(await stage.wipe(request))
    assert digest(victim) == before
    if request.vanished:  # how a vanished phone's plan is judged is `remembered.py`'s: refused it must be
        assert found & codes
    else:
        assert found == codes


# -- trimming, and large plans


async def test_trimming_is_done_at_places_of_ours_only(scratch: Path, raw_fs: RawFs) -> None:
    """Under a root or in libvirt's own directories; elsewhere, through a link, or under a protected root it is refused. Freed blocks are gone after it."""
    base = scratch / "device"
    base.mkdir()
    device = raw_fs("ext4", base)
    (base / "images/sub").mkdir(parents=True)
    stage = Stage(base, base / "images", LibvirtFiles(base / "libvirt"))
    markers = Markers()
    markers.write(stage.images / "freed", 1000)
    (stage.images / "freed").unlink()
    os.sync()
    (stage.images / "link").symlink_to(stage.outside)
    assert device.count(markers.prefix) == 1000
    for place, code in ((stage.outside, "outside-roots"), ("/", "outside-roots"), (stage.golden, "protected-root"), (stage.images / "link", "symlink")):
        async with stage.eraser().session() as session:
            with pytest.raises(RefusedError) as caught:
                await session.trim(str(place))
            assert caught.value.codes == (code,)
    async with stage.eraser().session() as session:
        answer = await session.trim(str(stage.images / "sub"))
        assert (answer.method, answer.detail) == ("fitrim", "")
        assert (await session.trim(str(stage.files.state))).method == "fitrim"
    device.unmount()
    assert device.count(markers.prefix) == 0


async def test_trimming_waits_for_the_removals(stage: Stage) -> None:
    """While an artefact is held that is still to be removed, nothing is trimmed: its old blocks would not be among the freed ones."""
    disk = marked(stage.images / "d.raw")
    bare(stage, Disk(str(disk), "raw"))
    request = plan(stage, disk)
    async with stage.eraser(trim=False).session() as session:
        await session.lock(request)
        with pytest.raises(HelperError, match="after all"):
            await session.trim(str(stage.images))
        result = await erase(session, request.steps[0])
        await session.remove(request.steps[0].artefact_id, prove(request.steps[0], result))
        assert (await session.trim(str(stage.images))).method == ""


async def large_plan(scratch: Path, count: int, others: int) -> Work:
    """Lock a plan of `count` files of a shared directory on a host of `others` other phones, then erase and remove fifty. The work of both."""
    stage = Stage(scratch)
    share = stage.images / "share"
    paths = [share / f"{number % 100}" / f"{number}" for number in range(count)]
    for number in range(100):
        (share / str(number)).mkdir(parents=True)
    for path in paths:
        path.write_bytes(b"x" * 4096)
    for number in range(others):
        share_of_another = f"<filesystem type='mount'><source dir='/nowhere/{number}'/></filesystem>"
        stage.files.define(f"other-{number}", [Disk(f"/nowhere/{number}.raw", "raw")], devices=share_of_another)
    stage.files.define("mine", uuid=MINE, devices=f"<filesystem type='mount'><source dir='{share}'/><target dir='x'/></filesystem>")
    os.sync()
    request = plan(stage, *paths)
    with Work() as work:
        async with stage.eraser().session() as session:
            await session.lock(request)
            for each in request.steps[:50]:
                result = await erase(session, each)
                await session.remove(each.artefact_id, prove(each, result))
    assert sum(path.exists() for path in paths) == count - 50
    return work


@pytest.mark.long
async def test_a_large_plan_is_little_work(scratch: Path) -> None:
    """Two thousand files of a shared directory, on a host of 100 other phones. (Ten thousand: tests/long.)"""
    assert (await large_plan(scratch, 2_000, 100)).units < 2_000


async def test_erasing_does_not_ask_for_everything_each_time(stage: Stage) -> None:
    """A document edited in place is seen after a moment, one that is new at once."""
    disks = [marked(stage.images / name) for name in ("a", "b", "c")]
    bare(stage, *(Disk(str(disk), "raw") for disk in disks))
    request = plan(stage, *disks)
    neighbour = stage.files.config / "theirs.xml"
    async with stage.eraser().session() as session:
        await session.lock(request)
        await erase(session, request.steps[0])
        with neighbour.open("r+") as file:
            text = file.read().replace("<devices>", f"<devices><serial type='file'><source path='{disks[1]}'/></serial>")
            file.seek(0)
            file.write(text)
        await asyncio.sleep(0.3)
        with pytest.raises(RefusedError) as caught:
            await erase(session, request.steps[1])
        assert caught.value.codes == ("shared-by-domain",)
        stage.files.define("new", [Disk(str(disks[2]), "raw")])
        with pytest.raises(RefusedError):
            await erase(session, request.steps[2])


def test_directories_of_the_stage_are_not_the_machines(stage: Stage) -> None:
    """Every place that the eraser is told lies below the test's own directory."""
    machine = dataclasses.asdict(LibvirtDirectories())
    mine = dataclasses.asdict(stage.files.directories)
    assert [key for key in machine if key != "records_uid" and mine[key] == machine[key]] == []
