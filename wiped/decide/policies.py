"""Policies as they were when a customer was told (docs/design.md, I10): a grace that the configuration makes shorter counts for ends that are recorded after
the change; whoever was told a longer one keeps it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from wiped.model.policy import Policy
from wiped.model.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Promise:
    """The graces of one policy, seconds, as they stood from `at` on."""

    at: datetime
    grace: int
    minor_grace: int


#: By policy, oldest first.
Promises = Mapping[str, tuple[Promise, ...]]


def remembered(before: Promises, policies: Mapping[str, Policy], now: datetime) -> Promises:
    """`before`, with what the configuration says now where that is another grace than the newest remembered one. Policies that are gone stay remembered."""
    after = dict(before)
    for name, policy in policies.items():
        known = before.get(name, ())
        if not known or (known[-1].grace, known[-1].minor_grace) != (policy.grace, policy.minor_grace):
            after[name] = (*known, Promise(now, policy.grace, policy.minor_grace))
    return after


def shortened(before: Promises, policies: Mapping[str, Policy]) -> tuple[str, ...]:
    """The policies whose grace, or whose minors' grace, is shorter than the newest remembered one, by name."""
    newest = {name: known[-1] for name, known in before.items() if known}
    return tuple(
        sorted(
            name for name, policy in policies.items() if name in newest and (policy.grace < newest[name].grace or policy.minor_grace < newest[name].minor_grace)
        )
    )


def as_promised(policy: Policy, promises: Promises, term: Subscription) -> Policy:
    """`policy` with the longest grace that stood since the term's end was first recorded."""
    known = promises.get(policy.name, ())
    later = [promise for promise in known if promise.at > term.first_recorded_at]
    told = [promise for promise in known if promise.at <= term.first_recorded_at][-1:] + later
    if not told:
        return policy
    grace = max(policy.grace, *(promise.grace for promise in told))
    minor_grace = max(policy.minor_grace, *(promise.minor_grace for promise in told))
    return policy if (grace, minor_grace) == (policy.grace, policy.minor_grace) else replace(policy, grace=grace, minor_grace=minor_grace)
