"""One gate (docs/design.md, I9): what may be done to a phone, and told of it, while something is not as it should be. Pure: a table of act and condition, which
docs/policy.md prints. Everything that cannot be undone, takes a customer's service or says something to a customer is asked of it with the same conditions.

The strictest answer of all conditions that hold counts: never, then two people, then wait, then go. Every cell is filled: an act or a condition without one
is an error at import, not a silent *go*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Act(StrEnum):
    """What is done. `lift` includes starting what the fence had stopped; `forget`: snapshots are dropped, accounts anonymised, salts destroyed."""

    STOP_DUE = "stop-due"
    STOP_OCCUPIED = "stop-occupied"
    STOP_ASKED = "stop-asked"
    LIFT = "lift"
    ERASE = "erase"
    FORGET = "forget"
    CLASSIFY = "classify-private"
    TELL = "tell"


class Condition(StrEnum):
    """What may be wrong, or in force. The words are those of reasons and refusals."""

    CLOCK_SUSPECT = "clock-suspect"
    UNKNOWN_POLICY = "unknown-policy"
    LEGAL_HOLD = "legal-hold"
    PROTECTED = "protected"
    FEED_STALE = "feed-stale"
    NOT_SETTLED = "not-settled"
    BREAKER_OPEN = "breaker-open"
    OUTSIDE_WINDOW = "outside-window"
    NEEDS_APPROVAL = "needs-approval"
    TERM_RUNS = "subscription-active"


class Answer(StrEnum):
    """What is done about the act. `ask`: a second person is asked; `wait`: asked again when the condition ends."""

    GO = "go"
    WAIT = "wait"
    ASK = "ask"
    NEVER = "never"


_STRICTEST: Final = (Answer.NEVER, Answer.ASK, Answer.WAIT, Answer.GO)
_GO, _WAIT, _ASK, _NEVER = Answer.GO, Answer.WAIT, Answer.ASK, Answer.NEVER

#: What each act is, and which rule it serves, for people.
ACTS: Final[Mapping[Act, str]] = {
    Act.STOP_DUE: "stop and fence a phone because its time has come: held or protected phones are kept so (R9)",
    Act.STOP_OCCUPIED: "stop and fence a phone because billing names another account before it was wiped",
    Act.STOP_ASKED: "stop and fence a phone because a person asked: suspension, deletion, cancellation, withdrawn consent, a guardian (R3 to R6, R17)",
    Act.LIFT: "take a fence down, and start the phone if the fence had stopped it",
    Act.ERASE: "overwrite, remove and undefine (R1); asked in the transaction of the last word, and again before each retry",
    Act.FORGET: "drop audit snapshots, anonymise accounts, destroy salts, when their period is over (R10)",
    Act.CLASSIFY: "call an image private, so that it may be erased with its phone",
    Act.TELL: "notices that say something of time: expiring, expired, scheduled, held (R8)",
}

_COLUMNS: Final = tuple(Condition)
#: The table, a line for each act, in the order of `Condition`: clock, policy, hold, protection, feed, settling, breaker, window, approval, running term.
_ROWS: Final[Mapping[Act, tuple[Answer, ...]]] = {
    Act.STOP_DUE: (_WAIT, _WAIT, _GO, _GO, _WAIT, _WAIT, _WAIT, _GO, _GO, _NEVER),
    Act.STOP_OCCUPIED: (_GO, _GO, _GO, _GO, _GO, _GO, _WAIT, _GO, _GO, _GO),
    Act.STOP_ASKED: (_GO, _GO, _GO, _GO, _GO, _GO, _GO, _GO, _GO, _GO),
    # By a suspect clock no phone changes its state (`lifecycle`): what lifts a fence then is a person's word or billing's.
    Act.LIFT: (_GO, _WAIT, _GO, _GO, _GO, _GO, _GO, _GO, _GO, _GO),
    Act.ERASE: (_WAIT, _WAIT, _NEVER, _NEVER, _WAIT, _WAIT, _WAIT, _WAIT, _ASK, _ASK),
    Act.FORGET: (_WAIT, _GO, _NEVER, _GO, _GO, _GO, _GO, _GO, _GO, _GO),
    Act.CLASSIFY: (_GO, _GO, _GO, _GO, _GO, _GO, _GO, _GO, _ASK, _GO),
    Act.TELL: (_WAIT, _WAIT, _GO, _GO, _GO, _GO, _GO, _GO, _GO, _GO),
}
TABLE: Final[Mapping[tuple[Act, Condition], Answer]] = {(act, column): answer for act in Act for column, answer in zip(_COLUMNS, _ROWS[act], strict=True)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, and the conditions that say so (none for *go*), in the order of `Condition`."""

    answer: Answer
    because: tuple[Condition, ...] = ()

    @property
    def go(self) -> bool:
        """Whether the act may be done now."""
        return self.answer is Answer.GO


def ask(act: Act, conditions: Collection[Condition]) -> Verdict:
    """Whether `act` may be done while all of `conditions` hold. Pure; total."""
    answers = {condition: TABLE[act, condition] for condition in Condition if condition in conditions}
    answer = next((each for each in _STRICTEST if each in answers.values()), Answer.GO)
    return Verdict(answer) if answer is Answer.GO else Verdict(answer, tuple(condition for condition, found in answers.items() if found is answer))
