"""The oracle's books: what was promised to each customer, in the host's true time (seconds since it began), by rules that are written here anew. Shares no code
with `wiped/decide`."""

from __future__ import annotations

from dataclasses import dataclass, field

#: The least time between a recorded end and a wipe, as the rig's safety says.
SETTLE = 60.0


@dataclass
class Term:
    """One customer's generation: the end as billing last stated it, when that was, and the longest grace told since then."""

    end: float
    stated_at: float
    grace: float
    minor: bool = False

    @property
    def earliest(self) -> float:
        """Before this nothing of it may be destroyed by time."""
        return max(self.end, self.stated_at) + max(0.0 if self.minor else self.grace, SETTLE)


@dataclass
class Asked:
    """A request of somebody's; `agreed`: a second person agreed to the plan as it was."""

    kind: str
    at: float
    agreed: bool = False
    signed: bool = False
    open: bool = True


@dataclass
class Page:
    """One phone. `running`: its customer had it on; `conflict`: billing's last word named another account."""

    uuid: str
    term: Term | None = None
    holds: dict[str, float | None] = field(default_factory=dict)
    """By id: when it lifts by itself, true time; None: never."""
    asked: dict[str, Asked] = field(default_factory=dict)
    protected: bool = False
    suspended: bool = False
    conflict: bool = False
    unknown_policy: bool = False
    running: bool = True
    wiped: bool = False
    certificates: int = 0

    def held(self, now: float) -> bool:
        """Whether any hold is in force."""
        return any(until is None or now < until for until in self.holds.values())


@dataclass
class Books:
    """All pages, and what is true of the host. `offset`: by how much its clock is wrong; `trusted_offset`: the part of it that a person called right."""

    pages: dict[str, Page] = field(default_factory=dict)
    offset: float = 0.0
    trusted_offset: float = 0.0
    answered_at: float | None = None
    libvirt_down: bool = False

    @property
    def clock_wrong(self) -> bool:
        """Whether the host must not conclude anything from its clock."""
        return abs(self.offset - self.trusted_offset) > 300

    def host_time(self, now: float) -> float:
        """What the host's clock says at a true time, seconds since the beginning."""
        return now + self.offset

    def why_not_erased(self, uuid: str, now: float) -> str:
        """Why no byte of this phone may go now; "" if it may. By the host's clock where a person called that right."""
        page = self.pages[uuid]
        seen = self.host_time(now)
        if page.term is None:
            return "nobody's phone is wiped"
        if page.held(seen):
            return "a hold is in force"
        if page.protected:
            return "it is protected"
        if page.unknown_policy:
            return "its policy is not configured"
        if self.clock_wrong:
            return "the clock is known to be wrong"
        asked = [each for each in page.asked.values() if each.open and each.kind != "leak"]
        if seen < page.term.earliest:
            agreed = [each for each in asked if (each.agreed and seen < page.term.end) or (seen >= page.term.end and seen >= each.at)]
            if not agreed:
                return f"its time has not come ({page.term.earliest - seen:.0f} s to go)"
        return ""

    def why_off(self, uuid: str, now: float) -> str:
        """Why this phone may be off; "" where its customer pays for one that runs and nobody said anything else."""
        page = self.pages[uuid]
        seen = self.host_time(now)
        if page.wiped or page.term is None or not page.running:
            return "not a running phone of anybody's"
        if page.suspended or any(each.open and each.kind not in ("manual", "drain") for each in page.asked.values()):
            return "somebody asked for it"
        if page.conflict:
            return "billing names another account"
        if page.unknown_policy:
            return "its policy is not configured"
        if seen >= page.term.end or any(each.open for each in page.asked.values()):
            return "its time has come, or somebody asked for its wipe"
        return ""
