"""The policy's specification as data: situation -> state, action, next instant, flags and reasons. `test_policy_table.py` checks every line of it, and that
docs/policy.md is printed from it: `python -m tests.unit.decide.situations > docs/policy.md`."""

# ruff: noqa: E501 - one line for one situation

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.decide.nouns import NOON, PHONE, facts, subscription
from wiped.decide import window
from wiped.decide.gate import ACTS, Act, Condition
from wiped.decide.gate import TABLE as TABLE_OF_THE_GATE
from wiped.decide.lifecycle import decide, last_word
from wiped.model.policy import Policy, Safety
from wiped.model.subscription import Decision, FeedStatus, Hold, State, Subscription, WipeRequest

SAFETY = Safety()
POLICY = Policy()
END = NOON
SPANS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def span(text: str) -> timedelta:
    """`7d`, `15m`, `1h30m`, as a timedelta."""
    seconds, number = 0, ""
    for sign in text:
        if sign.isdigit():
            number += sign
        else:
            seconds += int(number) * SPANS[sign]
            number = ""
    return timedelta(seconds=seconds)


def moment(text: str) -> datetime:
    """`end`, `end - 7d`, `end + 24h`: an instant around the end of the term."""
    words = text.split()
    if words == ["end"]:
        return END
    _, sign, length = words
    return END - span(length) if sign == "-" else END + span(length)


def told(at: datetime | None) -> str:
    """An instant around the end of the term, as `moment` reads it."""
    if at is None:
        return "never by time"
    seconds = int((at - END).total_seconds())
    if seconds == 0:
        return "end"
    left, parts = abs(seconds), []
    for unit, size in SPANS.items():
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return f"end {'-' if seconds < 0 else '+'} {''.join(parts)}"


def asked(kind: str, at: str, ground: str = "", **changes: Any) -> WipeRequest:
    """A request."""
    grounds = {"deletion": "no-consent", "cancellation": "account-cancelled", "guardian": "guardian-notice", "leak": "reported-leak",
               "consent-withdrawn": "consent-withdrawn", "manual": "service-ended", "drain": "operation-ends"}  # fmt: skip
    return WipeRequest(f"r-{kind}", kind, ground or grounds[kind], moment(at), operator="anna", **changes)


def agreed(request: WipeRequest, at: str, until: str) -> WipeRequest:
    """The same, once a second person approved it."""
    return replace(request, approved=True, approver="boris", approved_at=moment(at), approved_until=moment(until))


def drain(date: str, **changes: Any) -> WipeRequest:
    """A drain, announced thirty days before the end of the term."""
    return asked("drain", "end - 30d", effective_at=moment(date), **changes)


def hold(until: str = "", ground: str = "litigation") -> Hold:
    """A legal hold."""
    return Hold("h-1", PHONE, "", ground, moment(until) if until else None)


def term(**changes: Any) -> Subscription:
    """The term: it ends at `end` and was recorded thirty days before."""
    return subscription(**changes)


@dataclass(frozen=True, slots=True)
class Situation:
    """One line: `what` holds at `at`; then `state`, `action`, the `next` instant, `flags` and the codes of the reasons, in this order."""

    what: str
    at: str
    state: str
    action: str
    next: str
    reasons: str
    flags: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy = POLICY
    ask: Callable[..., Decision] = decide

    def decision(self) -> Decision:
        """What the policy says."""
        now = moment(self.at)
        return self.ask(facts(now, **self.facts), self.policy, SAFETY, now)

    @staticmethod
    def shown(decision: Decision) -> tuple[str, str, str, str, str]:
        """State, action, next instant, flags and reasons as this table writes them."""
        return (str(decision.state), str(decision.action), told(decision.next_at), " ".join(decision.flags), " ".join(r.code for r in decision.reasons))


NIGHT = replace(POLICY, window=window.parse("* 1-4 * * *", UTC, "* 1-4 * * * UTC"))
NO_GRACE = replace(POLICY, grace=0)
KEEP_RUNNING = replace(POLICY, fence_held=False)
GONE = {"present": False, "remembered": True}
DELETION = asked("deletion", "end - 10d")
CANCELLED = asked("cancellation", "end - 10d", account="acct-x")
LATE_DELETION = asked("deletion", "end + 1h")
MANUAL = asked("manual", "end - 1d")
LATE_MANUAL = asked("manual", "end + 1h")


