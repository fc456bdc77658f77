"""The host's memory is lost, on the whole product: the daemon does not start, no phone is wiped, no fence is lifted, and a person's word goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import Product, StagedPhone, unmeasured

REPOSITORY = Path(__file__).parents[2]


def started(libvirt: PrivateLibvirt, *words: str) -> tuple[int, str]:
    """`wiped WORDS` to its end: exit code, and what it said."""
    done = libvirt.run_forked("wiped.__main__:main", ["wiped", *words], cwd=REPOSITORY, env=unmeasured())
    return done.returncode, done.stderr


def test_a_lost_ledger_wipes_no_held_phone_and_lifts_no_fence(private_libvirt: PrivateLibvirt, markers: Markers) -> None:
    """Emptied, missing, and of an hour before, alone or with all that is copied with it: exit code 78 with what does not fit and the remedy; bytes, fence and
    domain stay; the document's way goes on."""
    libvirt, where = private_libvirt, private_libvirt.workdir / "phones"
    where.mkdir()
    disk = where / "phone.raw"
    markers.write(disk, 64)
    phone = StagedPhone(libvirt, "phone-1", {"vda": (disk, "raw")}).define()
    state = libvirt.path("/var/lib/wiped")
    ledger, before = state / "ledger.db", images.digest(disk)
    with Product(libvirt, [where]) as product:
        wait_for(lambda: product.get("/v1/phones")["items"], "the phone to be seen")
        product.ctl("protect", phone.uuid, "--reason", "until the hold is recorded")
        product.bind(phone.uuid, ends_in=1)
        product.ctl("holds", "add", phone.uuid, "--ground", "litigation", "--authority", "court", "--reference", "1", "--reason", "kept")
        wait_for((state / "fence" / phone.uuid).exists, "the held phone, whose time has come, to be fenced")
    copy, head = ledger.read_bytes(), (state / "ledger-head.json").read_bytes()
    with Product(libvirt, [where]) as product:
        product.ctl("protect", phone.uuid, "--reason", "a day later")
    whole = ledger.read_bytes()
    newest = (state / "ledger-head.json").read_bytes()
    for name, content in (("empty", b""), ("older", copy), ("older, as the whole directory", copy), ("missing", None)):
        (state / "ledger-head.json").write_bytes(head if "whole" in name else newest)
        for beside in ("ledger.db-wal", "ledger.db-shm"):
            (state / beside).unlink(missing_ok=True)
        if content is None:
            ledger.unlink()
        else:
            ledger.write_bytes(content)
        code, said = started(libvirt, "run")
        assert (code, "wiped migrate --accept" in said, "docs/backup.md" in said) == (78, True, True), (name, said)
        assert ("is older than this host" if "older" in name else "missing or empty") in said
        assert images.digest(disk) == before
        assert (state / "fence" / phone.uuid).exists()
        assert phone.uuid in libvirt.virsh("list", "--all", "--uuid").stdout
    ledger.write_bytes(copy)  # the copy is put back, as docs/backup.md says
    assert started(libvirt, "migrate", "--accept")[0] == 0
    with Product(libvirt, [where]) as product:
        wait_for(lambda: product.get("/v1/phones")["items"], "the phone to be seen again")
        assert "held" in product.explain(phone.uuid)["flags"]
        assert "memory-accepted" in product.ctl("audit", "tail", "--last", "50").stdout
        assert (state / "fence" / phone.uuid).exists()
    assert images.digest(disk) == before
    assert len(whole) >= len(copy)


