"""Billing's server and a receiver of notices, both failing, around the whole product on a real libvirt: who is wiped, who is not, and who is told."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.billing_server import TOKEN, Billing
from tests.fakes.receiver import SECRET, Receiver, verified
from tests.host.marked import gone
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import ACCOUNT, OPERATOR, STAFF, Product, instant, phone_with_disk
from wiped.feed.signed import message

#: Trouble of the server -> the reason that it is told apart by.
TROUBLES = (("dies", "cut"), ("half", "partial"), ("garbage", "malformed"), ("error", "status"))
KEY = Ed25519PrivateKey.generate()
#: What no event may carry.
WORDS = (ACCOUNT.encode(), b"S-billing")


@contextmanager
def in_a_loop_of_its_own() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, for the servers."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="servers")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def record(phone, ends_in, **more):
    """Billing's record of a phone's term."""
    now = datetime.now(UTC)
    term = {"starts": instant(now - timedelta(days=30)), "expires": instant(now + timedelta(seconds=ends_in))}
    return {"phone": phone.uuid, "account": ACCOUNT, "subscription": f"S-billing-{phone.name}", **term, **more}


@pytest.fixture
def stage(private_libvirt, raw_fs):
    """(libvirt, directory, filesystem, markers, two running phones)."""
    directory = private_libvirt.workdir / "phones"
    directory.mkdir()
    filesystem, markers = raw_fs("ext4", at=directory), Markers()
    phones = [phone_with_disk(private_libvirt, directory, name=f"phone-{number}", markers=markers, blocks=64) for number in (1, 2)]
    for phone in phones:
        private_libvirt.virsh("start", phone.uuid)
    return private_libvirt, directory, filesystem, markers, phones


def secret_file(libvirt, name, text):
    """A file beneath /etc/wiped that only root may read."""
    path = libvirt.path(f"/etc/wiped/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return f"/etc/wiped/{name}"


@pytest.mark.long
def test_a_billing_server_in_trouble_and_a_receiver_that_is_away(stage):
    """Every bad answer would end both terms at once if it were believed: it dies in the middle, returns half, garbage, an error, nothing, or an older set.
    Each has its own reason in metric and log, and nobody is stopped. Then one term ends in a good answer: that phone is wiped, though the receiver of notices
    is down and then flaps; every event of it comes, in order, verifiable, without a word about the customer. (Hours of it, with a fake clock, are in
    tests/unit/conduct/test_delivering.py.)"""
    libvirt, directory, filesystem, markers, (first, second) = stage
    with in_a_loop_of_its_own() as loop:
        billing, receiver = Billing(page=1), Receiver()

        def run(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

        run(billing.__aenter__())
        run(receiver.up())
        token, secret = secret_file(libvirt, "token", TOKEN), secret_file(libvirt, "hooks", SECRET)
        feed = f'kind = "http"\nurl = "{billing.url}"\ntoken_file = "{token}"\ninterval = "1s"\ntimeout = "5s"'
        hooks = f'\n[webhooks]\nurl = "{receiver.url}"\nsecret_file = "{secret}"\ntimeout = "1s"\n'
        run(receiver.down())
        billing.publish([record(first, 86_400), record(second, 86_400)])
        try:
            with Product(libvirt, [directory], stop_timeout="1s", feed=feed, more=hooks) as product:
                wait_for(lambda: product.get("/v1/status")["phones"].get("active") == 2, "both terms to be taken")
                _trouble(product, billing, first, second)
                assert [product.wipes(phone.uuid) for phone in (first, second)] == [[], []]
                assert (first.state, second.state) == ("running", "running")
                assert len(product.ask("subscriptions", "list")["items"]) == 2
                billing.trouble = ""
                billing.publish([record(first, 20), record(second, 86_400)])  # time enough to be seen before its end
                wipe = product.wait_for_wipe(first.uuid)
                assert (wipe["state"], wipe["outcome"], wipe["trigger"]["kind"]) == ("released", "clear", "expiry")
                assert product.metrics()["wiped_webhook_pending"] > 0
                moods = iter((503, "lost"))
                receiver.mood = lambda _: next(moods, 204)
                run(receiver.up())
                wait_for(lambda: _kinds(receiver, first)[-1:] == ["phone.wiped"], "every event to arrive")
                assert (second.state, product.wipes(second.uuid)) == ("running", [])
        finally:
            run(receiver.down())
            run(billing.__aexit__())
    kinds = _kinds(receiver, first)
    assert [kind for kind in kinds if kind != "phone.fenced"] == ["phone.expiring", "phone.expired", "phone.wipe-scheduled", "phone.wiped"]
    assert kinds.count("phone.fenced") == 1
    numbers = [one.event["sequence"] for one in receiver.taken if one.event.get("subject") == first.uuid]
    assert numbers == sorted(numbers)
    assert all(map(verified, receiver.asked))
    told = next(one.event for one in receiver.taken if one.event["type"].endswith("phone.wiped"))
    assert wipe["certificate_id"] in json.dumps(told)
    everything = b"".join(one.body + repr(one.headers).encode() for one in receiver.asked) + product.log.read_bytes()
    assert [word for word in WORDS if word in everything] == []
    libvirt.virsh("destroy", second.uuid)
    assert gone(filesystem, markers) == 64


def _kinds(receiver, phone):
    """The kinds of a phone's events in the order of their first coming."""
    by_id = {one.headers["webhook-id"]: one.event for one in receiver.taken}
    return [event["type"].removeprefix("wiped.") for event in by_id.values() if event.get("subject") == phone.uuid]


