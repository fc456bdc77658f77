"""The daemon tells: a whole story with a receiver that hangs, a stop in the middle, a new start; and nothing of a customer in any event."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.host import FakeHost
from tests.fakes.receiver import SECRET, Received, Receiver, verified
from tests.patience import PATIENCE
from tests.unit.app.test_app import CONFIG, ask, parts, running
from wiped import app
from wiped.config import Settings, load
from wiped.errors import ConfigError
from wiped.machine.clock import SystemClock
from wiped.model.notices import NoticeKind

#: What people wrote, and what names a customer, a member of staff, a phone or a file.
WORDS = ("acct-zebra", "quagga", "okapi", "court of tapir", "phone-", "/phones", "/golden", "root", "geheim", "whsec")


@pytest.fixture
def receiver() -> Receiver:
    """One that takes nothing yet."""
    return Receiver(lambda _: "hang")


@pytest.fixture
async def settings(receiver: Receiver) -> Any:
    """A daemon that tells `receiver`."""
    await receiver.up()
    with tempfile.TemporaryDirectory(prefix="wn-") as directory:
        secret = Path(directory) / "secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        hooks = f'[webhooks]\nurl = "{receiver.url}"\nsecret_file = "{secret}"\ntimeout = "1s"\n'
        path = Path(directory) / "wiped.toml"
        path.write_text(CONFIG.format(directory=directory) + hooks)
        yield load(str(path), {})
    await receiver.down()


def term(number: int, seconds: float) -> dict[str, Any]:
    """A customer's term that ends `seconds` from now."""
    now = datetime.now(UTC)
    return {
        "account": f"acct-zebra-{number}",
        "subscription": f"okapi-{number}",
        "starts": (now - timedelta(days=1)).isoformat(),
        "expires": (now + timedelta(seconds=seconds)).isoformat(),
    }


async def until(client: aiohttp.ClientSession, path: str, done: Any) -> Any:
    """Ask again until the answer is so."""
    async with asyncio.timeout(PATIENCE):
        while not done(answer := await ask(client, path)):
            await asyncio.sleep(0.05)
    return answer


def told(received: list[Received]) -> dict[str, list[str]]:
    """Each subject's kinds of events in the order in which they came, one that came again once."""
    found: dict[str, list[str]] = {}
    for event in {one.headers["webhook-id"]: one.event for one in received}.values():
        found.setdefault(event.get("subject", ""), []).append(event["type"].removeprefix("wiped."))
    return found


