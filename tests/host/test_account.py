"""An account on a real libvirt: cancelled by one person, approved by another, one phone held; and what one person alone cannot do."""

from __future__ import annotations

import json
import socket
import uuid

import pytest

from tests.host.marked import gone
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import ACCOUNT, APPROVER, OPERATOR, OTHER_APPROVER, STAFF, Product, phone_with_disk
from wiped.decide.approval import combined

CANCEL = ("requests", "add", "--account", "-", "--kind", "cancellation", "--reference", "DSR-2026-11", "--confirm", ACCOUNT)


def wiped_by(product, person, *words, code=0, **options):
    """`wipectl` as a member of staff, with the exit code that is expected."""
    done = product.ctl(*words, person=person, check=False, **options)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done


@pytest.mark.long
def test_an_account_of_three_active_phones_is_cancelled(private_libvirt, raw_fs):
    """All three are stopped and fenced at once; a second person approves; two are wiped and certified with their ground, the held one is kept, and wiped after
    two people released the hold; the officer's report tells it; no reference of the customer stands anywhere in the state directory."""
    libvirt = private_libvirt
    directory = libvirt.workdir / "phones"
    directory.mkdir()
    filesystem, markers = raw_fs("ext4", at=directory), Markers()
    phones = [phone_with_disk(libvirt, directory, name=f"phone-{number}", markers=markers, blocks=64) for number in (1, 2, 3)]
    for phone in phones:
        libvirt.virsh("start", phone.uuid)
    with Product(libvirt, [directory], stop_timeout="1s", api=STAFF) as product:
        wait_for(lambda: len(product.get("/v1/phones")["items"]) == 3, "the phones to be seen")
        for phone in phones:
            product.bind(phone.uuid, ends_in=86_400)
        held = json.loads(
            wiped_by(product, OPERATOR, "--output", "json", "holds", "add", phones[2].uuid, "--authority", "District Court", "--reference", "3 O 12/26",
                     "--ground", "litigation").stdout
        )  # fmt: skip
        asked = json.loads(wiped_by(product, OPERATOR, "--output", "json", *CANCEL, stdin=ACCOUNT).stdout)
        wait_for(lambda: all(phone.state == "shut off" for phone in phones), "all three to be stopped")
        assert {phone.uuid for phone in phones} <= {path.name for path in (product.state_dir / "fence").iterdir()}
        (waiting,) = json.loads(product.ctl("--output", "json", "approvals", "list").stdout)["items"]
        assert waiting["id"] == asked["approval"]["id"]
        wiped_by(product, OPERATOR, "approvals", "approve", waiting["id"], code=77)
        wiped_by(product, (), "approvals", "approve", waiting["id"], code=77)
        assert not any(product.wipes(phone.uuid) for phone in phones)
        # It was asked for while they ran: once they stand still it names the plans that whoever approves will see.
        plans = combined({phone.uuid: product.get(f"/v1/phones/{phone.uuid}/plan")["fingerprint"] for phone in phones})
        wait_for(lambda: product.get(f"/v1/approvals/{waiting['id']}")["fingerprint"] == plans, "the approval to name the plans of phones at rest")
        wiped_by(product, APPROVER, "approvals", "approve", waiting["id"])
        for phone in phones[:2]:
            wipe = product.wait_for_wipe(phone.uuid)
            assert (wipe["state"], wipe["outcome"], wipe["trigger"]["ground"]) == ("released", "clear", "account-cancelled")
            assert (wipe["trigger"]["operator"], wipe["trigger"]["approver"]) == ("sys", "games")
        assert product.wait_for_state(phones[2].uuid, "due")["flags"][0] == "held"
        assert not [wipe for wipe in product.wipes(phones[2].uuid) if wipe["state"] != "cancelled"]
        assert phones[2].exists()
        wiped_by(product, OPERATOR, "holds", "release", held["id"], "--reason", "the case ended", code=3)
        (release,) = json.loads(product.ctl("--output", "json", "approvals", "list").stdout)["items"]
        wiped_by(product, OTHER_APPROVER, "approvals", "approve", release["id"])
        assert product.wait_for_wipe(phones[2].uuid, ("released",))["outcome"] == "clear"
        report = json.loads(wiped_by(product, (), "--output", "json", "reports", "subject", "--account", "-", stdin=ACCOUNT).stdout)
        assert sorted((item["phone"], item["outcome"], item["ground"]) for item in report["wipes"] if item["outcome"]) == sorted(
            (phone.uuid, "clear", "account-cancelled") for phone in phones
        )
        assert {item["reference"] for item in report["requests"]} == {"DSR-2026-11"}
        assert product.ctl("audit", "verify").returncode == 0
        words = [word.encode() for word in (ACCOUNT, "DSR-2026-11", "District Court", "3 O 12/26", "the case ended")]
        state = [path for path in product.state_dir.rglob("*") if path.is_file()]
        assert not [(path, word) for path in state for word in words if word in path.read_bytes()]
        assert not [word for word in words if word in product.log.read_bytes()]
    assert gone(filesystem, markers) == 0


