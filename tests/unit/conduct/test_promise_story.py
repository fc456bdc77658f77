"""The promise over any story: renewals, holds, requests, approvals, suspensions, crashes, lost feeds and stepped clocks in any order, on a clock that is
moved by hand. The oracle is written apart from `decide/`: it looks at the first byte of each wipe, and at the end of each generation."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.conduct.rig import GRACE, SAFETY, PowerCut, Rig
from wiped.conduct import survey
from wiped.errors import InputError, NotFoundError, RefusedError, WipedError
from wiped.model.approvals import GROUNDS, RequestKind
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, WipeRecord, WipeStep
from wiped.model.subscription import Hold, State, WipeRequest

_T = TypeVar("_T")
KINDS = [RequestKind.MANUAL, RequestKind.DELETION, RequestKind.CANCELLATION, RequestKind.CONSENT_WITHDRAWN, RequestKind.GUARDIAN, RequestKind.LEAK]
#: The deadline of the rig's policy, seconds.
DEADLINE = 259_200


@dataclass
class Asked:
    """A request as the oracle remembers it."""

    uuid: str
    kind: str
    at: datetime
    agreed_until: datetime | None = None
    closed: bool = False


@dataclass
class Known:
    """What the oracle knows of one phone: kept by the rules, never read from the ledger."""

    ends: datetime
    recorded: datetime
    hold: Hold | None = None
    protected: bool = False
    asked: dict[str, Asked] = field(default_factory=dict)


class PromiseStory(RuleBasedStateMachine):
    """Two phones that live, and a third whose term never ends and whom nobody asks anything about."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.rig = Rig()
        self.phones = [self.rig.host.add_phone(number, running=True) for number in (1, 2)]
        self.bystander = self.rig.host.add_phone(3, running=True)
        self.known: dict[str, Known] = {}
        self.begun: set[str] = set()
        self.numbers = 0
        self.suspicious = False
        self.answered: datetime | None = None

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run to the end."""
        return self.runner.run(work)

    def teardown(self) -> None:
        self.runner.close()

    @property
    def now(self) -> datetime:
        """The host's clock."""
        return self.rig.clock.now()

    def number(self, prefix: str) -> str:
        """A new identifier."""
        self.numbers += 1
        return f"{prefix}-{self.numbers}"

    @initialize()
    def begin(self) -> None:
        """Everybody has a term; the bystander's is without end."""
        self.do(self.rig.reconciler.sweep())
        for uuid in self.phones:
            self.known[uuid] = Known(self.now, self.now)
            self._bind(uuid, 1000)
        self.do(self.rig.subscribe(self.bystander, seconds=10**9))

    def _bind(self, uuid: str, seconds: float) -> None:
        self.do(self.rig.subscribe(uuid, seconds=seconds, number=self.number("s")))
        self.known[uuid].ends, self.known[uuid].recorded = self.now + timedelta(seconds=seconds), self.now

    # -- what people do
    @rule(which=st.integers(0, 1), seconds=st.sampled_from([100, 4_000, 100_000]))
    def renew(self, which: int, seconds: int) -> None:
        """The customer pays: in time it counts, too late it is refused."""
        uuid = self.phones[which]
        before = self._committed(uuid)
        if any(wipe.step is WipeStep.RELEASED for wipe in before):
            return  # its domain is gone; the next customer's is another one
        try:
            self._bind(uuid, seconds)
        except RefusedError:
            assert before
            return
        assert not before
        for asked in self.known[uuid].asked.values():
            asked.closed |= asked.kind == RequestKind.MANUAL

    @rule(which=st.integers(0, 1), kind=st.sampled_from(KINDS))
    def ask(self, which: int, kind: RequestKind) -> None:
        """Somebody asks for something."""
        uuid, identifier = self.phones[which], self.number("r")
        request = WipeRequest(identifier, kind, GROUNDS[kind][0], self.now, operator="anna")
        self.do(self.rig.ledger.requests.add(uuid, request, reference="", reason="", operator="anna"))
        self.known[uuid].asked[identifier] = Asked(uuid, kind, self.now)

    @rule(which=st.integers(0, 1), hours=st.sampled_from([1, 72]), wrong=st.booleans())
    def approve(self, which: int, hours: int, wrong: bool) -> None:
        """A second person agrees to a request as it stands, or to a plan that is another one by then."""
        uuid = self.phones[which]
        found = [key for key, asked in self.known[uuid].asked.items() if not asked.closed and asked.kind != RequestKind.LEAK]
        if not found or self._committed(uuid):
            return
        until = self.now + timedelta(hours=hours)
        fingerprint = "0" * 64
        if not wrong:
            try:
                phone = self.do(self.rig.ledger.phones.get(uuid))
                assert phone is not None
                fingerprint = self.do(survey.look(self.rig.world, uuid, phone.generation))[2].fingerprint
            except WipedError:
                return
        self.do(self.rig.ledger.requests.approve(found[-1], self.now, approver="boris", until=until, fingerprint=fingerprint))
        self.known[uuid].asked[found[-1]].agreed_until = None if wrong else until

    @rule(which=st.integers(0, 1))
    def reject(self, which: int) -> None:
        """A second person says no."""
        uuid = self.phones[which]
        found = [key for key, asked in self.known[uuid].asked.items() if not asked.closed]
        if found and not self._committed(uuid):
            self.do(self.rig.ledger.requests.close(found[0], self.now, code="rejected", operator="boris"))
            self.known[uuid].asked[found[0]].closed = True

    @rule(which=st.integers(0, 1), hours=st.sampled_from([None, 2, 30]))
    def hold(self, which: int, hours: int | None) -> None:
        """A court says so, for ever or for some time."""
        uuid = self.phones[which]
        if self.known[uuid].hold is None:
            until = None if hours is None else self.now + timedelta(hours=hours)
            hold = Hold(self.number("h"), uuid, "", "litigation", until)
            self.do(self.rig.ledger.holds.add(hold, self.now, "anna"))
            self.known[uuid].hold = hold

    @rule(which=st.integers(0, 1))
    def release_hold(self, which: int) -> None:
        """It says so no more."""
        uuid = self.phones[which]
        hold, self.known[uuid].hold = self.known[uuid].hold, None
        if hold is not None:
            with contextlib.suppress(NotFoundError, InputError):
                self.do(self.rig.ledger.holds.release(hold.id, self.now, "anna"))

    @rule(which=st.integers(0, 1), on=st.booleans())
    def protect(self, which: int, on: bool) -> None:
        """An operator's own hold."""
        self.do(self.rig.ledger.phones.mark(self.phones[which], protected=on, operator="anna"))
        self.known[self.phones[which]].protected = on

    # -- what happens
    @rule(seconds=st.sampled_from([30, 61, 400, GRACE, 20_000, 90_000]))
    def time_passes(self, seconds: int) -> None:
        """A minute or a day."""
        self.rig.clock.move(seconds)

    @rule(seconds=st.sampled_from([-90_000, 400, 90_000, 10_000_000]))
    def the_clock_is_stepped(self, seconds: int) -> None:
        """By hand or by a battery that died."""
        self.rig.clock.step(seconds)
        self.suspicious = True

    @rule()
    def the_clock_is_trusted(self) -> None:
        """An operator says that it is right."""
        self.do(self.rig.reconciler.look_at_clock())
        with contextlib.suppress(InputError):
            self.do(self.rig.service.clock.trust(reason="looked at it", operator="anna"))
        self.suspicious = False

    @rule(silent=st.booleans())
    def the_feed(self, silent: bool) -> None:
        """It goes and comes."""
        self.rig.feed.silent = silent

    @rule()
    def sweep(self) -> None:
        """One look at everything."""
        self.do(self.rig.reconciler.sweep())

    @rule()
    def reboot(self) -> None:
        """A new daemon."""
        self.do(self.rig.reboot())

    @rule(cut_at=st.one_of(st.none(), st.integers(0, 40)))
    def work(self, cut_at: int | None) -> None:
        """The queue is worked off; the power may go."""
        self.rig.milestones.seen.clear()
        self.rig.milestones.cut_at = cut_at
        try:
            self.do(self._work())
        except PowerCut:
            for inode in self.rig.host.inodes:
                inode.locked_by = None
            self.do(self.rig.reboot())
        self.rig.milestones.cut_at = None

    async def _work(self) -> None:
        await self.rig.reconciler.sweep()
        for _ in range(6):
            work = await self.rig.reconciler.queue._next()
            if work is None:
                return
            self.rig.reconciler.queue._waiting.pop(work.key, None)
            try:
                await self.rig.reconciler.queue.do(work)
            except WipedError:
                continue

    # -- what must hold
    def _wipes(self, uuid: str) -> tuple[WipeRecord, ...]:
        return self.do(self.rig.ledger.wipes.find(uuid))

    def _committed(self, uuid: str) -> list[WipeRecord]:
        return [wipe for wipe in self._wipes(uuid) if wipe.step in COMMITTED_STEPS]

    @invariant()
    def nothing_begins_that_must_not(self) -> None:
        """The first byte: not held, not protected, the term over or a second person's agreement to this very plan in force, settled, and a feed that
        answered; on a clock that nobody has moved."""
        for uuid, known in self.known.items():
            for wipe in self._committed(uuid):
                if wipe.id in self.begun:
                    continue
                self.begun.add(wipe.id)
                assert known.hold is None or (known.hold.until is not None and known.hold.until <= self.now), "held"
                assert not known.protected, "protected"
                assert not self.suspicious, "the clock was moved"
                settled = timedelta(seconds=SAFETY.settle)
                over = known.ends + settled <= self.now
                agreed = any(
                    not asked.closed and asked.agreed_until is not None and self.now < asked.agreed_until and asked.at + settled <= self.now
                    for asked in known.asked.values()
                )
                # Stopping a guest takes up to its patience, after which the last word is spoken again: the oracle's clock is that of the last word or later.
                assert over or agreed, "renewed in time, or unapproved"
                status = self.rig.feed.status
                assert status.complete_at is not None
                fresh = self.now - status.complete_at <= timedelta(seconds=SAFETY.feed_max_age + 60)
                assert fresh or status.complete_at >= min(known.ends, *(asked.at for asked in known.asked.values()), known.ends) + settled, "stale"

    @invariant()
    def every_generation_has_one_end(self) -> None:
        """At most one wipe of a generation passes its last word, and a released one's bytes are gone; a phone that is not begun is whole."""
        for number, uuid in enumerate(self.phones, start=1):
            committed = self._committed(uuid)
            assert len(committed) <= 1
            left = self.rig.host.remains(f"SECRET of phone-{number}")
            if not committed:
                assert left == 5
            elif committed[0].step is WipeStep.RELEASED:
                assert left == 0
                assert self.do(self.rig.ledger.phones.get(uuid)).state is State.RELEASED  # type: ignore[union-attr]
            elif committed[0].step is not WipeStep.JUDGED:
                assert uuid in self.rig.host.fences
                assert not self.rig.host.running(uuid)

    @invariant()
    def the_bystander_lives(self) -> None:
        """Whatever happens to the others."""
        assert self.rig.host.remains("SECRET of phone-3") == 5
        assert self.rig.host.running(self.bystander)
        assert self.bystander not in self.rig.host.fences

    @rule()
    def nothing_forbids_it_any_more(self) -> None:
        """All that stood in the way is settled: from here on every phone whose term is over is wiped within the deadline, and nobody else is touched."""
        rig = self.rig
        rig.feed.silent = False
        self.the_clock_is_trusted()
        for which in (0, 1):
            self.release_hold(which)
            self.protect(which, False)
        active = [uuid for uuid in self.phones if self.known[uuid].ends > self.now + timedelta(seconds=DEADLINE + GRACE) and not self._committed(uuid)]
        for _ in range(14):
            self.do(rig.reboot())
            self.work(None)
            self.nothing_begins_that_must_not()
            rig.clock.move(DEADLINE // 12)
        self.work(None)
        for uuid in self.phones:
            if uuid in active:
                continue
            if self.known[uuid].ends + timedelta(seconds=GRACE + DEADLINE) < self.now:
                (wipe,) = [wipe for wipe in self._wipes(uuid) if wipe.step is not WipeStep.CANCELLED]
                assert wipe.step in FINAL_STEPS, (wipe.step, self.do(rig.ledger.phones.get(uuid)))


TestPromiseStory = PromiseStory.TestCase
TestPromiseStory.__doc__ = "The promise over any story: see the rules and invariants of `PromiseStory`; WIPED_STORIES sets how many are told."
TestPromiseStory.settings = settings(
    max_examples=int(os.environ.get("WIPED_STORIES", "40")), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
