"""The daemon among real helpers and a real libvirt that come and go."""

from __future__ import annotations

import time

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, alive, wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import Product, StagedPhone, phone_with_disk

BLOCKS = 256


@pytest.fixture
def stage(private_libvirt, raw_fs):
    """(libvirt, filesystem of the phones, markers, phone, product that is not started)."""
    libvirt: PrivateLibvirt = private_libvirt
    phones, golden = libvirt.workdir / "phones", libvirt.workdir / "golden"
    phones.mkdir()
    golden.mkdir()
    filesystem, markers = raw_fs("ext4", at=phones), Markers()
    base = images.golden(golden / "base.qcow2")
    phone = phone_with_disk(libvirt, phones, markers=markers, blocks=BLOCKS, base=base)
    product = Product(libvirt, [phones], [golden], stop_timeout="4s")
    yield libvirt, filesystem, markers, phone, product
    product.stop()


def seen(product, phone) -> None:
    """The daemon has found the domain by itself."""
    wait_for(lambda: [item for item in product.get("/v1/phones")["items"] if item["uuid"] == phone.uuid], "the phone to be seen")


def gone(filesystem, markers) -> None:
    """Nothing is left on the raw device."""
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0


SELDOM = [pytest.param(step, marks=pytest.mark.long) for step in ("fenced", "verifying", "verdict")]


@pytest.mark.parametrize("step", ["erase-progress", *SELDOM])
def test_a_stop_in_the_middle_is_clean_and_the_next_start_finishes(stage, step):
    """SIGTERM at a step: exit status 0 within seconds, no helper left behind, the phone fenced; the next start ends `clear`."""
    libvirt, filesystem, markers, phone, product = stage
    product.start("tests.lab.stopping_daemon", step)
    product.bind(phone.uuid)
    process = product.process
    assert process is not None
    assert process.wait(60) == 0
    product.process = None
    assert (product.state_dir / "fence" / phone.uuid).exists()
    wait_for(lambda: not [pid for pid in libvirt.pids() if alive(pid) and {b"eraser", b"observer"} & set(_command(pid).split(b"\0"))], "helpers to be gone")
    product.start()
    wipe = product.wait_for_wipe(phone.uuid)
    assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
    assert len(product.wipes(phone.uuid)) == 1
    gone(filesystem, markers)


def test_a_daemon_without_libvirt_answers_and_catches_up(stage):
    """Started while libvirtd is down: it answers and says so; when libvirtd comes the phone is found, falls due and is wiped."""
    libvirt, filesystem, markers, phone, product = stage
    libvirt.stop_libvirtd()
    product.start()
    status = product.ask("status")
    assert (status["libvirt_up"], "libvirt" in status["faults"]) == (False, True)
    libvirt.start_libvirtd()
    seen(product, phone)
    product.bind(phone.uuid)
    assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    gone(filesystem, markers)


@pytest.mark.long
def test_a_libvirtd_that_hangs_while_a_guest_is_stopped_only_costs_time(stage):
    """Frozen for some seconds in the middle of the stop: nothing is concluded from its silence; then the phone is stopped and wiped."""
    libvirt, filesystem, markers, phone, product = stage
    libvirt.virsh("start", phone.uuid)
    product.start()
    product.bind(phone.uuid)
    product.wait_for_wipe(phone.uuid, ("fenced",))
    libvirt.sigstop()
    time.sleep(8)
    libvirt.sigcont()
    wipe = product.wait_for_wipe(phone.uuid)
    assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
    assert not phone.exists()
    gone(filesystem, markers)


def test_a_transient_domain_is_refused_and_left_running(stage):
    """Stopping it would take its definition away: refused, alarmed, running."""
    libvirt, _, _, phone, product = stage
    libvirt.virsh("undefine", phone.uuid)
    libvirt.create(phone.xml)
    product.start()
    seen(product, phone)
    product.bind(phone.uuid)
    wait_for(lambda: "unsupported-artefact" in [reason["code"] for reason in product.explain(phone.uuid)["reasons"]], "the refusal to be shown")
    assert phone.state == "running"
    assert phone.disks["vda"][0].exists()
    assert product.metrics()['wiped_refusals_total{code="unsupported-artefact"}'] >= 1


@pytest.mark.long
def test_phones_on_two_filesystems_are_wiped_side_by_side(stage, raw_fs):
    """Six phones due at once on two filesystems: all clear, each certified once, nothing left on either device."""
    libvirt, filesystem, markers, phone, product = stage
    other = libvirt.workdir / "more"
    other.mkdir()
    second, its_markers = raw_fs("ext4", at=other), Markers()
    base = libvirt.workdir / "golden" / "base.qcow2"
    phones: list[StagedPhone] = [phone]
    for number in range(2, 7):
        directory, marks = (libvirt.workdir / "phones", markers) if number % 2 else (other, its_markers)
        phones.append(phone_with_disk(libvirt, directory, name=f"phone-{number}", markers=marks, blocks=64, base=base))
    product = Product(libvirt, [libvirt.workdir / "phones", other], [base.parent], hook=False)
    with product:
        for each in phones:
            product.bind(each.uuid, ends_in=3)
        wipes = [product.wait_for_wipe(each.uuid) for each in phones]
        assert {(wipe["state"], wipe["outcome"]) for wipe in wipes} == {("released", "clear")}
        assert len({wipe["certificate_id"] for wipe in wipes}) == 6
        assert product.metrics()['wiped_phones{state="released"}'] == 6
    gone(second, its_markers)
    gone(filesystem, markers)


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""
