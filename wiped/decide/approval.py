"""Two people (R14): who may agree to what somebody else asked, when that is enough, and when it lapses. Pure.

    asked by a particular person   -> one other person with the approver's role
    asked by uid 0 (sudo merges people: nobody in particular) -> two different people with the approver's role, neither of them root

A name or a uid in common makes two identities one person: a token and a login of one person bear one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from wiped.model.approvals import Approval, ApprovalState, Person
from wiped.model.canonical import digest
from wiped.model.plan import Refusal, RefusalCode
from wiped.model.policy import Safety
from wiped.model.subscription import WipeRequest


def needed(asker: Person) -> int:
    """How many other people what `asker` asked for takes."""
    return 1 if asker.somebody else 2


def combined(fingerprints: Mapping[str, str]) -> str:
    """What is approved, as one fingerprint: a single phone's own, or the digest of several phones' (uuid -> fingerprint), whatever their order."""
    if len(fingerprints) == 1:
        return next(iter(fingerprints.values()))
    return digest(sorted([uuid, fingerprint] for uuid, fingerprint in fingerprints.items()))


def expires_at(asked_at: datetime, safety: Safety) -> datetime:
    """Until when it may be agreed to."""
    return asked_at + timedelta(seconds=safety.approval_ttl)


def objection(person: Person, approval: Approval, now: datetime) -> Refusal | None:
    """Why `person` cannot agree to `approval` now; None if they can."""
    if approval.state is ApprovalState.EXPIRED or now >= approval.expires_at:
        return Refusal(RefusalCode.EXPIRED_APPROVAL, "", "nobody approved in time: ask again")
    if approval.state is not ApprovalState.PENDING:
        return Refusal(RefusalCode.NEEDS_APPROVAL, "", f"approval {approval.id} is already {approval.state}")
    if not person.somebody:
        return Refusal(RefusalCode.NEEDS_APPROVAL, "", "root is a shared account and approves nothing: log in as yourself")
    if not person.may_approve:
        return Refusal(RefusalCode.NEEDS_APPROVAL, "", "approving takes the approver's role")
    if person.name == approval.asked_by or (person.uid >= 0 and person.uid == approval.asked_uid):
        return Refusal(RefusalCode.NEEDS_APPROVAL, "", "the requester cannot approve it: a second, different person does")
    return None


def enough(approval: Approval) -> bool:
    """Whether so many different people agreed as it takes, the asker not among them."""
    return len(set(approval.approvals) - {approval.asked_by}) >= approval.needed


def said_again(person: Person, approval: Approval, now: datetime) -> bool:
    """Whether `person` only repeats what they agreed to and may still agree to: it renews nothing, and is not for one who lost the role."""
    agreed = approval.state is ApprovalState.APPROVED and person.name in approval.approvals and now < approval.expires_at
    return agreed and person.somebody and person.may_approve


def stands(request: WipeRequest, now: datetime) -> bool:
    """Whether a second person's (or billing's) agreement to `request` may be used at `now`."""
    if request.signed:
        return True
    return request.approved and (request.approved_until is None or now < request.approved_until)
