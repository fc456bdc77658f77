"""Phones of one account and the people around them: what several test files tell stories about."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import RefusedError
from wiped.model.approvals import Approval, Person
from wiped.model.subscription import AccountReference, State

ANNA, BORIS, CLEO = Person("anna", 1001), Person("boris", 1002, may_approve=True), Person("cleo", 1003, may_approve=True)


ROOT = Person("root", 0)


ACCOUNT = AccountReference("li.wei@example.org")


async def bound(rig: Rig, phones: int = 3, *, account: str = ACCOUNT.value, seconds: float = 100_000) -> list[str]:
    """Running phones of one account whose terms run."""
    uuids = [rig.host.add_phone(number, running=True) for number in range(1, phones + 1)]
    await rig.reconciler.sweep()
    for number, uuid in enumerate(uuids):
        await rig.subscribe(uuid, seconds=seconds, account=account, number=f"s-{number}")
    await settle(rig)
    return uuids


async def settle(rig: Rig, seconds: float = 0) -> None:
    """Time, sweeps, and the work that they find."""
    rig.clock.move(seconds)
    for _ in range(3):
        await rig.reconciler.sweep()
        await rig.drain()


async def cancelled(rig: Rig, person: Person = ANNA) -> Approval:
    """The account was cancelled; what waits."""
    asked = await rig.service.requests.add("cancellation", "account-cancelled", account=ACCOUNT, reference="DSR-77", reason="she wrote to us",
                                          confirm=ACCOUNT.value, person=person)  # fmt: skip
    await settle(rig)
    assert asked.approval is not None
    return asked.approval


async def state(rig: Rig, uuid: str) -> State:
    """The phone's."""
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    return phone.state


async def refused(rig: Rig, approval: Approval, person: Person) -> str:
    """The code with which a person's agreement is refused."""
    with pytest.raises(RefusedError) as caught:
        await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=person)
    return caught.value.codes[0]