def stale(at: str, answers: int = 9) -> FeedStatus:
    """A feed whose last complete answer came then."""
    return FeedStatus(moment(at), answers)


S = Situation
# fmt: off
TABLE: Mapping[str, tuple[Situation, ...]] = {
    'The end of a term (R1, R8)': (
        S('long before its end', 'end - 20d', 'active', 'none', 'end - 7d', 'subscription-active'),
        S('the first notice', 'end - 7d', 'notice', 'none', 'end - 1d', 'subscription-active'),
        S('the second notice', 'end - 1d', 'notice', 'none', 'end', 'subscription-active'),
        S('the last second', 'end - 1s', 'notice', 'none', 'end', 'subscription-active'),
        S('the end', 'end', 'grace', 'none', 'end + 1d', 'expired in-grace'),
        S('the last second of grace', 'end + 23h59m59s', 'grace', 'none', 'end + 1d', 'expired in-grace'),
        S('grace is over', 'end + 24h', 'due', 'wipe', 'end + 1d1m', 'due'),
        S('renewed in grace, for thirty days', 'end + 23h', 'active', 'none', 'end + 23d', 'subscription-active', facts={"subscription": term(expires_at=moment("end + 30d"))}),
        S('its end was first recorded an hour after it', 'end + 24h', 'grace', 'none', 'end + 1d1h', 'expired in-grace', facts={"subscription": term(first_recorded_at=moment("end + 1h"))}),
        S('a policy without grace: it settles first', 'end', 'grace', 'none', 'end + 15m', 'expired in-grace', policy=NO_GRACE),
        S('without grace, settled', 'end + 15m', 'due', 'wipe', 'end + 16m', 'due', policy=NO_GRACE),
        S('without grace, and the feed answered only once', 'end + 15m', 'due', 'none', 'end + 16m', 'due not-settled', facts={"feed": stale("end + 15m", 1)}, policy=NO_GRACE),
        S('the deadline passed', 'end + 72h', 'due', 'wipe', 'end + 3d1m', 'due', flags='overdue'),
        S("nobody's phone", 'end', 'unbound', 'none', 'never by time', 'unbound', facts={"subscription": None}),
        S("nobody's phone, and somebody asked for a deletion", 'end', 'unbound', 'fence', 'never by time', 'deletion-requested unbound', facts={"subscription": None, "requests": (DELETION,)}),
    ),
    'Minors (R6)': (
        S("a minor's phone at the end: no grace, it settles", 'end', 'grace', 'none', 'end + 15m', 'expired in-grace', flags='minor', facts={"subscription": term(minor=True)}),
        S("a minor's phone, settled", 'end + 15m', 'due', 'wipe', 'end + 16m', 'due', flags='minor', facts={"subscription": term(minor=True)}),
        S("a minor's phone, a day later: the shorter deadline", 'end + 24h', 'due', 'none', 'end + 1d1m', 'due breaker-open', flags='breaker overdue minor', facts={"subscription": term(minor=True), "breaker_open": True}),
        S('a guardian asked in the middle of the term', 'end - 10d', 'active', 'fence', 'end - 9d', 'subscription-active guardian-requested needs-approval', flags='awaiting-approval', facts={"requests": (asked("guardian", "end - 10d"),)}),
        S('a guardian asked, nobody approved for a day', 'end - 9d', 'active', 'fence', 'end - 7d', 'subscription-active guardian-requested needs-approval', flags='awaiting-approval overdue', facts={"requests": (asked("guardian", "end - 10d"),)}),
        S('a guardian asked, a second person agreed, settled', 'end - 9d23h', 'due', 'wipe', 'end - 9d22h59m', 'due', facts={"requests": (agreed(asked("guardian", "end - 10d"), "end - 9d23h30m", "end - 6d"),)}),
        S('a guardian asked in grace', 'end + 2h', 'due', 'wipe', 'end + 2h1m', 'due', facts={"requests": (asked("guardian", "end + 1h"),)}),
    ),
    'Requests while the term runs (R3, R4, R5, R14)': (
        S('a deletion was asked for', 'end - 10d', 'active', 'fence', 'end - 7d', 'subscription-active deletion-requested needs-approval', flags='awaiting-approval', facts={"requests": (DELETION,)}),
        S('it is stopped and fenced, and waits for a second person', 'end - 9d', 'active', 'fence', 'end - 7d', 'subscription-active deletion-requested needs-approval', flags='fenced awaiting-approval', facts={"requests": (DELETION,), "fenced": True}),
        S('nobody approved until the deadline', 'end - 7d', 'notice', 'fence', 'end - 1d', 'subscription-active deletion-requested needs-approval', flags='fenced awaiting-approval overdue', facts={"requests": (DELETION,), "fenced": True}),
        S('a second person agreed; it settles', 'end - 9d23h55m', 'active', 'fence', 'end - 9d23h45m', 'subscription-active deletion-requested settling', facts={"requests": (agreed(DELETION, "end - 9d23h56m", "end - 6d"),)}),
        S('agreed to, and settled', 'end - 9d23h45m', 'due', 'wipe', 'end - 9d23h44m', 'due', facts={"requests": (agreed(DELETION, "end - 9d23h56m", "end - 6d"),)}),
        S('agreed to, settled, and the feed answered only once', 'end - 9d23h45m', 'due', 'fence', 'end - 9d23h44m', 'due not-settled', facts={"requests": (agreed(DELETION, "end - 9d23h56m", "end - 6d"),), "feed": stale("end - 9d23h45m", 1)}),
        S('agreed to, but not carried out until the approval expired', 'end - 6d', 'notice', 'fence', 'end - 1d', 'subscription-active deletion-requested needs-approval', flags='awaiting-approval overdue', facts={"requests": (agreed(DELETION, "end - 9d", "end - 6d"),)}),
        S('the account was cancelled', 'end - 10d', 'active', 'fence', 'end - 7d', 'subscription-active cancellation-requested needs-approval', flags='awaiting-approval', facts={"requests": (CANCELLED,)}),
        S('the account was cancelled and renewed: irrevocable', 'end - 1h', 'active', 'fence', 'end + 23d', 'subscription-active cancellation-requested needs-approval', flags='awaiting-approval overdue', facts={"subscription": term(expires_at=moment("end + 30d")), "requests": (CANCELLED,)}),
        S('cancelled, and a second person agreed', 'end - 9d', 'due', 'wipe', 'end - 8d23h59m', 'due', facts={"requests": (agreed(CANCELLED, "end - 9d1h", "end - 6d"),)}),
        S('consent was withdrawn', 'end - 10d', 'active', 'fence', 'end - 7d', 'subscription-active consent-withdrawn-requested needs-approval', flags='awaiting-approval', facts={"requests": (asked("consent-withdrawn", "end - 10d"),)}),
        S('a deletion signed by billing, settled', 'end - 9d23h', 'due', 'wipe', 'end - 9d22h59m', 'due', facts={"requests": (asked("deletion", "end - 10d", signed=True),)}),
        S('an operator asked for a wipe: nothing is touched', 'end - 12h', 'notice', 'none', 'end', 'subscription-active manual-requested needs-approval', flags='awaiting-approval', facts={"requests": (MANUAL,)}),
        S('an operator asked, a second person agreed', 'end - 12h', 'due', 'wipe', 'end - 11h59m', 'due', facts={"requests": (agreed(MANUAL, "end - 13h", "end + 2d"),)}),
        S('a deletion agreed to, and a cancellation that is not: both are told', 'end - 9d', 'due', 'wipe', 'end - 8d23h59m', 'due cancellation-requested', facts={"requests": (agreed(DELETION, "end - 9d1h", "end - 6d"), asked("cancellation", "end - 9d2h"))}),
    ),
    'Requests after the end': (
        S('a deletion asked for in grace: fenced at once, no second person', 'end + 1h', 'grace', 'fence', 'end + 1h15m', 'expired in-grace deletion-requested', facts={"requests": (LATE_DELETION,)}),
        S('settled', 'end + 1h15m', 'due', 'wipe', 'end + 1h16m', 'due', facts={"requests": (LATE_DELETION,)}),
        S('a deletion that nobody approved while the term ran', 'end + 15m', 'due', 'wipe', 'end + 16m', 'due', flags='fenced overdue', facts={"requests": (DELETION,), "fenced": True}),
        S("an operator's request in grace settles", 'end + 1h', 'grace', 'none', 'end + 1h15m', 'expired in-grace manual-requested', facts={"requests": (LATE_MANUAL,)}),
        S("an operator's request in grace, settled", 'end + 1h15m', 'due', 'wipe', 'end + 1h16m', 'due', facts={"requests": (LATE_MANUAL,)}),
        S("renewed after an operator's request in grace: nothing is touched", 'end + 1h10m', 'active', 'none', 'end + 3d1h', 'subscription-active manual-requested needs-approval', flags='awaiting-approval', facts={"subscription": term(expires_at=moment("end + 30d")), "requests": (LATE_MANUAL,)}),
        S('asked for after grace is over: expiry binds, all are told', 'end + 25h', 'due', 'wipe', 'end + 1d1h1m', 'due deletion-requested', facts={"requests": (asked("deletion", "end + 25h"),)}),
    ),
    'Reported leaks and suspension (R17)': (
        S('a leak was reported: stopped and fenced, nothing else', 'end - 10d', 'active', 'fence', 'end - 7d', 'subscription-active leak-requested', facts={"requests": (asked("leak", "end - 10d"),)}),
        S('suspended by an operator', 'end - 10d', 'active', 'fence', 'end - 7d', 'subscription-active suspended', flags='suspended fenced', facts={"suspended": True, "fenced": True}),
        S('suspended in grace', 'end + 1h', 'grace', 'fence', 'end + 1d', 'expired in-grace suspended', flags='suspended', facts={"suspended": True}),
        S('suspended, and its time has come', 'end + 24h', 'due', 'wipe', 'end + 1d1m', 'due suspended', flags='suspended fenced', facts={"suspended": True, "fenced": True}),
        S('suspended and due, but the breaker is open', 'end + 24h', 'due', 'fence', 'end + 1d1m', 'due breaker-open suspended', flags='suspended fenced breaker', facts={"suspended": True, "fenced": True, "breaker_open": True}),
    ),
    'Drains (R7)': (
        S('announced for a date before the end', 'end - 20d', 'active', 'none', 'end - 7d', 'subscription-active drain-requested draining', facts={"requests": (drain("end - 5d"),), "draining": True}),
        S('its date, and nobody approved the wipe of running terms', 'end - 5d', 'notice', 'none', 'end - 2d', 'subscription-active drain-requested needs-approval', flags='awaiting-approval', facts={"requests": (drain("end - 5d"),), "draining": True}),
        S('its date, approved, settled', 'end - 4d', 'due', 'wipe', 'end - 3d23h59m', 'due', facts={"requests": (agreed(drain("end - 5d"), "end - 20d", "end + 90d"),), "draining": True}),
        S('approved, but not before its date', 'end - 6d', 'notice', 'none', 'end - 4d23h45m', 'subscription-active drain-requested settling', facts={"requests": (agreed(drain("end - 5d"), "end - 20d", "end + 90d"),), "draining": True}),
        S('its date in grace: no more grace', 'end + 2h15m', 'due', 'wipe', 'end + 2h16m', 'due', facts={"requests": (drain("end + 2h"),), "draining": True}),
    ),
    'Legal holds and protection (R9)': (
        S('held while the term runs', 'end - 10d', 'active', 'none', 'end - 7d', 'subscription-active', flags='held', facts={"holds": (hold(),)}),
        S('held in grace', 'end + 1h', 'grace', 'none', 'end + 1d', 'expired in-grace', flags='held', facts={"holds": (hold(),)}),
        S('held when its time comes: stopped, fenced and kept', 'end + 24h', 'due', 'fence', 'end + 3d', 'due legal-hold', flags='held', facts={"holds": (hold(),)}),
        S('the same under a policy that keeps held phones running', 'end + 24h', 'due', 'none', 'end + 3d', 'due legal-hold', flags='held', facts={"holds": (hold(),)}, policy=KEEP_RUNNING),
        S('held, and its account was cancelled and approved', 'end - 9d', 'due', 'fence', 'end - 7d', 'due legal-hold', flags='held', facts={"holds": (hold(),), "requests": (agreed(CANCELLED, "end - 9d1h", "end - 6d"),)}),
        S('a hold with an end date: told a week before it lifts', 'end + 24h', 'due', 'fence', 'end + 3d', 'due legal-hold hold-ends-soon', flags='held', facts={"holds": (hold("end + 7d"),)}),
        S('its hold has lifted', 'end + 7d', 'due', 'wipe', 'end + 7d1m', 'due', flags='overdue', facts={"holds": (hold("end + 7d"),)}),
        S('two holds: the longer one counts', 'end + 2d', 'due', 'fence', 'end + 3d', 'due legal-hold', flags='held', facts={"holds": (hold("end + 1d"), hold("end + 30d"))}),
        S('protected by an operator', 'end + 24h', 'due', 'fence', 'end + 3d', 'due protected', flags='protected', facts={"protected": True}),
        S('held, while a wipe waits in quarantine', 'end + 3d', 'quarantined', 'fence', 'never by time', 'legal-hold', flags='held', facts={"recorded_state": State.QUARANTINED, "holds": (hold(),)}, ask=last_word),
    ),
    'What can be wrong': (
        S('the clock is suspect, and the phone was due when it was trusted', 'end + 24h', 'due', 'none', 'end + 1d1m', 'due clock-suspect', facts={"clock_suspect": True, "recorded_state": State.DUE}),
        S('the clock is suspect, and the term ran when it was trusted', 'end + 24h', 'active', 'none', 'end + 1d1m', 'clock-suspect', facts={"clock_suspect": True}),
        S('the same, and billing renews it', 'end + 24h', 'active', 'none', 'end + 1d1m', 'subscription-active', facts={"clock_suspect": True, "recorded_state": State.DUE, "subscription": term(expires_at=moment("end + 30d"))}),
        S('the same, held', 'end + 24h', 'active', 'none', 'end + 1d1m', 'clock-suspect', flags='held', facts={"clock_suspect": True, "holds": (hold(),)}),
        S('the feed never answered', 'end + 24h', 'due', 'none', 'end + 1d1m', 'due feed-stale', facts={"feed": FeedStatus(None)}),
        S('the feed was last complete before the phone was due', 'end + 25h', 'due', 'none', 'end + 1d1h1m', 'due feed-stale', facts={"feed": stale("end + 23h")}),
        S('the feed is silent, but answered after the phone was due', 'end + 30h', 'due', 'wipe', 'end + 1d6h1m', 'due', facts={"feed": stale("end + 25h")}),
        S('the feed answered in the future', 'end + 24h', 'due', 'none', 'end + 1d1m', 'due clock-suspect', facts={"feed": stale("end + 48h")}),
        S('the breaker is open', 'end + 24h', 'due', 'none', 'end + 1d1m', 'due breaker-open', flags='breaker', facts={"breaker_open": True}),
        S('the last plan was refused', 'end + 24h', 'due', 'wipe', 'end + 1d5m', 'due shared-by-domain', flags='refused', facts={"refusals": ("shared-by-domain",)}),
        S('another account was recorded for it', 'end - 1h', 'notice', 'fence', 'end', 'subscription-active generation-occupied', flags='refused', facts={"occupied_by_other": True}),
        S('another account was recorded, and its time has come', 'end + 24h', 'due', 'wipe', 'end + 1d1m', 'due generation-occupied', flags='refused', facts={"occupied_by_other": True}),
    ),
    'Maintenance windows': (
        S('due at noon, the window opens at night', 'end + 24h', 'due', 'none', 'end + 1d13h', 'due outside-window', policy=NIGHT),
        S('the window is open', 'end + 1d13h', 'due', 'wipe', 'end + 1d13h1m', 'due', policy=NIGHT),
        S('overdue: whatever the window', 'end + 72h', 'due', 'wipe', 'end + 3d1m', 'due', flags='overdue', policy=NIGHT),
        S("a minor's: whatever the window", 'end + 15m', 'due', 'wipe', 'end + 16m', 'due', flags='minor', facts={"subscription": term(minor=True)}, policy=NIGHT),
        S('asked for by an operator: whatever the window', 'end + 1h15m', 'due', 'wipe', 'end + 1h16m', 'due', facts={"requests": (LATE_MANUAL,)}, policy=NIGHT),
        S('a deletion waits for the window, stopped and fenced', 'end + 1h15m', 'due', 'fence', 'end + 13h', 'due outside-window', facts={"requests": (LATE_DELETION,)}, policy=NIGHT),
    ),
    'Vanished phones': (
        S('the domain disappeared: that makes nothing due', 'end + 1h', 'vanished', 'none', 'end + 1d', 'no-such-domain', facts=GONE),
        S('its own time has come', 'end + 24h', 'due', 'wipe', 'end + 1d1m', 'due vanished', facts=GONE),
        S('its own time has come, held', 'end + 24h', 'due', 'fence', 'end + 3d', 'due vanished legal-hold', flags='held', facts={**GONE, "holds": (hold(),)}),
        S('it left by migration', 'end + 9d', 'vanished', 'none', 'never by time', 'migrated-away', facts={**GONE, "migrated": True}),
        S('a term for a phone that was never here', 'end + 9d', 'vanished', 'none', 'never by time', 'no-such-domain', facts={"present": False}),
    ),
    'The wipe itself (I7)': (
        S('renewed before the last word', 'end + 24h', 'active', 'none', 'end + 23d', 'subscription-active', facts={"subscription": term(expires_at=moment("end + 30d"))}, ask=last_word),
        S('renewed after it: it is finished', 'end + 24h', 'erasing', 'wipe', 'never by time', 'resume', facts={"recorded_state": State.ERASING, "subscription": term(expires_at=moment("end + 30d"))}, ask=last_word),
        S('held before a retry', 'end + 24h', 'erasing', 'fence', 'never by time', 'legal-hold', flags='held', facts={"recorded_state": State.ERASING, "holds": (hold(),)}, ask=last_word),
        S('a suspect clock before a retry', 'end + 24h', 'quarantined', 'fence', 'never by time', 'clock-suspect', facts={"recorded_state": State.QUARANTINED, "clock_suspect": True}, ask=last_word),
        S('erasing', 'end + 24h', 'erasing', 'none', 'never by time', 'is-erasing', facts={"recorded_state": State.ERASING}),
        S('in quarantine', 'end + 9d', 'quarantined', 'none', 'never by time', 'is-quarantined', facts={"recorded_state": State.QUARANTINED}),
        S('wiped and released', 'end + 9d', 'released', 'none', 'never by time', 'is-released', facts={"recorded_state": State.RELEASED}),
    ),
}
# fmt: on


