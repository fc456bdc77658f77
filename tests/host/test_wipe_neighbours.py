"""Who must not be touched: the neighbour over the same golden image, the renewed phone, the running one until its time."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab import images
from tests.lab.rawdevice import Markers
from tests.lab.stage import ACCOUNT, Product, instant, phone_with_disk, settle


def two_phones(libvirt, raw_fs):
    """(phones directory's filesystem, golden image, first phone, second phone with its markers)."""
    phones, golden_dir = libvirt.workdir / "phones", libvirt.workdir / "golden"
    phones.mkdir()
    golden_dir.mkdir()
    filesystem = raw_fs("ext4", at=phones)
    golden = images.golden(golden_dir / "base.qcow2")
    first = phone_with_disk(libvirt, phones, name="phone-1", markers=Markers(), blocks=256, base=golden)
    second = phone_with_disk(libvirt, phones, name="phone-2", markers=Markers(), blocks=256, base=golden)
    return filesystem, golden, first, second


def test_two_phones_over_one_golden_image(private_libvirt, raw_fs):
    """Wiping one leaves the other running throughout and the golden image bit-identical; wiping the last one too."""
    _, golden, first, second = two_phones(private_libvirt, raw_fs)
    digest = images.digest(golden)
    private_libvirt.virsh("start", second.uuid)
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent], stop_timeout="2s") as product:
        product.bind(second.uuid, ends_in=3600)
        product.bind(first.uuid)
        wipe = product.wait_for_wipe(first.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
        assert second.state == "running"
        assert images.digest(golden) == digest
        assert private_libvirt.virsh("suspend", second.uuid).returncode == 0
        assert private_libvirt.virsh("resume", second.uuid).returncode == 0
        third = phone_with_disk(private_libvirt, private_libvirt.workdir / "phones", name="phone-3", markers=Markers(), blocks=16, base=golden)
        product.bind(third.uuid)
        assert product.wait_for_wipe(third.uuid)["outcome"] == "clear"
        assert images.digest(golden) == digest
        assert second.state == "running"


def test_the_last_phone_over_a_golden_image(private_libvirt, raw_fs):
    """With nobody else over it the protected golden image stays, bit by bit; without protection the wipe refuses as ambiguous."""
    _, golden, first, second = two_phones(private_libvirt, raw_fs)
    private_libvirt.virsh("undefine", second.uuid)
    digest = images.digest(golden)
    with Product(private_libvirt, [private_libvirt.workdir / "phones", golden.parent]) as product:
        product.bind(first.uuid)
        found = product.wait_for_state(first.uuid, "due")
        settle(2)
        plan = product.ask("plan", first.uuid, check=False)
        assert {item["code"] for item in plan["refusals"]} == {"ambiguous-base"}
        assert found["state"] == "due"
        assert first.disks["vda"][0].exists()
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent]) as product:
        assert product.wait_for_wipe(first.uuid)["outcome"] == "clear"
    assert images.digest(golden) == digest


@pytest.mark.long
def test_a_running_phone_is_stopped_and_wiped(private_libvirt, raw_fs):
    """A running domain (its firmware ignores ACPI) is stopped hard after the configured time, and wiped."""
    filesystem, golden, first, _ = two_phones(private_libvirt, raw_fs)
    private_libvirt.virsh("start", first.uuid)
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent], stop_timeout="2s") as product:
        product.bind(first.uuid)
        wipe = product.wait_for_wipe(first.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
        assert not first.exists()
    assert filesystem.mount_point is not None


@pytest.mark.long
def test_a_renewal_in_grace_is_honoured(private_libvirt, raw_fs):
    """Renewed in grace: nothing is fenced, stopped or written."""
    _, golden, first, _ = two_phones(private_libvirt, raw_fs)
    private_libvirt.virsh("start", first.uuid)
    disk = first.disks["vda"][0]
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent], grace="20s") as product:
        product.bind(first.uuid, subscription="sub-a")
        product.wait_for_state(first.uuid, "grace")
        product.bind(first.uuid, subscription="sub-b", ends_in=3600)
        settle(22)
        assert product.explain(first.uuid)["state"] in ("active", "notice")
        assert product.wipes(first.uuid) == []
        assert first.state == "running"
        assert disk.exists()