def test_orders_that_a_damaged_write_ahead_log_lost_are_missed(private_libvirt: PrivateLibvirt, markers: Markers) -> None:
    """Killed right after a hold was answered, and the log that held it alone is cut: the start ends with exit code 78, and the phone keeps every byte. With
    another state directory neither a second daemon starts beside the first one, nor a new one in its place."""
    libvirt, where = private_libvirt, private_libvirt.workdir / "phones"
    where.mkdir()
    disk = where / "phone.raw"
    markers.write(disk, 64)
    phone = StagedPhone(libvirt, "phone-1", {"vda": (disk, "raw")}).define()
    state, before = libvirt.path("/var/lib/wiped"), images.digest(disk)
    config = libvirt.path("/etc/wiped/wiped.toml")
    product = Product(libvirt, [where])
    product.start()
    wait_for(lambda: product.get("/v1/phones")["items"], "the phone to be seen")
    wait_for((state / "remembered" / f"{phone.uuid}.json").exists, "the phone to be remembered")
    text = config.read_text()
    config.write_text(text.replace('name = "lab-host"', 'name = "lab-host"\nstate_dir = "/var/lib/wiped/another"\nruntime_dir = "/run/another"'))
    code, said = started(libvirt, "run")
    assert (code, "runs already" in said) == (78, True), said
    product.bind(phone.uuid, ends_in=60)
    product.ctl("holds", "add", phone.uuid, "--ground", "litigation", "--authority", "court", "--reference", "1", "--reason", "kept")
    product.kill()
    code, said = started(libvirt, "run")
    assert (code, "has a past" in said, "wiped migrate --accept" in said) == (78, True, True), said
    config.write_text(text)
    wal = state / "ledger.db-wal"
    whole = wal.read_bytes()
    assert whole, "the newest transactions stand in the write-ahead log"
    wal.write_bytes(whole[: len(whole) // 2])
    code, said = started(libvirt, "run")
    assert (code, "is older than this host" in said, "docs/backup.md" in said) == (78, True, True), said
    assert images.digest(disk) == before
    assert phone.uuid in libvirt.virsh("list", "--all", "--uuid").stdout


def test_restoring_by_the_document_works(private_libvirt: PrivateLibvirt, markers: Markers) -> None:
    """docs/backup.md, step by step: a copy that forgot a suspension and a phone. Nothing is wiped, the fence that the copy does not know stands until a person
    gives the phone back, and a hold recorded again holds."""
    libvirt, where = private_libvirt, private_libvirt.workdir / "phones"
    where.mkdir()
    disk = where / "phone.raw"
    markers.write(disk, 64)
    phone = StagedPhone(libvirt, "phone-1", {"vda": (disk, "raw")}).define()
    state, copy, before = libvirt.path("/var/lib/wiped"), libvirt.workdir / "ledger.db", images.digest(disk)
    config, fence = libvirt.path("/etc/wiped/wiped.toml"), state / "fence" / phone.uuid
    product = Product(libvirt, [where])
    product.start()
    wait_for(lambda: product.get("/v1/phones")["items"], "the phone to be seen")
    product.bind(phone.uuid, ends_in=3600)
    with closing(sqlite3.connect(state / "ledger.db")) as ledger, closing(sqlite3.connect(copy)) as backup:
        ledger.backup(backup)
    product.ctl("suspend", phone.uuid, "--reason", "after the copy")
    product.kill()
    for beside in ("ledger.db-wal", "ledger.db-shm"):
        (state / beside).unlink(missing_ok=True)
    (state / "ledger.db").write_bytes(copy.read_bytes())
    text = config.read_text()
    away = text.replace("qemu:///system", "qemu+unix:///system?socket=/nonexistent")
    config.write_text(away + '\n[retention]\naudit = "3650d"\nsnapshots = "3650d"\n')
    assert started(libvirt, "run")[0] == 78
    assert started(libvirt, "migrate", "--accept")[0] == 0
    with product:
        product.ctl("holds", "add", phone.uuid, "--ground", "litigation", "--authority", "court", "--reference", "1", "--reason", "again")
        assert fence.exists()
    config.write_text(text)
    with product:
        assert set(product.explain(phone.uuid)["flags"]) == {"held"}
        assert fence.exists(), "a fence that the copy does not know stays in force"
        product.ctl("suspend", phone.uuid, "--reason", "step 10")
        wait_for(lambda: "fenced" in product.explain(phone.uuid)["flags"], "the phone to be fenced")
        product.ctl("resume", phone.uuid, "--reason", "step 10")
        wait_for(lambda: not fence.exists(), "the phone to be given back")
        assert product.wipes(phone.uuid) == []
    assert images.digest(disk) == before