def _trouble(product, billing, first, second):
    """One bad answer after the other, each of which says that both terms ended."""
    good, whole = billing.revision, billing.records
    over = [record(first, -3_600), record(second, -3_600)]

    def failed(reason):
        return product.metrics().get(f'wiped_feed_errors_total{{reason="{reason}"}}', 0)

    for trouble, reason in TROUBLES:
        assert failed(reason) == 0, (trouble, reason)
        billing.trouble = trouble
        billing.publish(over)
        wait_for(lambda reason=reason: failed(reason) >= 2, f"{trouble} to be told as {reason}")
        assert f'"{reason}"' in product.log.read_text()
    for records, revision, reason in (([], billing.revision + 1, "empty"), (over, good - 1, "older-revision")):
        assert failed(reason) == 0, reason
        # Never for a moment a good answer with the ended terms: they would be believed.
        billing.records, billing.revision = records, revision
        billing.trouble = ""
        wait_for(lambda reason=reason: failed(reason) >= 2, f"{reason} to be told")
        assert f'"{reason}"' in product.log.read_text()
    billing.records = whole
    billing.revision = good + 20


@pytest.mark.long
def test_a_feed_file_needs_billings_key_to_end_a_running_term(stage):
    """Whoever can write the file, and has not the key, ends nobody's term: unsigned, signed by another key, replayed, with an earlier end, or as an older
    set. Billing's own signature does, and that phone alone is wiped."""
    libvirt, directory, filesystem, markers, (first, second) = stage
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = secret_file(libvirt, "billing.pem", public)
    path = directory.parent / "feed.jsonl"
    revision = 0

    def put(*rows, at=None):
        nonlocal revision
        revision += 1
        head = {"feed": "wiped/1", "revision": revision, "count": len(rows), "at": instant(at or datetime.now(UTC))}
        aside = path.with_suffix(".new")
        aside.write_text("".join(json.dumps(row) + "\n" for row in (head, *rows)))
        aside.chmod(0o600)
        aside.rename(path)

    def signed(row, number, by=KEY):
        now = datetime.now(UTC)
        whole = {**row, "revision": number, "valid_from": instant(now - timedelta(hours=1)), "valid_until": instant(now + timedelta(hours=1))}
        return {**whole, "signature": base64.b64encode(by.sign(message(whole))).decode()}

    active = [signed(record(phone, 86_400), 5) for phone in (first, second)]
    put(*active)
    feed = f'kind = "file"\npath = "{path}"\ninterval = "1s"\nverify_key_file = "{key}"'
    with Product(libvirt, [directory], stop_timeout="1s", feed=feed, api=STAFF) as product:
        wait_for(lambda: product.get("/v1/status")["phones"].get("active") == 2, "both terms to be taken")
        over = record(first, -3_600)

        def refused():
            return product.metrics().get('wiped_feed_errors_total{reason="record-refused"}', 0)

        genuine = signed(over, 6)
        forged = {
            "unsigned": over,
            "unsigned, of a higher revision": {**over, "revision": 6},
            "another key's": signed(over, 6, Ed25519PrivateKey.generate()),
            "changed behind the signature": {**genuine, "revision": 7},
            "an older one of billing's": signed(over, 4),
        }
        for what, bad in forged.items():
            before = refused()
            put(bad, active[1])
            wait_for(lambda before=before: refused() > before, f"the record to be refused: {what}")
        for data in (b"", path.read_bytes()[:-20]):
            path.write_bytes(data)
            wait_for(lambda: product.metrics().get('wiped_feed_errors_total{reason="malformed"}', 0) >= 1, "the file to be refused")
        expires = ("--starts", over["starts"], "--expires", over["expires"])
        done = product.ctl(
            "subscriptions", "set", first.uuid, "--account", ACCOUNT, "--subscription", over["subscription"], *expires, person=OPERATOR, check=False
        )
        assert done.returncode == 3, done.stderr
        assert (first.state, second.state, product.wipes(first.uuid)) == ("running", "running", [])
        put(genuine, active[1])
        wipe = product.wait_for_wipe(first.uuid)
        assert (wipe["state"], wipe["outcome"]) == ("released", "clear")
        assert (second.state, product.wipes(second.uuid)) == ("running", [])
        assert ACCOUNT.encode() not in product.log.read_bytes()
    libvirt.virsh("destroy", second.uuid)
    assert gone(filesystem, markers) == 64
