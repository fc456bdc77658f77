"""One simulated host: six phones, and whatever may happen to them. Each event is drawn from a seed, told to the product by its own doors, and written into the
books; after each the sweeps run and the books judge."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from tests.fakes.ports import PowerCut
from tests.sim.books import Asked, Books, Page, Term
from tests.unit.conduct.rig import Rig
from wiped.conduct import policies
from wiped.conduct.sweep import retention
from wiped.errors import WipedError
from wiped.model.approvals import HoldGround, Person
from wiped.model.inventory import DomainState
from wiped.model.notices import NoticeKind
from wiped.model.policy import Policy
from wiped.model.records import WipeStep
from wiped.model.subscription import AccountReference, State, SubscriptionRecord

PHONES = 6
DAY = 86_400.0
#: So many phones one answer may stop (the rig's breaker).
BREAKER = 5
ANNA, BORIS = Person("anna", 1001), Person("boris", 1002, may_approve=True)
#: Notices that say something of time.
TIMED = (NoticeKind.EXPIRING, NoticeKind.EXPIRED, NoticeKind.WIPE_SCHEDULED)


class ViolationError(AssertionError):
    """The promise was broken: the seed, the step, and the story so far."""


class SimulatedHost:
    """`rig`: the product; `books`: what must be; `told`: the story, for people."""

    def __init__(self, rig: Rig, seed: int, often: tuple[str, ...] = ()) -> None:
        self.rig = rig
        self.seed = seed
        self.often = often
        self.random = random.Random(seed)
        self.books = Books()
        self.told: list[str] = []
        self.numbers = 0
        self.configured = {"default": Policy(grace=3_600, notice=(86_400, 3_600), stop_timeout=20)}
        self.told_notices = 0
        self.seen_entries = 0
        self.stopped: set[str] = set()
        self.sent: dict[str, list[SubscriptionRecord]] = {}
        self.accounts: dict[str, str] = {}

    # -- time

    @property
    def now(self) -> float:
        """True seconds since the beginning."""
        return self.rig.clock.boottime() - self.began

    def instant(self, seconds: float) -> datetime:
        """What a true time is called by billing, whose clock is right."""
        return self.start + timedelta(seconds=seconds)

    # -- the story

    async def run(self, steps: int) -> None:
        """Tell `steps` events and judge after each. Raises ViolationError."""
        self.began, self.start = self.rig.clock.boottime(), self.rig.clock.now()
        self.rig.clock.sync = None
        own = self.rig.host.witness

        async def witness(uuid: str, what: str, artefact: str) -> None:
            if own is not None:
                await own(uuid, what, artefact)
            if not self._begun(uuid) and (why := self.books.why_not_erased(uuid, self.now)):
                self.violated(f"{what} of {uuid[-2:]} although {why}")
            self.erasing.add(uuid)

        self.erasing: set[str] = set()
        self.rig.host.witness = witness
        await self.restart()
        for number in range(1, PHONES + 1):
            uuid = self.rig.host.add_phone(number, running=True)
            self.books.pages[uuid] = Page(uuid)
        await self.rig.ledger.notices.receive(tuple(NoticeKind))
        await self.settle()
        for uuid in self.books.pages:
            await self.answer(uuid, self.random.choice([2, 20, 60]) * DAY)
        await self.settle()
        for _ in range(steps):
            name, act = self.random.choice(self.told_often())
            self.told.append(name)
            await act()
            await self.settle()
            self.rig.clock.move(61)
            await self.settle()
            await self.judge()

    def told_often(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """The events, or those alone that this story is about."""
        return [event for event in self.events() if not self.often or event[0] in self.often]

    def events(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Everything that may happen, as often as it stands here."""
        return [
            *[("time", self.time_passes)] * 6,
            *[("renewal", self.renewal)] * 4,
            ("an old answer again", self.replay),
            ("an answer that leaves out", self.silent_renewal),
            ("all accounts re-keyed", self.rekeyed),
            ("one account re-keyed", self.rekeyed_once),
            ("corrected", self.corrected),
            ("by hand, earlier", self.by_hand),
            ("hold", self.hold),
            ("hold released", self.hold_released),
            ("request", self.request),
            ("approvals", self.approvals),
            ("suspend", self.suspend),
            ("resume", self.resume),
            ("protect", self.protect),
            ("clock", self.clock_steps),
            ("clock back", self.clock_back),
            ("clock trusted", self.clock_trusted),
            ("configuration", self.configuration),
            ("restart", self.restart),
            ("power cut", self.power_cut),
            ("feed", self.feed),
            ("libvirt", self.libvirt),
            ("helpers die", self.helpers_die),
            ("retention", self.forget),
            ("customer turns it off", self.turned_off),
            ("new customer", self.new_customer),
        ]

    def any(self) -> Page:
        """One phone."""
        return self.books.pages[self.random.choice(sorted(self.books.pages))]

    def number(self) -> str:
        """A new identifier."""
        self.numbers += 1
        return f"n-{self.numbers}"

    # -- events: time and host

    async def time_passes(self) -> None:
        """A minute, an hour, a week."""
        self.rig.clock.move(self.random.choice([120, 1_800, 7_200, DAY, 3 * DAY, 10 * DAY]))

    async def clock_steps(self) -> None:
        """By hours, months or years, either way."""
        step = self.random.choice([-2, -1, 1, 2]) * self.random.choice([7_200.0, 30 * DAY, 400 * DAY])
        self.rig.clock.step(step)
        self.books.offset += step

    async def clock_back(self) -> None:
        """Set right."""
        self.rig.clock.step(-self.books.offset)
        self.books.offset = 0.0

    async def clock_trusted(self) -> None:
        """An operator sets it right first, as the document says."""
        await self.clock_back()
        await self.settle()
        if self.rig.world.conditions.clock_suspect:
            await self.rig.service.clock.trust(reason="set right", operator="anna")
        self.books.trusted_offset = 0.0

    async def configuration(self) -> None:
        """A policy shorter, longer, gone, or back; the daemon starts again."""
        what = self.random.choice(["shorter", "longer", "gone", "back"])
        default = self.configured.get("default")
        if what == "gone":
            self.configured = {"other": Policy(name="other", grace=60)}
        elif what == "back" or default is None:
            self.configured = {"default": Policy(grace=self.random.choice([3_600, 5 * 86_400]), notice=(86_400, 3_600), stop_timeout=20)}
        else:
            grace = default.grace // 4 if what == "shorter" else default.grace * 4
            self.configured = {"default": replace(default, grace=max(120, min(grace, 30 * 86_400)))}
        await self.restart()

    async def restart(self) -> None:
        """A new daemon with the configuration as it stands."""
        self.rig.boot()
        self.rig.world = replace(self.rig.world, policies=dict(self.configured))
        self.rig.reconciler = type(self.rig.reconciler)(self.rig.world)
        self.rig.executor = type(self.rig.executor)(self.rig.world)
        self.rig.service = type(self.rig.service)(self.rig.world, self.rig.reconciler, self.rig.hub, self.rig._nudged)
        await self.rig.reconciler.look_at_clock()
        await policies.recall(self.rig.world)
        default = self.configured.get("default")
        for page in self.books.pages.values():
            page.unknown_policy = default is None
            if page.term is not None and default is not None:
                page.term.grace = max(page.term.grace, default.grace)

    async def power_cut(self) -> None:
        """Somewhere in what comes next; then a new daemon."""
        self.rig.milestones.seen.clear()
        self.rig.milestones.cut_at = self.random.randrange(30)

    async def feed(self) -> None:
        """Silent, or answering again."""
        self.rig.feed.silent = not self.rig.feed.silent

    async def libvirt(self) -> None:
        """Down, or back."""
        self.books.libvirt_down = self.rig.host.libvirt_down = not self.rig.host.libvirt_down

    async def helpers_die(self) -> None:
        """Both, after a while."""
        self.rig.eraser.dies_after = self.random.randrange(8)
        self.rig.observer.dies = self.random.randrange(3)

    async def forget(self) -> None:
        """Retention, with periods that are over soon."""
        await retention.forget(self.rig.world, snapshots=timedelta(days=1), audit=timedelta(days=2))

    async def turned_off(self) -> None:
        """By its own customer, or on."""
        page = self.any()
        if self.rig.host.libvirt_down or page.uuid not in self.rig.host.machines or page.uuid in self.rig.host.fences or page.wiped:
            return
        page.running = not page.running
        self.rig.host.update(page.uuid, state=DomainState.RUNNING if page.running else DomainState.SHUTOFF)

    # -- events: billing

    async def answer(self, uuid: str, seconds: float, *, account: str = "", left_out: bool = False, replayed: SubscriptionRecord | None = None) -> None:
        """One record of billing's http feed: its customer has the phone until `seconds` from now."""
        page = self.books.pages[uuid]
        known = self.accounts.setdefault(uuid, f"acct-{uuid[-2:]}")
        silent = frozenset({"policy", "minor", "product"}) if left_out else frozenset()
        record = replayed or SubscriptionRecord(
            uuid, f"s-{uuid[-2:]}-{known}", AccountReference(account or known), self.instant(-DAY), self.instant(self.now + seconds),
            revision=self.numbers, left_out=silent,
        )  # fmt: skip
        self.numbers += 1
        taken = await self.rig.ledger.subscriptions.record_answer((record,), self.rig.clock.now(), source="http")
        refused = {code for _, code in taken.refused}
        if "generation-occupied" in refused:
            page.conflict = True
            return
        if refused or replayed is not None:
            return
        page.conflict = False
        end = (record.expires_at - self.start).total_seconds()
        grace = self.configured["default"].grace if "default" in self.configured else 3_600
        if page.term is None or page.term.end != end:
            page.term = Term(end, self.books.host_time(self.now), grace)
        for asked in page.asked.values():
            asked.open &= asked.kind != "manual"
        self.sent.setdefault(uuid, []).append(record)

    def living(self) -> list[Page]:
        """Phones whose customer's data is whole."""
        return [page for page in self.books.pages.values() if not page.wiped and not self._begun(page.uuid)]

    def _begun(self, uuid: str) -> bool:
        return uuid in self.erasing

    async def renewal(self) -> None:
        """Later, or (explicitly) earlier."""
        if pages := self.living():
            await self.answer(self.random.choice(pages).uuid, self.random.choice([600, 2 * DAY, 20 * DAY, 60 * DAY]))

    async def silent_renewal(self) -> None:
        """Without policy, minor and product."""
        if pages := self.living():
            await self.answer(self.random.choice(pages).uuid, 20 * DAY, left_out=True)

    async def replay(self) -> None:
        """A record of before, again."""
        page = self.any()
        if len(self.sent.get(page.uuid, ())) > 1:
            await self.answer(page.uuid, 0, replayed=self.random.choice(self.sent[page.uuid][:-1]))

    async def rekeyed(self) -> None:
        """Every account in other letters."""
        for page in self.living():
            if page.term is not None:
                await self.answer(page.uuid, 20 * DAY, account=f"ACCT-{page.uuid[-2:]}")

    async def rekeyed_once(self) -> None:
        """One of them."""
        page = self.any()
        if page in self.living() and page.term is not None:
            await self.answer(page.uuid, 20 * DAY, account=f"ACCT-{page.uuid[-2:]}")

    async def corrected(self) -> None:
        """The right accounts for all."""
        for page in self.living():
            if page.conflict and page.term is not None:
                await self.answer(page.uuid, 20 * DAY)

    async def new_customer(self) -> None:
        """A wiped phone's UUID has a new domain, with somebody else's data."""
        page = self.any()
        phone = await self.rig.ledger.phones.get(page.uuid)
        if phone is None or phone.state is not State.RELEASED or not page.wiped or page.uuid in self.rig.host.machines:
            return
        self.rig.host.add_phone(int(page.uuid[-2:]), running=True)
        self.erasing.discard(page.uuid)
        self.accounts[page.uuid] = f"acct-{page.uuid[-2:]}-{self.number()}"
        self.books.pages[page.uuid] = Page(page.uuid, holds=page.holds)
        await self.settle()
        await self.answer(page.uuid, 20 * DAY)

    # -- events: people

    async def by_hand(self) -> None:
        """An operator types an earlier end, another policy or a minor; nobody agrees."""
        page = self.any()
        term = await self.rig.ledger.subscriptions.get(page.uuid)
        if term is None:
            return
        base = SubscriptionRecord(page.uuid, term.subscription_id, AccountReference(self.accounts[page.uuid]), term.starts_at, term.expires_at)
        wanted = self.random.choice([{"expires_at": self.rig.clock.now() + timedelta(seconds=60)}, {"minor": True}])
        record = replace(base, **wanted)  # type: ignore[arg-type]
        if record.expires_at <= record.starts_at or record.expires_at >= term.expires_at + timedelta(seconds=1):
            return
        with contextlib.suppress(WipedError):
            await self.rig.service.subscriptions.set(record, ANNA)

    async def hold(self) -> None:
        """With an end, or without."""
        page = self.any()
        seconds = self.random.choice([None, 5 * DAY, 30 * DAY])
        until = None if seconds is None else self.rig.clock.now() + timedelta(seconds=seconds)
        hold = await self.rig.service.holds.add(
            uuid=page.uuid, authority="court", reference="C-1", ground=str(next(iter(HoldGround))), until=until, person=ANNA
        )
        page.holds[hold.id] = None if seconds is None else self.books.host_time(self.now) + seconds

    async def hold_released(self) -> None:
        """By two people."""
        page = self.any()
        for hold_id in list(page.holds):
            with contextlib.suppress(WipedError):
                await self.rig.service.holds.release(hold_id, reason="over", person=ANNA)
            for approval in await self.rig.service.approvals.find():
                if approval.kind == "hold-release" and approval.subject == hold_id:
                    with contextlib.suppress(WipedError):
                        await self.rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
                        del page.holds[hold_id]
                    break

    async def request(self) -> None:
        """A deletion, a cancellation, a manual wipe."""
        page = self.any()
        phone = await self.rig.ledger.phones.get(page.uuid)
        if phone is None or page.term is None or page.wiped:
            return
        kind, ground = self.random.choice([("deletion", "no-consent"), ("manual", "service-ended"), ("leak", "reported-leak")])
        with contextlib.suppress(WipedError):
            asked = await self.rig.service.requests.add(kind, ground, uuid=page.uuid, reference="T-1", reason="asked", confirm=phone.name, person=ANNA)
            for _, request in asked.requests:
                page.asked[request.id] = Asked(kind, self.books.host_time(self.now))

    async def approvals(self) -> None:
        """A second person agrees to whatever waits, breaker and shortened terms left alone."""
        for approval in await self.rig.service.approvals.find():
            if approval.kind == "wipe":
                with contextlib.suppress(WipedError):
                    await self.rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
                    for uuid in approval.uuids:
                        for asked in self.books.pages[uuid].asked.values():
                            asked.agreed = True

    async def suspend(self) -> None:
        """An operator."""
        page = self.any()
        if not page.wiped:
            await self.rig.service.phones.suspend(page.uuid, reason="why", person=ANNA)
            page.suspended = True

    async def resume(self) -> None:
        """Takes it back, and answers reported leaks."""
        page = self.any()
        if page.suspended or any(each.kind == "leak" for each in page.asked.values()):
            await self.rig.service.phones.resume(page.uuid, reason="why", person=ANNA)
            page.suspended = False
            for asked in page.asked.values():
                asked.open &= asked.kind != "leak"

    async def protect(self) -> None:
        """Or not any more."""
        page = self.any()
        if page.wiped:
            return
        act = self.rig.service.phones.unprotect if page.protected else self.rig.service.phones.protect
        await act(page.uuid, reason="why", person=ANNA)
        page.protected = not page.protected

    # -- what follows, and what must be

    async def settle(self) -> None:
        """A sweep and its work; a power cut ends the daemon, and a new one sweeps."""
        for _ in range(3):
            try:
                await self.rig.reconciler.sweep()
                for _ in range(40):
                    work = await self.rig.reconciler.queue._next()
                    if work is None:
                        return
                    self.rig.reconciler.queue._waiting.pop(work.key, None)
                    try:
                        await self.rig.reconciler.queue.do(work)
                    except WipedError:
                        self.rig.reconciler.queue._hold_back(work, 1.0, 300.0)
            except PowerCut:
                self.told.append("... the power goes")
                for inode in self.rig.host.inodes:
                    inode.locked_by = None
                await self.restart()

    async def judge(self) -> None:
        """The books against the host, the ledger and the certificates."""
        for uuid, page in self.books.pages.items():
            phone = await self.rig.ledger.phones.get(uuid)
            if phone is None:
                continue
            if phone.state is State.RELEASED:
                page.wiped, page.protected, page.suspended = True, False, False
            wipes = [wipe for wipe in await self.rig.ledger.wipes.find(uuid) if wipe.step is WipeStep.RELEASED]
            generations = [wipe.generation for wipe in wipes]
            if len(generations) != len(set(generations)):
                self.violated(f"{uuid[-2:]}: a generation ended twice")
            if not self.books.libvirt_down and not self._begun(uuid):
                await self._judge_service(uuid, page)
            if phone.state not in (State.ERASING, State.VERIFYING, State.QUARANTINED) and uuid in self.rig.host.machines:
                told = (await self.rig.service.phones.explain(uuid)).decision
                now = await self.rig.ledger.phones.get(uuid)
                assert now is not None
                if told.state is not now.state:
                    self.violated(f"{uuid[-2:]}: explain says {told.state}, the list {now.state}")
        stopped = {page.uuid for page in self.books.pages.values() if page.conflict and self._off_for_conflict_alone(page)}
        if len(stopped - self.stopped) > BREAKER:
            self.violated(f"{len(stopped)} paid phones were stopped at once, by one answer")
        self.stopped = stopped
        await self._judge_notices()
        await self._judge_forgetting()

    def _off_for_conflict_alone(self, page: Page) -> bool:
        on = page.uuid not in self.rig.host.machines or self.rig.host.running(page.uuid)
        return not on and self.books.why_off(page.uuid, self.now) == "billing names another account"

    async def _judge_forgetting(self) -> None:
        fresh = await self.rig.ledger.audit.entries(after=self.seen_entries, limit=100_000)
        self.seen_entries = fresh[-1].seq if fresh else self.seen_entries
        gone = {entry.kind for entry in fresh} & {"anonymised", "snapshots-dropped", "slot-destroyed"}
        if self.books.clock_wrong and gone:
            self.violated(f"{sorted(gone)} by a clock that is known to be wrong")

    async def _judge_service(self, uuid: str, page: Page) -> None:
        if not page.running or self.rig.host.running(uuid) or uuid not in self.rig.host.machines:
            return
        if why := self.books.why_off(uuid, self.now):
            self.told.append(f"({uuid[-2:]} is off: {why})")
            return
        if self.books.clock_wrong:
            return  # it was stopped while the clock was right, and nothing was concluded since
        for _ in range(4):
            self.rig.clock.move(301)
            await self.settle()
        if not self.rig.host.running(uuid) and not self.books.why_off(uuid, self.now) and not self.books.libvirt_down:
            phone = await self.rig.ledger.phones.get(uuid)
            self.violated(f"{uuid[-2:]} is paid for and off: {phone}")

    async def _judge_notices(self) -> None:
        found = await self.rig.ledger.notices.find(limit=100_000)
        fresh, self.told_notices = found[self.told_notices :], len(found)
        if self.books.clock_wrong and any(notice.kind in TIMED for notice in fresh):
            self.violated("a notice of time was sent by a clock that is known to be wrong")

    def violated(self, what: str) -> None:
        """Raises ViolationError."""
        raise ViolationError(f"seed {self.seed}, step {len(self.told)}, true day {self.now / DAY:.2f}: {what}; story: {', '.join(self.told[-40:])}")


@asynccontextmanager
async def simulated(seed: int, often: tuple[str, ...] = ()) -> AsyncIterator[SimulatedHost]:
    """A host over a ledger on a filesystem in memory, where there is one. `often`: the events that its story is about; without any, all."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as state_dir:
        Path(state_dir).chmod(0o700)
        async with Rig.on_disk(state_dir) as rig:
            yield SimulatedHost(rig, seed, often)
