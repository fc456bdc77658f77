"""Everything that the faces may ask of the daemon: one part a noun. Every method answers with model records or raises one of `wiped.errors`; identity and
roles are the faces' business: `operator` is the authenticated name of a member of staff.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from wiped.conduct.deeds.deed import Work
from wiped.conduct.progress import Hub
from wiped.conduct.service.answers import Answers
from wiped.conduct.service.approvals import Approvals
from wiped.conduct.service.audit import Audit
from wiped.conduct.service.breaker import Breaker
from wiped.conduct.service.certificates import Certificates
from wiped.conduct.service.clock import Clock
from wiped.conduct.service.drains import Drains
from wiped.conduct.service.holds import Holds
from wiped.conduct.service.images import Images
from wiped.conduct.service.phones import Phones
from wiped.conduct.service.plans import Plans
from wiped.conduct.service.quarantine import Quarantine
from wiped.conduct.service.reports import Reports
from wiped.conduct.service.requests import Requests
from wiped.conduct.service.status import Status
from wiped.conduct.service.subscriptions import Subscriptions
from wiped.conduct.service.wipes import Wipes
from wiped.conduct.sweep.queue import WorkQueue
from wiped.conduct.world import World


class Sweeper(Work, Protocol):
    """The work on phones, and what of it is shown (`sweep.Reconciler`)."""

    queue: WorkQueue

    async def look_at_clock(self) -> None:
        """Look at the clock out of turn."""


class Service:
    """The parts. `nudge`: asks for a sweep soon."""

    def __init__(self, world: World, sweeper: Sweeper, hub: Hub, nudge: Callable[[], None]) -> None:
        self.status = Status(world, hub, sweeper.queue)
        self.phones = Phones(world, sweeper, nudge)
        self.plans = Plans(world)
        self.subscriptions = Subscriptions(world, sweeper, nudge)
        self.quarantine = Quarantine(world, sweeper)
        self.wipes = Wipes(world, sweeper, hub, nudge, self.quarantine)
        self.certificates = Certificates(world)
        self.audit = Audit(world)
        self.answers = Answers(world)
        self.breaker = Breaker(world)
        self.clock = Clock(world, sweeper.look_at_clock, nudge)
        self.images = Images(world, sweeper)
        self.requests = Requests(world, sweeper, nudge)
        self.holds = Holds(world, nudge)
        self.approvals = Approvals(world, sweeper, nudge)
        self.drains = Drains(world, nudge)
        self.reports = Reports(world)
