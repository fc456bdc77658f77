"""Mass mistakes on the whole product: real libvirt, real helpers, real images, the operator's own commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import APPROVER, OPERATOR, OTHER_APPROVER, STAFF, Product, instant, phone_with_disk, settle

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
    """While the daemon runs, or while it was down on a host that was up: nothing is begun, the operator is told, and sets it right."""
    filesystem, markers, phones, product = stage
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    command = ("tests.lab.jumping_daemon", str(ahead))
    product.start(*command)
    seen(product, MANY)
    for phone in phones[:3]:
        product.bind(phone.uuid, ends_in=30 * 86_400)
    wait_for(lambda: product.ask("status")["phones"]["active"] == 3, "the terms to be concluded")
    if down:
        product.stop()
    ahead.write_text(str(YEARS))
    if down:
        product.start(*command)
    wait_for(lambda: product.ask("status")["phones"]["due"] == 3, "the phones to look due")
    wait_for(lambda: product.ask("status")["clock_suspect"], "the next look at the clock")
    status = product.ask("status")
    assert (status["clock_suspect"], "wipectl clock trust --reason" in status["faults"]["clock"]) == (True, True)
    assert product.ask("explain", phones[0].uuid)["reasons"][-1]["code"] == "clock-suspect"
    settle(4)
    assert [product.wipes(phone.uuid) for phone in phones] == [[]] * MANY
    assert product.metrics()["wiped_clock_suspect"] == 1
    ahead.write_text("0")
    assert product.ask("clock", "trust", "--reason", "set back by hand")["was"] == "stepped"
    wait_for(lambda: product.ask("status")["phones"]["active"] == 3, "the terms to run again")
    product.stop()
    filesystem.unmount()
    assert filesystem.count(markers.prefix) >= MANY * BLOCKS