async def test_a_whole_story_is_told_and_names_nobody(settings: Settings, receiver: Receiver) -> None:
    """The receiver hangs: the wipe goes on, status says what waits, the stop is clean. The next daemon delivers all of it, in order, each verifiable."""
    host = FakeHost(SystemClock().boottime)
    ended, asked_for, held, suspended = (host.add_phone(number) for number in range(1, 5))
    async with running(settings, parts(host)) as client:
        await until(client, "/v1/phones", lambda answer: len(answer["items"]) == 4)
        held_by = {"phone": held, "authority": "court of tapir", "reference": "quagga-1", "ground": "litigation", "reason": "quagga said so"}
        await ask(client, "/v1/holds", held_by, "POST")
        await ask(client, f"/v1/phones/{held}/subscription", term(3, 0.5), "PUT")
        await ask(client, f"/v1/phones/{ended}/subscription", term(1, 0.5), "PUT")
        for number, uuid in ((2, asked_for), (4, suspended)):
            await ask(client, f"/v1/phones/{uuid}/subscription", term(number, 86_400), "PUT")
        deletion = {"phone": asked_for, "kind": "deletion", "ground": "no-consent", "reference": "quagga-2", "reason": "of quagga", "confirm": "phone-2"}
        await ask(client, "/v1/requests", deletion, "POST")
        await ask(client, f"/v1/phones/{suspended}:suspend", {"reason": "stolen from quagga"}, "POST")
        await ask(client, "/v1/drain", {"at": (datetime.now(UTC) + timedelta(days=90)).isoformat(), "reason": "quagga moves"}, "POST")
        await until(client, "/v1/wipes", lambda answer: any(wipe["state"] == "released" for wipe in answer["items"]))
        await until(client, f"/v1/phones/{held}", lambda answer: answer["state"] == "due" and "fenced" in answer["flags"])
        await until(client, f"/v1/phones/{asked_for}", lambda answer: "fenced" in answer["flags"])
        await until(client, f"/v1/phones/{suspended}", lambda answer: "fenced" in answer["flags"])
        async with asyncio.timeout(PATIENCE):
            while not receiver.asked:
                await asyncio.sleep(0.05)
        assert receiver.taken == []
    receiver.mood = lambda _: 204
    awaited = {
        ended: {"phone.expired", "phone.wipe-scheduled", "phone.fenced", "phone.wiped"},
        asked_for: {"phone.fenced", "approval.asked"},
        held: {"phone.expired", "phone.held", "phone.fenced"},
        suspended: {"phone.fenced"},
        "": {"drain.announced"},
    }
    async with running(settings, parts(host)), asyncio.timeout(PATIENCE):
        while any(not kinds <= set(told(receiver.taken).get(subject, ())) for subject, kinds in awaited.items()):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
    found = told(receiver.taken)
    assert [kind for kind in found[ended] if kind != "phone.fenced"] == ["phone.expired", "phone.wipe-scheduled", "phone.wiped"]
    assert found[ended].index("phone.fenced") < found[ended].index("phone.wiped")
    assert "phone.wiped" not in found[asked_for] + found[held] + found[suspended]
    assert all(verified(one) for one in receiver.asked)
    in_order: dict[tuple[str, str], list[str]] = {}
    for one in receiver.taken:
        subject = one.event.get("subject", "")
        # Of the host itself only those of one noun wait for each other.
        noun = "" if subject else one.event["type"].removeprefix("wiped.").partition(".")[0]
        in_order.setdefault((subject, noun), []).append(one.event["sequence"])
    assert all(numbers == sorted(numbers) for numbers in in_order.values())
    everything = b"\n".join(one.body for one in receiver.asked).decode() + repr([one.headers for one in receiver.asked])
    assert [word for word in WORDS if word in everything.lower()] == []


async def test_dead_letters_are_a_fault_and_a_new_start_tries_them_again(settings: Settings, receiver: Receiver) -> None:
    """What was given up is told by status, and is the first thing that the next daemon sends."""
    receiver.mood = lambda _: 204
    async with app._ledger_of(settings, SystemClock(), parts(FakeHost(SystemClock().boottime))) as ledger:
        await ledger.notices.receive(tuple(NoticeKind))
        now = SystemClock().now()
        host = FakeHost(SystemClock().boottime)
        phone = host.add_phone(1)
        await ledger.phones.see(host.all_domains(), now)
        await ledger.phones.mark(phone, fenced=True, reason="kept")
        (notice,) = await ledger.notices.find()
        await ledger.notices.note_delivery(notice.id, now, delivered=False, fault="http-422")
        assert (await ledger.notices.backlog()).dead == 1
    async with running(settings, parts(host)) as client:
        async with asyncio.timeout(PATIENCE):
            while not receiver.taken:
                await asyncio.sleep(0.05)
        answer = await until(client, "/v1/status", lambda answer: "notices" not in answer["faults"])
        assert answer["faults"].get("notices") is None
    assert receiver.taken[0].headers["webhook-id"] == notice.id


async def test_a_secret_that_cannot_be_used_is_a_fault_of_the_configuration(settings: Settings) -> None:
    """Exit 78 before anything is begun, with the key."""
    Path(settings.webhooks.secret_file).write_text("whsec_geheim!")
    with pytest.raises(ConfigError) as caught:
        await app.run(settings, parts=parts(FakeHost(SystemClock().boottime)))
    assert [key for key, _ in caught.value.faults] == ["webhooks.secret_file"]
    assert "geheim" not in str(caught.value)
