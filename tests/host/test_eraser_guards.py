"""Forged plans: every one names something that must not be erased. The eraser alone refuses, and the victim keeps every byte.

`Stage.wipe` goes on to erase and remove whatever it could lock, so that a missing guard shows as destroyed bytes, not only as another code.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage, digest, erase, identity, new_uuid, random_file, run, step
from tests.lab.libvirtfiles import Disk
from wiped.errors import RefusedError
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.wire.messages import Lock


@pytest.fixture
def stage(scratch: Path) -> Stage:
    return Stage(scratch)


def phone(stage: Stage, name: str) -> tuple[str, Path]:
    """A phone with one disk of its own."""
    disk = random_file(stage.images / f"{name}.img")
    return stage.files.define(name, [Disk(str(disk), "raw")]), disk


async def test_without_forgery_the_phones_own_disk_is_wiped(stage: Stage) -> None:
    """The control: the same calls do destroy and remove a disk that may be."""
    uuid, disk = phone(stage, "mine")
    assert await stage.wipe(stage.request(uuid, "mine", [disk])) == ()
    assert not disk.exists()
    assert list(stage.images.iterdir()) == []


Forgery = tuple[Lock, Path, set[str]]


def neighbours_disk(stage: Stage) -> Forgery:
    uuid, _ = phone(stage, "mine")
    _, theirs = phone(stage, "theirs")
    return stage.request(uuid, "mine", [theirs]), theirs, {"shared-by-domain", "ambiguous-base"}


def neighbours_disk_as_other_kind(stage: Stage) -> Forgery:
    uuid, _ = phone(stage, "mine")
    _, theirs = phone(stage, "theirs")
    forged = step(theirs, kind=ArtefactKind.MEMORY_IMAGE)
    return Lock("w", uuid, "mine", (forged,)), theirs, {"shared-by-domain", "ambiguous-base"}


def golden_base(stage: Stage) -> Forgery:
    golden = random_file(stage.golden / "golden.raw")
    top = stage.images / "top.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(golden), str(top))
    uuid = stage.files.define("mine", [Disk(str(top))])
    return stage.request(uuid, "mine", [top, golden]), golden, {"protected-root", "ambiguous-base"}


def base_named_by_a_header_only(stage: Stage) -> Forgery:
    base = random_file(stage.images / "base.raw")
    top = stage.images / "top.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(top))
    uuid = stage.files.define("mine", [Disk(str(top))])
    return stage.request(uuid, "mine", [top, base]), base, {"ambiguous-base"}


def base_of_a_neighbours_chain(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    top = stage.images / "top.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(top))
    stage.files.define("theirs", [Disk(str(top))])
    return stage.request(uuid, "mine", [disk]), disk, {"shared-by-domain"}


def disk_of_a_running_transient_neighbour(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    stage.files.status("theirs", new_uuid(), [Disk(str(disk), "raw")])
    return stage.request(uuid, "mine", [disk]), disk, {"shared-by-domain"}


def protected_root(stage: Stage) -> Forgery:
    disk = random_file(stage.golden / "mine.raw")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw")])
    return stage.request(uuid, "mine", [disk]), disk, {"protected-root"}


def outside_the_roots(stage: Stage) -> Forgery:
    disk = random_file(stage.outside / "mine.raw")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw")])
    return stage.request(uuid, "mine", [disk]), disk, {"outside-roots"}


def out_by_dots(stage: Stage) -> Forgery:
    disk = random_file(stage.outside / "mine.raw")
    path = f"{stage.images}/../outside/mine.raw"
    uuid = stage.files.define("mine", [Disk(path, "raw")])
    return stage.request(uuid, "mine", [path]), disk, {"outside-roots"}


def out_by_a_linked_directory(stage: Stage) -> Forgery:
    disk = random_file(stage.outside / "mine.raw")
    (stage.images / "link").symlink_to(stage.outside)
    path = stage.images / "link" / "mine.raw"
    uuid = stage.files.define("mine", [Disk(str(path), "raw")])
    return stage.request(uuid, "mine", [path]), disk, {"symlink"}


def symlink(stage: Stage) -> Forgery:
    disk = random_file(stage.images / "real.raw")
    path = stage.images / "link.raw"
    path.symlink_to(disk)
    uuid = stage.files.define("mine", [Disk(str(path), "raw")])
    return stage.request(uuid, "mine", [path]), disk, {"symlink"}


def hard_link(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    os.link(disk, stage.outside / "another-name")
    return stage.request(uuid, "mine", [disk]), disk, {"hard-link"}


def bind_mount_beneath_the_root(stage: Stage) -> Forgery:
    disk = random_file(stage.outside / "mine.raw")
    at = stage.images / "bound"
    at.mkdir()
    run("mount", "--bind", str(stage.outside), str(at))
    uuid = stage.files.define("mine", [Disk(str(at / "mine.raw"), "raw")])
    return stage.request(uuid, "mine", [at / "mine.raw"]), disk, {"outside-roots"}


def bind_mount_of_the_golden_images(stage: Stage) -> Forgery:
    disk = random_file(stage.golden / "golden.raw")
    at = stage.images / "bound"
    at.mkdir()
    run("mount", "--bind", str(stage.golden), str(at))
    uuid = stage.files.define("mine", [Disk(str(at / "golden.raw"), "raw")])
    return stage.request(uuid, "mine", [at / "golden.raw"]), disk, {"outside-roots", "protected-root"}


def pipe(stage: Stage) -> Forgery:
    path = stage.images / "pipe"
    os.mkfifo(path)
    uuid = stage.files.define("mine", [Disk(str(path), "raw")])
    return stage.request(uuid, "mine", [path]), path, {"not-regular"}


def device_node(stage: Stage) -> Forgery:
    victim = random_file(stage.outside / "disk.img")
    loop = run("losetup", "-f", "--show", str(victim)).strip()
    path = stage.images / "node"
    found = os.stat(loop)
    os.mknod(path, found.st_mode, found.st_rdev)
    run("losetup", "-d", loop)
    uuid = stage.files.define("mine", [Disk(str(path), "raw")])
    return stage.request(uuid, "mine", [path]), victim, {"not-regular"}


def another_identity(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    request = stage.request(uuid, "mine", [disk])
    disk.rename(stage.outside / "moved")
    random_file(disk)
    return request, disk, {"identity-changed"}


def retained(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    return stage.request(uuid, "mine", [disk], retained=(identity(disk),)), disk, {"ambiguous-base"}


def readonly_media(stage: Stage) -> Forgery:
    disk = random_file(stage.images / "media.iso")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw", "cdrom", "<readonly/>")])
    return stage.request(uuid, "mine", [disk]), disk, {"ambiguous-base"}


def shareable(stage: Stage) -> Forgery:
    disk = random_file(stage.images / "cluster.raw")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw", extra="<shareable/>")])
    return stage.request(uuid, "mine", [disk]), disk, {"shareable-disk"}


def rename_onto_a_neighbour(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    _, theirs = phone(stage, "theirs")
    return Lock("w", uuid, "mine", (step(disk, rename_to=theirs.name),)), theirs, {"identity-changed"}


def the_same_file_twice(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    return stage.request(uuid, "mine", [disk, disk]), disk, {"drift"}


def the_same_artefact_twice(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    other = random_file(stage.images / "second.raw")
    return Lock("w", uuid, "mine", (step(disk, "a"), step(other, "a"))), disk, {"drift"}


def too_many(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    steps = tuple(step(f"{disk}-{number}", identity=FileIdentity(1, number)) for number in range(10_001))
    return Lock("w", uuid, "mine", steps), disk, {"drift"}


def unknown_phone(stage: Stage) -> Forgery:
    _, disk = phone(stage, "mine")
    return stage.request(new_uuid(), "mine", [disk]), disk, {"drift", "shared-by-domain", "ambiguous-base"}


def another_phones_name(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    phone(stage, "theirs")
    return stage.request(uuid, "theirs", [disk]), disk, {"drift"}


def neighbours_saved_state(stage: Stage) -> Forgery:
    uuid, _ = phone(stage, "mine")
    theirs, _ = phone(stage, "theirs")
    save = stage.files.saved("theirs", theirs, memory=os.urandom(65536))
    return stage.request(uuid, "mine", [save]), save, {"shared-by-domain", "ambiguous-base"}


def a_former_domains_saved_state(stage: Stage) -> Forgery:
    uuid, _ = phone(stage, "mine")
    save = stage.files.saved("mine", new_uuid(), memory=os.urandom(65536))
    return stage.request(uuid, "mine", [save]), save, {"shared-by-domain"}


def a_former_domains_saved_state_resumed(stage: Stage) -> Forgery:
    request, save, codes = a_former_domains_saved_state(stage)
    return dataclasses.replace(request, resumed=True), save, codes


def a_saved_state_without_header(stage: Stage) -> Forgery:
    uuid, _ = phone(stage, "mine")
    save = random_file(stage.files.state / "save" / "mine.save")
    return stage.request(uuid, "mine", [save]), save, {"unreadable"}


def libvirts_own_configuration(stage: Stage) -> Forgery:
    uuid, _ = phone(stage, "mine")
    victim = stage.files.config / "mine.xml"
    return stage.request(uuid, "mine", [victim]), victim, {"outside-roots", "ambiguous-base"}


def a_neighbour_that_cannot_be_read(stage: Stage) -> Forgery:
    uuid, disk = phone(stage, "mine")
    (stage.files.config / "theirs.xml").write_text("<domain><na")
    return stage.request(uuid, "mine", [disk]), disk, {"unreadable"}


FORGERIES = [
    neighbours_disk,
    neighbours_disk_as_other_kind,
    golden_base,
    base_named_by_a_header_only,
    base_of_a_neighbours_chain,
    disk_of_a_running_transient_neighbour,
    protected_root,
    outside_the_roots,
    out_by_dots,
    out_by_a_linked_directory,
    symlink,
    hard_link,
    bind_mount_beneath_the_root,
    bind_mount_of_the_golden_images,
    pipe,
    device_node,
    another_identity,
    retained,
    readonly_media,
    shareable,
    rename_onto_a_neighbour,
    the_same_file_twice,
    the_same_artefact_twice,
    too_many,
    unknown_phone,
    another_phones_name,
    neighbours_saved_state,
    a_former_domains_saved_state,
    a_former_domains_saved_state_resumed,
    a_saved_state_without_header,
    libvirts_own_configuration,
    a_neighbour_that_cannot_be_read,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_a_forged_plan_is_refused(stage: Stage, forge: Callable[[Stage], Forgery]) -> None:
    """The code is the right one, and the victim and every other image keep their bytes and names."""
    request, victim, codes = forge(stage)
    watched = [path for path in (victim, *stage.images.iterdir(), *stage.golden.iterdir()) if path.is_file() and not path.is_symlink()]
    before = {path: digest(path) for path in watched}
    assert set(await stage.wipe(request)) == codes
    assert {path: digest(path) for path in watched} == before


@pytest.mark.parametrize("name", ["../outside/victim", "/etc/x", "..", ".", "", "a/b", "x" * 300, "new\nline"])
async def test_a_rename_target_is_a_plain_name(stage: Stage, name: str) -> None:
    """Nothing is renamed out of its directory."""
    uuid, disk = phone(stage, "mine")
    before = digest(disk)
    one = dataclasses.replace(step(disk), rename_to=name)
    assert await stage.wipe(Lock("w", uuid, "mine", (one,))) == ("outside-roots",)
    assert digest(disk) == before


async def test_every_refusal_is_told_not_only_the_first(stage: Stage) -> None:
    """A plan with three faults on three files comes back with all of them, and nothing is locked."""
    uuid, disk = phone(stage, "mine")
    _, theirs = phone(stage, "theirs")
    linked = random_file(stage.images / "linked.raw")
    os.link(linked, stage.outside / "second")
    stage.files.define("mine", [Disk(str(disk), "raw"), Disk(str(linked), "raw")], uuid=uuid)
    async with stage.eraser().session() as session:
        with pytest.raises(RefusedError, match=r"theirs\.img.*linked\.raw") as caught:
            await session.lock(stage.request(uuid, "mine", [disk, theirs, linked]))
    assert set(caught.value.codes) == {"shared-by-domain", "ambiguous-base", "hard-link"}


async def test_all_or_none_is_locked(stage: Stage) -> None:
    """One image in use refuses the plan, and the free one is free again; the same connection may ask again."""
    uuid, disk = phone(stage, "mine")
    second = random_file(stage.images / "second.raw")
    stage.files.define("mine", [Disk(str(disk), "raw"), Disk(str(second), "raw")], uuid=uuid)
    request = stage.request(uuid, "mine", [disk, second])
    async with stage.eraser().session() as session:
        with second.open("rb"), pytest.raises(RefusedError) as caught:
            await session.lock(request)
        assert caught.value.codes == ("in-use",)
        assert subprocess.run(["qemu-io", "-f", "raw", "-c", "write 0 512", str(disk)], check=False, capture_output=True).returncode == 0
        answer = await session.lock(request)
        assert [each.status for each in answer.steps] == ["locked", "locked"]
        locked = subprocess.run(["qemu-io", "-f", "raw", "-c", "read 0 512", str(disk)], check=False, capture_output=True, text=True)
        assert locked.returncode != 0
        assert "lock" in locked.stderr


async def test_a_neighbour_defined_after_the_lock_stops_the_erasing(stage: Stage) -> None:
    """libvirt's files are asked again before the first byte; the disk stays as it was."""
    uuid, disk = phone(stage, "mine")
    request = stage.request(uuid, "mine", [disk])
    before = digest(disk)
    async with stage.eraser().session() as session:
        await session.lock(request)
        stage.files.define("theirs", [Disk(str(disk), "raw")])
        with pytest.raises(RefusedError) as caught:
            await erase(session, request.steps[0])
    assert caught.value.codes == ("shared-by-domain",)
    assert digest(disk) == before


async def test_a_swap_after_the_lock_stops_the_erasing(stage: Stage) -> None:
    """Another file under the name, or a second name for ours, between lock and erase: nothing is written."""
    for trick in ("swap", "link"):
        uuid, disk = phone(stage, trick)
        request = stage.request(uuid, trick, [disk])
        before = digest(disk)
        async with stage.eraser().session() as session:
            await session.lock(request)
            aside = stage.outside / trick
            if trick == "swap":
                disk.rename(aside)
                random_file(disk)
            else:
                os.link(disk, aside)
            victim = digest(disk)
            with pytest.raises(RefusedError) as caught:
                await erase(session, request.steps[0])
        assert caught.value.codes == (("identity-changed",) if trick == "swap" else ("hard-link",))
        assert (digest(aside), digest(disk)) == (before, victim)