@pytest.fixture
def active(private_libvirt, raw_fs):
    """A running phone whose term runs, and the daemon."""
    libvirt = private_libvirt
    directory = libvirt.workdir / "phones"
    directory.mkdir()
    raw_fs("ext4", at=directory)
    phone = phone_with_disk(libvirt, directory)
    libvirt.virsh("start", phone.uuid)
    with Product(libvirt, [directory], stop_timeout="1s", grace="1s", api=STAFF) as product:
        wait_for(lambda: product.get("/v1/phones")["items"], "the phone to be seen")
        product.bind(phone.uuid, ends_in=86_400, subscription="sub-1")
        yield product, phone


def test_one_person_alone_cannot_wipe_an_active_phone(active):
    """Not by a manual wipe, not by a request, not by an earlier end by hand or import, not over the socket itself, not as root after sudo."""
    product, phone = active
    for person in (OPERATOR, APPROVER, ()):
        code = 77 if person is APPROVER else 3
        wiped_by(product, person, "wipe", phone.uuid, "--reason", "x", "--confirm", phone.name, code=code)
    earlier = ("--starts", "2026-01-01T00:00:00Z", "--expires", "2026-01-02T00:00:00Z")
    wiped_by(product, OPERATOR, "subscriptions", "set", phone.uuid, "--account", ACCOUNT, "--subscription", "sub-1", *earlier, code=3)
    record = {"phone": phone.uuid, "account": ACCOUNT, "subscription": "sub-1", "starts": earlier[1], "expires": earlier[3]}
    feed = product.libvirt.workdir / "feed.jsonl"
    feed.write_text(json.dumps(record))
    feed.chmod(0o644)
    wiped_by(product, OPERATOR, "subscriptions", "import", str(feed), code=3)
    wiped_by(product, OPERATOR, "requests", "add", phone.uuid, "--kind", "deletion", "--ground", "no-consent", "--reference", "R", "--confirm", phone.name)
    for waiting in product.get("/v1/approvals")["items"]:
        for person in (OPERATOR, ()):
            assert product.ctl("approvals", "approve", waiting["id"], person=person, check=False).returncode == 77
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(product.libvirt.path("/run/wiped/api.sock")))
            body = json.dumps({"decision": "approve"}).encode()
            head = f"POST /v1/approvals/{waiting['id']} HTTP/1.0\r\nHost: w\r\nContent-Type: application/json\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
            line.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert b" 403 " in line.recv(200)
    wait_for(lambda: phone.state == "shut off", "the phone to be stopped by the request")
    assert phone.exists()
    assert not [wipe for wipe in product.wipes(phone.uuid) if wipe["state"] not in ("cancelled",)]
    explained = product.ctl("explain", phone.uuid).stdout
    assert "approv" in explained
