"""Mass mistakes on the whole product: real libvirt, real helpers, real images, the operator's own commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import ACCOUNT, APPROVER, OPERATOR, OTHER_APPROVER, STAFF, Product, instant, phone_with_disk, settle

MANY = 8
BLOCKS = 64
YEARS = 400 * 86_400


@pytest.fixture
def stage(private_libvirt, raw_fs):
    """(filesystem, markers, MANY defined phones, product that is not started)."""
    libvirt: PrivateLibvirt = private_libvirt
    directory, golden = libvirt.workdir / "phones", libvirt.workdir / "golden"
    directory.mkdir()
    golden.mkdir()
    filesystem, markers = raw_fs("ext4", at=directory), Markers()
    base = images.golden(golden / "base.qcow2")
    phones = [phone_with_disk(libvirt, directory, name=f"phone-{n}", markers=markers, blocks=BLOCKS, base=base) for n in range(1, MANY + 1)]
    product = Product(libvirt, [directory], [golden], safety="breaker_max = 5\nbreaker_ratio = 0.2", api=STAFF)
    yield filesystem, markers, phones, product
    product.stop()


def seen(product, count):
    """All domains are known."""
    wait_for(lambda: len(product.get("/v1/phones")["items"]) == count, "the phones to be seen")


@pytest.mark.long
def test_too_many_phones_due_at_once_are_wiped_only_after_two_people_released_them(stage, tmp_path):
    """None is touched, the product says why and what to do, over a kill too; one person releases nothing; after the release every one of them is wiped."""
    filesystem, markers, phones, product = stage
    product.start()
    seen(product, MANY)
    now = datetime.now(UTC)
    term = {"starts": instant(now - timedelta(hours=1)), "expires": instant(now + timedelta(seconds=12))}
    feed = tmp_path / "feed.jsonl"
    feed.write_text("\n".join(json.dumps({"phone": phone.uuid, "account": "acct", "subscription": "sub", **term}) for phone in phones))
    product.ctl("subscriptions", "import", str(feed))
    wait_for(lambda: product.get("/v1/breaker")["open"], "the breaker to open")
    product.kill()
    product.start()
    settle(4)
    breaker = product.ask("breaker", "status")
    assert sorted(item["uuid"] for item in breaker["phones"]) == sorted(phone.uuid for phone in phones)
    assert "wipectl breaker release --reason" in breaker["why"]
    assert product.metrics()["wiped_breaker_open"] == 1
    assert "breaker" in product.ask("explain", phones[0].uuid)["flags"]
    assert [product.wipes(phone.uuid) for phone in phones] == [[]] * MANY
    assert all(phone.exists() for phone in phones)
    assert not list((product.state_dir / "fence").glob("*-*"))
    release = ("breaker", "release", "--reason", "the customer left", "--fingerprint", breaker["fingerprint"])
    assert product.ctl(*release, check=False).returncode == 3
    (waiting,) = product.ask("approvals", "list")["items"]
    assert (waiting["kind"], waiting["fingerprint"], waiting["needed"]) == ("breaker-release", breaker["fingerprint"], 2)  # root asked
    for person, code in ((OPERATOR, 77), ((), 77), (APPROVER, 0)):
        assert product.ctl("approvals", "approve", waiting["id"], person=person, check=False).returncode == code
    assert product.ask("breaker", "status")["open"] is True
    assert [product.wipes(phone.uuid) for phone in phones] == [[]] * MANY
    product.ctl("approvals", "approve", waiting["id"], person=OTHER_APPROVER)
    assert product.ask("breaker", "status")["open"] is False
    for phone in phones:
        assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
    assert product.metrics()["wiped_breaker_open"] == 0
    product.stop()
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0


@pytest.mark.long
@pytest.mark.parametrize("down", [False, True])
def test_a_clock_that_jumps_four_hundred_days_wipes_nothing(stage, tmp_path, *, down):
    """While the daemon runs, or while it was down on a host that was up: nothing is begun, no phone looks due, held and protected ones that run go on, nobody
    is told of an end; the operator is told, and sets it right."""
    filesystem, markers, phones, product = stage
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    command = ("tests.lab.jumping_daemon", str(ahead))
    product.start(*command)
    seen(product, MANY)
    for phone in phones[:3]:
        product.bind(phone.uuid, ends_in=30 * 86_400)
    wait_for(lambda: product.ask("status")["phones"]["active"] == 3, "the terms to be concluded")
    product.libvirt.virsh("start", phones[0].uuid)
    product.ctl("protect", phones[0].uuid, "--reason", "kept")
    if down:
        product.stop()
    ahead.write_text(str(YEARS))
    if down:
        product.start(*command)
    wait_for(lambda: product.ask("status")["clock_suspect"], "the next look at the clock")
    status = product.ask("status")
    assert (status["clock_suspect"], "wipectl clock trust --reason" in status["faults"]["clock"]) == (True, True)
    settle(4)
    assert product.ask("explain", phones[0].uuid)["reasons"][0]["code"] == "clock-suspect"
    assert (product.ask("status")["phones"]["active"], phones[0].state) == (3, "running")
    assert [product.wipes(phone.uuid) for phone in phones] == [[]] * MANY
    assert product.metrics()["wiped_clock_suspect"] == 1
    ahead.write_text("0")
    assert product.ask("clock", "trust", "--reason", "set back by hand")["was"] == "stepped"
    wait_for(lambda: product.ask("status")["phones"]["active"] == 3, "the terms to run again")
    product.stop()
    product.libvirt.virsh("destroy", phones[0].uuid)
    filesystem.unmount()
    assert filesystem.count(markers.prefix) >= MANY * BLOCKS


@pytest.mark.long
def test_an_import_that_names_other_accounts_stops_nobody_and_one_mistake_is_taken_back(stage, tmp_path):
    """K4 and K3, by commands and configuration alone: running phones stay on behind the breaker; one that is stopped runs again when it is corrected, and when
    it is resumed; a policy that is gone stops none and lifts no fence."""
    filesystem, markers, phones, product = stage
    libvirt = product.libvirt
    product.start()
    seen(product, MANY)
    for phone in phones:
        product.bind(phone.uuid, ends_in=30 * 86_400)
        libvirt.virsh("start", phone.uuid)
    terms = {item["phone"]: item for item in product.get("/v1/subscriptions")["items"]}

    def line(phone, account):
        term = terms[phone.uuid]
        return json.dumps({"phone": phone.uuid, "account": account, **{key: term[key] for key in ("subscription", "starts", "expires")}})

    (feed := tmp_path / "feed.jsonl").write_text("\n".join(line(phone, "ANOTHER") for phone in phones))
    assert product.ctl("subscriptions", "import", str(feed), check=False).returncode == 3
    wait_for(lambda: product.get("/v1/breaker")["open"], "the breaker to open")
    settle(3)
    assert [phone.state for phone in phones] == ["running"] * MANY
    feed.write_text("\n".join(line(phone, ACCOUNT) for phone in phones))
    product.ctl("subscriptions", "import", str(feed))
    wait_for(lambda: not product.get("/v1/breaker")["phones"], "nobody to wait behind it")
    product.agreed("breaker", "release", "--reason", "corrected")
    feed.write_text(line(phones[0], "ANOTHER"))
    assert product.ctl("subscriptions", "import", str(feed), check=False).returncode == 3
    wait_for(lambda: phones[0].state == "shut off", "the one to be stopped")
    product.ctl("suspend", phones[1].uuid, "--reason", "a leak?")
    wait_for(lambda: phones[1].state == "shut off", "the suspended one to be stopped")
    feed.write_text(line(phones[0], ACCOUNT))
    product.ctl("subscriptions", "import", str(feed))
    wait_for(lambda: phones[0].state == "running", "the corrected one to run again")
    product.ctl("resume", phones[1].uuid, "--reason", "none")
    wait_for(lambda: phones[1].state == "running", "the resumed one to run again")
    assert [phone.state for phone in phones] == ["running"] * MANY
    assert not list((product.state_dir / "fence").glob("*-*"))
    product.stop()
    for phone in phones:
        libvirt.virsh("destroy", phone.uuid)
    filesystem.unmount()
    assert filesystem.count(markers.prefix) >= MANY * BLOCKS