def test_a_renewal_during_the_slow_shutdown_is_honoured(private_libvirt, raw_fs):
    """Renewed while the guest is being asked to power off: the wipe is called off, the fence lifted, the phone runs, its bytes are as they were."""
    _, golden, first, _ = two_phones(private_libvirt, raw_fs)
    digest = images.digest(first.disks["vda"][0])
    private_libvirt.virsh("start", first.uuid)
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent], stop_timeout="30s") as product:
        product.bind(first.uuid, subscription="sub-a")
        product.wait_for_wipe(first.uuid, ("fenced",))
        product.bind(first.uuid, subscription="sub-b", ends_in=3600)
        wipe = product.wait_for_wipe(first.uuid, ("cancelled",))
        assert wipe["outcome"] in (None, "")
        assert product.wait_for_state(first.uuid, "active", "notice")["phone"]["generation"] == 1
        assert first.state == "running"
        assert not (product.state_dir / "fence" / first.uuid).exists()
        private_libvirt.virsh("destroy", first.uuid)
        assert images.digest(first.disks["vda"][0]) == digest


def test_an_active_phone_is_refused_by_hand(private_libvirt, raw_fs):
    """A manual wipe of an active phone, and one with the wrong name, exit with 3 and change nothing."""
    _, golden, first, _ = two_phones(private_libvirt, raw_fs)
    digest = images.digest(first.disks["vda"][0])
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent]) as product:
        product.bind(first.uuid, ends_in=3600)
        refused = product.ctl("wipe", first.uuid, "--reason", "test", "--confirm", "phone-1", check=False)
        assert refused.returncode == 3
        assert "subscription-active" in refused.stderr + refused.stdout
        wrong = product.ctl("wipe", first.uuid, "--reason", "test", "--confirm", "phone-9", check=False)
        assert wrong.returncode == 3
        assert "wrong-confirmation" in wrong.stderr + wrong.stdout
        settle(2)
    assert images.digest(first.disks["vda"][0]) == digest


def test_a_manual_wipe_in_grace(private_libvirt, raw_fs):
    """An operator wipes a phone in grace: the command waits, shows the outcome and exits with 0."""
    _, golden, first, _ = two_phones(private_libvirt, raw_fs)
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent], grace="24h") as product:
        product.bind(first.uuid)
        product.wait_for_state(first.uuid, "grace")
        done = product.ctl("wipe", "phone-1", "--reason", "customer asked", "--ticket", "T-1", "--confirm", "phone-1", "--wait")
        assert done.returncode == 0
        wipe = product.wipes(first.uuid)[0]
        assert (wipe["outcome"], wipe["trigger"]["kind"]) == ("clear", "manual")


def test_another_account_on_an_unwiped_phone_is_refused_and_fenced(private_libvirt, raw_fs):
    """`generation-occupied`: the record is refused, the phone fenced, its data kept."""
    _, golden, first, _ = two_phones(private_libvirt, raw_fs)
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent]) as product:
        product.bind(first.uuid, ends_in=3600)
        now = datetime.now(UTC)
        refused = product.ctl(
            "subscriptions", "set", first.uuid, "--account", "somebody.else@example.org", "--subscription", "sub-z",
            "--starts", instant(now), "--expires", instant(now + timedelta(hours=1)), check=False,
        )  # fmt: skip
        assert refused.returncode == 3
        assert "generation-occupied" in refused.stderr + refused.stdout
        settle(3)
        assert "fenced" in product.explain(first.uuid)["flags"]
        assert private_libvirt.virsh("start", first.uuid, check=False).returncode != 0
        assert first.disks["vda"][0].exists()


def test_the_account_reference_is_nowhere(private_libvirt, raw_fs):
    """After a whole life the account reference and the free-text reason are in no file of the state directory, no log line, no metric, no certificate."""
    _, golden, first, _ = two_phones(private_libvirt, raw_fs)
    secret = "because Alice moved to Wonderland"
    with Product(private_libvirt, [private_libvirt.workdir / "phones"], [golden.parent], grace="24h") as product:
        product.bind(first.uuid)
        product.wait_for_state(first.uuid, "grace")
        product.ctl("wipe", "phone-1", "--reason", secret, "--confirm", "phone-1", "--wait")
        certificate = product.ctl("certificates", "get", product.wipes(first.uuid)[0]["certificate_id"]).stdout
        metrics = str(product.metrics())
        product.stop()
        names = [ACCOUNT, ACCOUNT.split("@", maxsplit=1)[0], secret, "Wonderland"]
        searched = 0
        for path in [*product.state_dir.rglob("*"), product.log]:
            if path.is_file():
                searched += 1
                data = path.read_bytes()
                assert not any(name.encode() in data for name in names), path
        assert searched > 3
        assert not any(name in certificate + metrics for name in names)
    assert os.path.exists(golden)
