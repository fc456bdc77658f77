"""Port Feed over a source: fetch, read, weigh (`decide.feed_answer`), hand the records to the ledger, remember; and tell each failure apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Protocol

import structlog

from wiped.decide.feed_answer import AnswerFacts, FeedFault, FeedMemory, digest_of, weigh
from wiped.feed.answers import Answer, FeedError, Page, joined
from wiped.feed.signed import Verifier
from wiped.model.policy import Safety
from wiped.model.subscription import FeedStatus
from wiped.ports.ledger.conditions import ConditionStore
from wiped.ports.ledger.subscriptions import SubscriptionStore
from wiped.ports.machine import Clock

_log = structlog.get_logger(__name__)
_CONDITION = "feed"
_SHOWN = 5


class Source(Protocol):
    """Where an answer comes from. `kind`: as in the configuration."""

    kind: str

    async def fetch(self) -> tuple[Page, ...]:
        """All pages of one answer, at least one. Raises FeedError; never anything else for what the other side does."""

    def forget(self) -> None:
        """The last answer was not taken: the next one is asked for whole."""


class PolledFeed:
    """`failed`: told each failure (metrics). What the last taken answer was is kept in the ledger: a restart forgets no revision."""

    def __init__(self, source: Source, subscriptions: SubscriptionStore, conditions: ConditionStore, clock: Clock, safety: Safety, *,
                 policies: frozenset[str], verifier: Verifier | None = None, failed: Callable[[str], None] = lambda reason: None) -> None:  # fmt: skip
        self._source = source
        self._subscriptions = subscriptions
        self._conditions = conditions
        self._clock = clock
        self._safety = safety
        self._policies = policies
        self._verifier = verifier
        self._failed = failed
        self._status = FeedStatus(complete_at=None, kind=source.kind)
        self._told = ""

    async def poll(self) -> FeedStatus:
        """See `ports.Feed`."""
        try:
            pages = await self._source.fetch()
            answer = await asyncio.to_thread(joined, pages, self._clock.now(), policies=self._policies, verifier=self._verifier)
            await self._take(answer)
        except FeedError as error:
            self._source.forget()
            self._fail(error.fault, error.detail)
        return self._status

    async def _take(self, answer: Answer) -> None:
        now = self._clock.now()
        memory = FeedMemory(**(await self._conditions.get(_CONDITION) or {}))
        named = [record.uuid for record in answer.records]
        facts = AnswerFacts(answer.revision, len(named) + len(answer.refused), digest_of([*named, *answer.refused]), answer.at)
        fault, after = weigh(memory, facts, bound=await self._subscriptions.bound(), safety=self._safety, now=now)
        if after != memory:
            await self._conditions.keep(_CONDITION, _plain(after))
        if fault is not None:
            raise FeedError(fault, _WORDS[fault])
        taken = await self._subscriptions.record_answer(answer.records, now, source=self._source.kind)
        refused = (*taken.refused, *((uuid, "unsigned") for uuid in answer.refused))
        complete_at = now if answer.at is None else min(now, answer.at)
        answers = self._status.complete_answers + 1
        self._status = replace(self._status, complete_at=complete_at, complete_answers=answers, fault="")
        if refused:
            self._tell(
                FeedFault.RECORD_REFUSED, f"{len(refused)} of its records were refused: {', '.join(f'{uuid} ({code})' for uuid, code in refused[:_SHOWN])}"
            )
            self._failed(FeedFault.RECORD_REFUSED)
        else:
            self._told = ""

    def _fail(self, fault: FeedFault, detail: str) -> None:
        """The age goes on from the last complete answer; answers in a row begin anew."""
        self._status = replace(self._status, complete_answers=0, fault=str(fault))
        self._failed(fault)
        self._tell(fault, detail)

    def _tell(self, fault: FeedFault, detail: str) -> None:
        """Once, and again when it changes: a feed that fails every minute does not fill the log."""
        line = f"{fault}: {detail}"
        if line != self._told:
            self._told = line
            _log.warning("the feed's answer was not taken" if fault is not FeedFault.RECORD_REFUSED else "records of the feed were refused",
                         feed=self._source.kind, fault=str(fault), detail=detail)  # fmt: skip


_WORDS = {
    FeedFault.OLDER: "its revision is lower than one that was taken: it went back, and nothing of it is taken",
    FeedFault.LEAPED: "its revision is far above the last one: a second answer that goes on from there is waited for",
    FeedFault.EMPTY: "it names no phone, and this host has some: nothing is concluded from it",
    FeedFault.SHRUNK: "it names far fewer phones than the last one: a second answer that says the same is waited for",
    FeedFault.FUTURE: "it was made later than this host's clock says it is",
}


def _plain(memory: FeedMemory) -> dict[str, Any]:
    return asdict(memory)