def lines() -> list[Situation]:
    """All of them."""
    return [line for group in TABLE.values() for line in group]


def gate_table() -> list[str]:
    """The gate's table, from its own data."""
    words = {"go": "go", "wait": "**wait**", "ask": "**two people**", "never": "**never**"}
    columns = [str(condition) for condition in Condition]
    parts = [
        "## The gate: what stops which act (I9)",
        "",
        "One table (`wiped/decide/gate.py`) is asked by everything that cannot be undone, takes a customer's service or tells a customer something. Of all",
        "conditions that hold the strictest answer counts: never, two people, wait, go. *Wait*: it is asked again when the condition ends. A fence that stands",
        "is no new act: nothing here takes it down. While the clock is suspect no phone changes its state by time, in either direction; a record of billing's and",
        "a person's word count all the same. The breaker counts every phone that it would hold back, whether from a wipe or from being stopped.",
        "",
        "| act | " + " | ".join(columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    parts += [f"| `{act}` | " + " | ".join(words[TABLE_OF_THE_GATE[act, condition]] for condition in Condition) + " |" for act in Act]
    parts += ["", "| act | what it is |", "|---|---|", *(f"| `{act}` | {ACTS[act]} |" for act in Act)]
    return parts


def document() -> str:
    """docs/policy.md."""
    parts = [
        "# What happens to a phone, and when",
        "",
        "Printed from the table that the tests check (`python -m tests.unit.decide.situations > docs/policy.md`); the code is `wiped/decide/lifecycle.py`.",
        "",
        "The term ends at `end`, and was recorded thirty days before. The policy is the default one unless a line says otherwise: grace 24h,",
        "notices 168h and 24h before the end, deadline 72h (minors and guardians 24h), settle 15m. The feed has just given a complete answer, the clock is right, the domain is there.",
        "*Next* is when the decision changes by itself or is made again.",
    ]
    for name, group in TABLE.items():
        parts += ["", f"## {name}", "", "| at | situation | state | action | next | flags | reasons |", "|---|---|---|---|---|---|---|"]
        for line in group:
            cells = (line.at, line.what, f"**{line.state}**", line.action, line.next, line.flags, line.reasons.replace(" ", ", "))
            parts.append("| " + " | ".join(cells) + " |")
    parts += ["", *gate_table()]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(document(), end="")
