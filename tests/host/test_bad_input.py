"""Bad input on the whole product: each fault has one documented code, the same in log, API and CLI; nothing half done, no input logged."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.stage import Product, StagedPhone, instant, unmeasured

SECRET = "wonderland-customer"
NOW = datetime.now(UTC)
EARLY, LATE = instant(NOW - timedelta(hours=1)), instant(NOW + timedelta(days=30))


def disk_of(libvirt: PrivateLibvirt, name: str, path: Path, fmt: str = "qcow2") -> StagedPhone:
    """A domain over one disk, whatever is there."""
    return StagedPhone(libvirt, name, {"vda": (path, fmt)}).define()


def broken_phones(libvirt: PrivateLibvirt, where: Path) -> dict[str, tuple[StagedPhone, str]]:
    """name -> (domain over an image that cannot be wiped, the refusal code that must say why)."""
    truncated, corrupt = images.create(where / "truncated.qcow2"), images.create(where / "corrupt.qcow2")
    os.truncate(truncated, 60)
    with corrupt.open("r+b") as file:
        file.seek(20)  # cluster_bits
        file.write(b"\xff" * 4)
    (where / "empty.qcow2").touch()
    (where / "directory").mkdir()
    first = images.create(where / "first.qcow2")
    second = images.overlay(where / "second.qcow2", first)
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", second, first], check=True)
    top = images.create(where / "layer-0.qcow2", 1 << 20)
    for number in range(1, 67):
        below, top = top, where / f"layer-{number}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below, top, "1M"], check=True)
    found = {
        "missing": (where / "nowhere.qcow2", "qcow2", "missing"),
        "truncated": (truncated, "qcow2", "untrusted-format"),
        "empty": (where / "empty.qcow2", "qcow2", "untrusted-format"),
        "corrupt": (corrupt, "qcow2", "untrusted-format"),
        "circular": (second, "qcow2", "untrusted-format"),
        "deep": (top, "qcow2", "untrusted-format"),
        "directory": (where / "directory", "raw", "not-regular"),
    }
    return {name: (disk_of(libvirt, name, path, fmt), code) for name, (path, fmt, code) in found.items()}


def known(product: Product, phone: StagedPhone) -> None:
    """The daemon has seen the domain."""
    wait_for(lambda: phone.uuid in {item["uuid"] for item in product.get("/v1/phones")["items"] if item["present"]}, f"{phone.name} to be seen")


@pytest.mark.long
def test_images_and_domains_in_every_bad_state(private_libvirt, raw_fs):
    """Images that cannot be understood are refused, one code in plan, explanation and log, and left as they are; paused and crashed guests are wiped."""
    libvirt, where = private_libvirt, private_libvirt.workdir / "phones"
    where.mkdir()
    raw_fs("ext4", at=where)
    broken = broken_phones(libvirt, where)
    paused, crashed = (disk_of(libvirt, name, images.create(where / f"{name}.qcow2")) for name in ("paused", "crashed"))
    for phone in (paused, crashed):
        libvirt.virsh("start", phone.uuid)
    libvirt.virsh("suspend", paused.uuid)
    libvirt.run(["kill", "-9", libvirt.path("/run/libvirt/qemu/crashed.pid").read_text().strip()])
    files = {path: path.stat().st_size for path in where.iterdir()}
    with Product(libvirt, [where], stop_timeout="30s", safety="breaker_max = 1000") as product:
        for phone, _ in broken.values():
            known(product, phone)
            product.bind(phone.uuid)
        for name, (phone, code) in broken.items():
            wait_for(lambda p=phone, c=code: c in {reason["code"] for reason in product.explain(p.uuid)["reasons"]}, f"{name}: {code}")
            assert code in {item["code"] for item in product.get(f"/v1/phones/{phone.uuid}/plan")["refusals"]}, name
            told = [json.loads(line) for line in product.log.read_text().splitlines() if phone.uuid in line and "wipe refused" in line]
            assert any(code in line["codes"] for line in told), name
        assert {path: path.stat().st_size for path in where.iterdir()} == files
        for phone, _ in broken.values():
            libvirt.virsh("undefine", phone.uuid)
        for phone in (paused, crashed):
            product.bind(phone.uuid)
            # Neither waits for the power button's patience: nobody is there to hear it.
            assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear", phone.name


def faults(product: Product, *words: str, code: int) -> str:
    """What wipectl says in words; its exit code, and that its document bears the same error code."""
    done = product.ctl("--output", "json", *words, check=False)
    assert done.returncode == code, done
    document = json.loads(done.stdout)
    assert done.stderr.startswith(f"wipectl: {document['code']}: ")
    assert SECRET not in done.stdout + done.stderr
    return f"{document['code']} {document['detail']} {document.get('codes', '')}"


def test_what_an_operator_can_get_wrong(private_libvirt, tmp_path):
    """Times, names, imports, unknown UUIDs: exit code 2 or 3 with the place of the fault, nothing recorded, nothing of the input in the log."""
    libvirt, where = private_libvirt, private_libvirt.workdir / "phones"
    where.mkdir()
    phone = disk_of(libvirt, "twin", images.create(where / "twin.qcow2"))
    given = ("--account", SECRET, "--subscription", "sub-1")
    with Product(libvirt, [where]) as product:
        known(product, phone)
        setting = ("subscriptions", "set", phone.uuid, *given)
        assert "starts: has no time zone" in faults(product, *setting, "--starts", "2026-01-01T00:00:00", "--expires", LATE, code=2)
        assert "expires: must lie after starts" in faults(product, *setting, "--starts", LATE, "--expires", EARLY, code=2)
        assert "unbound" in faults(product, "wipe", phone.uuid, "--reason", SECRET, "--confirm", "twin", code=3)
        assert "not-found" in faults(product, "explain", "nobody", code=2)
        lines = {"a.csv": f"phone,account,subscription,starts,expires\n{phone.uuid},{SECRET},s,2026-01-01T00:00:00,{LATE}\nx,{SECRET}\n"}
        lines["a.jsonl"] = f'{{"phone": "{SECRET}"\n\n{{"{SECRET}": 1}}\n'
        for name, text in lines.items():
            (tmp_path / name).write_text(text)
            said = faults(product, "subscriptions", "import", str(tmp_path / name), code=2)
            assert "nothing was imported" in said
            assert ("line 2" if name == "a.csv" else "line 1") in said
            assert "line 3" in said
        assert product.get("/v1/subscriptions")["items"] == []
        assert [item["state"] for item in product.get("/v1/phones")["items"]] == ["unbound"]

        ghost = str(uuid.uuid4())
        product.bind(ghost, account=SECRET)
        shown = product.explain(ghost)
        assert (shown["state"], shown["reasons"][0]["code"]) == ("vanished", "no-such-domain")
        assert product.metrics()['wiped_phones{state="vanished"}'] == 1

        libvirt.virsh("undefine", phone.uuid)
        second = StagedPhone(libvirt, "twin", phone.disks).define()
        known(product, second)
        wait_for(lambda: not product.get(f"/v1/phones/{phone.uuid}")["present"], "the first twin to be gone")
        assert product.ask("explain", "twin")["phone"]["uuid"] == second.uuid  # the one that is there
        libvirt.virsh("undefine", second.uuid)
        wait_for(lambda: not product.get(f"/v1/phones/{second.uuid}")["present"], "the second twin to be gone")
        said = faults(product, "explain", "twin", code=2)
        assert all(each in said for each in (phone.uuid, second.uuid))
        product.stop()
        assert SECRET not in product.log.read_text()


def test_a_full_disk_and_a_newer_ledger(private_libvirt, raw_fs, monkeypatch):
    """Under a full disk nothing is recorded (exit code 75), looking goes on, and room heals it; a ledger of a newer version is left untouched (78)."""
    libvirt, where, small = private_libvirt, private_libvirt.workdir / "phones", private_libvirt.workdir / "state"
    where.mkdir()
    small.mkdir()
    raw_fs("ext4", at=small, size=16 << 20)
    monkeypatch.setenv("WIPED__HOST__STATE_DIR", str(small / "wiped"))
    phone = disk_of(libvirt, "phone-1", images.create(where / "phone-1.qcow2"))
    setting = ("subscriptions", "set", phone.uuid, "--account", SECRET, "--subscription", "sub-1", "--starts", EARLY, "--expires", LATE)
    with Product(libvirt, [where]) as product:
        known(product, phone)
        subprocess.run(["dd", "if=/dev/zero", f"of={small / 'wall'}", "bs=4096"], check=False, capture_output=True)
        assert "ledger-failure" in faults(product, *setting, code=75)
        assert product.explain(phone.uuid)["state"] == "unbound"
        (small / "wall").unlink()
        product.ctl(*setting)
        assert product.explain(phone.uuid)["state"] == "active"
    ledger = small / "wiped" / "ledger.db"
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = images.digest(ledger)
    done = libvirt.run_forked("wiped.__main__:main", ["wiped", "run"], cwd=Path(__file__).parents[2], env=unmeasured())
    assert done.returncode == 78, done
    assert "install the newer program" in done.stderr
    assert images.digest(ledger) == before


@pytest.mark.parametrize("path", ["/v1/phones/..%2f..%2fetc%2fpasswd", "/v1/certificates/..%2f..%2fsalts", "/v1/phones/%00", "/v1/wipes/%2e%2e/events"])
def test_no_id_is_a_path(quiet_product, path):
    """Whatever stands where an id belongs is looked up, never opened: 404 without an echo."""
    with pytest.raises(AssertionError, match=" 404 ") as told:
        quiet_product.get(path)
    assert "passwd" not in str(told.value).partition(": b'")[2]


@pytest.fixture(scope="module")
def quiet_product(module_libvirt):
    """A product with nothing on its host."""
    where = module_libvirt.workdir / "phones"
    where.mkdir()
    with Product(module_libvirt, [where], hook=False) as product:
        yield product
