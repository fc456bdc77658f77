"""One attempt over HTTP, to a real receiver: what counts as delivered, what speaks of the event alone, and where events never go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.fakes.receiver import SECRET, Receiver, free_port, receiving, verified
from tests.patience import PATIENCE
from tests.unit.notify.test_events import notice
from wiped.model.notices import Delivery
from wiped.notify.signing import parse_secrets
from wiped.notify.webhook import Webhook

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@contextlib.asynccontextmanager
async def webhook(url: str, *, patience: float = 5) -> AsyncIterator[Webhook]:
    """A courier to `url`."""
    async with Webhook(url, parse_secrets(SECRET), host="host-1", residency="eu", version="9", timeout=patience) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """One that takes everything."""
    async with receiving() as opened:
        yield opened


async def test_a_delivered_event_verifies(receiver: Receiver) -> None:
    """Content type, id, instant and signature; the body is the event."""
    async with webhook(receiver.url) as courier:
        assert await courier.carry(notice(outcome="clear"), NOW) == Delivery(True)
    (got,) = receiver.taken
    assert verified(got)
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert (got.headers["webhook-id"], got.headers["webhook-timestamp"]) == (got.event["id"], str(int(NOW.timestamp())))
    assert got.headers["user-agent"] == "wiped/9"


@pytest.mark.parametrize(
    ("mood", "delivery"),
    [
        (200, Delivery(True)),
        (202, Delivery(True)),
        (301, Delivery(False, "http-301")),
        (307, Delivery(False, "http-307")),
        (400, Delivery(False, "http-400", alone=True)),
        (401, Delivery(False, "http-401")),
        (422, Delivery(False, "http-422", alone=True)),
        (503, Delivery(False, "http-503")),
        ("drop", Delivery(False, "broken-answer")),
    ],
)
async def test_only_a_2xx_is_taken_for_received(mood: int | str, delivery: Delivery) -> None:
    """And a redirect is never followed: the configured host is the only one (R18)."""
    async with receiving() as elsewhere, receiving(lambda _: mood) as receiver:
        receiver.headers["Location"] = elsewhere.url
        async with webhook(receiver.url) as courier:
            assert await courier.carry(notice(), NOW) == delivery
        assert elsewhere.asked == []


async def test_the_receiver_may_ask_for_time() -> None:
    """Retry-After in seconds, within bounds; anything else is no wish."""
    async with receiving(lambda _: 429) as receiver, webhook(receiver.url) as courier:
        for said, seconds in (("120", 120), ("99999999", 14_400), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("-5", 0)):
            receiver.headers["Retry-After"] = said
            assert await courier.carry(notice(), NOW) == Delivery(False, "http-429", retry_after=seconds)


async def test_who_hangs_is_left_after_the_timeout() -> None:
    """An attempt is bounded."""
    async with receiving(lambda _: "hang") as receiver, webhook(receiver.url, patience=0.2) as courier:
        async with asyncio.timeout(PATIENCE):
            assert await courier.carry(notice(), NOW) == Delivery(False, "timeout")


async def test_nobody_there_and_no_tls_there() -> None:
    """Told apart for the operator."""
    async with webhook(f"http://127.0.0.1:{free_port()}/") as courier:
        assert await courier.carry(notice(), NOW) == Delivery(False, "connection")
    async with receiving() as receiver, webhook(f"https://127.0.0.1:{receiver.port}/") as courier:
        assert await courier.carry(notice(), NOW) == Delivery(False, "tls")
        assert receiver.asked == []


async def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events go where the configuration says."""
    async with receiving() as proxy:
        for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with webhook(receiver.url) as courier:
            assert (await courier.carry(notice(), NOW)).delivered
        assert (len(receiver.taken), proxy.asked) == (1, [])


async def test_a_courier_that_is_closed_carries_nothing(receiver: Receiver) -> None:
    """It says so instead of raising."""
    async with webhook(receiver.url) as courier:
        pass
    assert await courier.carry(notice(), NOW) == Delivery(False, "not-open")
