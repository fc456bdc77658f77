"""The daemon as one piece, over its real ledger and API: many phones at once, and a clock that jumps four hundred days."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.fakes.host import FakeHost
from tests.patience import PATIENCE
from tests.unit.app.test_app import ask, parts, running, settings, term
from wiped.config import Settings
from wiped.machine.clock import SystemClock

__all__ = ["settings"]

MANY = 12
YEARS = 400 * 86_400


class JumpingClock(SystemClock):
    """The real clocks, with realtime ahead by `ahead` seconds."""

    def __init__(self, ahead: float = 0) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def synchronised(self) -> bool | None:
        return False


async def until(client: aiohttp.ClientSession, path: str, what: Any) -> Any:
    """The document at `path`, once `what` is true of it."""
    async with asyncio.timeout(PATIENCE):
        while not what(document := await ask(client, path)):
            await asyncio.sleep(0.05)
        return document


async def test_many_phones_due_at_once_wait_for_two_people(settings: Settings) -> None:
    """Over a restart too; the operator is told, asks for their release by their fingerprint, and alone releases nothing (tests/host has both people)."""
    host = FakeHost(SystemClock().boottime)
    uuids = [host.add_phone(number) for number in range(1, MANY + 1)]
    words = term(1.0)  # one instant for all: a sweep between two instants would begin the first few
    lines = "\n".join(_line(uuid, words) for uuid in uuids)
    async with running(settings, parts(host)) as client:
        await until(client, "/v1/phones", lambda found: len(found["items"]) == MANY)
        async with client.post("/v1/subscriptions:import", data=lines, headers={"Content-Type": "application/x-ndjson"}) as answer:
            assert answer.status == 200, await answer.text()
        await until(client, "/v1/breaker", lambda found: found["open"])
    async with running(settings, parts(host)) as client:
        breaker = await until(client, "/v1/breaker", lambda found: len(found["phones"]) == MANY)
        status = await until(client, "/v1/status", lambda found: found["last_sweep_at"])
        assert (status["breaker_open"], "wipectl breaker release" in status["faults"]["breaker"]) == (True, True)
        assert (await ask(client, "/v1/wipes"))["items"] == []
        assert host.remains("SECRET") >= MANY
        assert not host.fences
        async with client.post("/v1/breaker", json={"reason": "another set", "fingerprint": "0" * 64}) as answer:
            assert (answer.status, (await answer.json())["codes"]) == (409, ["drift"])
        async with client.post("/v1/breaker", json={"reason": "the customer left", "fingerprint": breaker["fingerprint"]}) as answer:
            told = await answer.json()
            assert (answer.status, told["codes"]) == (409, ["needs-approval"])
        (waiting,) = (await ask(client, "/v1/approvals"))["items"]
        assert (waiting["id"], waiting["kind"], sorted(waiting["phones"])) == (told["approval"], "breaker-release", sorted(uuids))
        async with client.post(f"/v1/approvals/{waiting['id']}", json={"decision": "approve", "fingerprint": waiting["fingerprint"]}) as answer:
            assert answer.status == 403
        assert (await ask(client, "/v1/breaker"))["open"] is True
    assert host.remains("SECRET") >= MANY


def _line(uuid: str, words: dict[str, Any]) -> str:
    return '{"phone": "%s", %s}' % (uuid, ", ".join(f'"{key}": "{value}"' for key, value in words.items()))  # noqa: UP031 - braces


@pytest.mark.parametrize("down", [False, True])
async def test_a_jump_of_four_hundred_days_wipes_nothing(settings: Settings, *, down: bool) -> None:
    """While it runs, or while it was down; an operator is told what to do, and sets it right."""
    host = FakeHost(SystemClock().boottime)
    phones = [host.add_phone(number) for number in (1, 2)]
    clock = JumpingClock()
    async with running(settings, parts(host, clock=clock)) as client:
        await until(client, "/v1/phones", lambda found: len(found["items"]) == len(phones))
        for number, phone in enumerate(phones):
            await ask(client, f"/v1/phones/{phone}/subscription", term(30 * 86_400 + number), "PUT")
        await until(client, "/v1/status", lambda found: found["phones"]["active"] == len(phones))
        if not down:
            clock.ahead = YEARS
            await until(client, "/v1/status", lambda found: found["clock_suspect"])
    clock.ahead = YEARS
    async with running(settings, parts(host, clock=clock)) as client:
        status = await until(client, "/v1/status", lambda found: found["last_sweep_at"] and found["phones"]["active"] == len(phones))
        assert "wipectl clock trust" in status["faults"]["clock"]
        told = await ask(client, f"/v1/phones/{phones[0]}/explain")
        assert (told["state"], told["action"], told["reasons"][0]["code"]) == ("active", "none", "clock-suspect")
        assert (await ask(client, "/v1/clock"))["suspect"] == "stepped"
        assert ((await ask(client, "/v1/wipes"))["items"], host.fences) == ([], {})
        clock.ahead = 0
        await asyncio.sleep(0.1)
        assert (await ask(client, "/v1/clock"))["suspect"] == "stepped"
        trusted = await ask(client, "/v1/clock", {"reason": "set back"}, "POST")
        assert (trusted["suspect"], trusted["was"]) == ("", "stepped")
        await until(client, "/v1/status", lambda found: not found["clock_suspect"] and found["phones"]["active"] == len(phones))
    assert host.remains("SECRET") >= len(phones)
