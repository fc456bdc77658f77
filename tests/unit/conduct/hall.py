"""A host with many phones, its breaker, and its release: what several test files tell stories about."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import RefusedError
from wiped.model.approvals import Person
from wiped.model.breaker import BreakerRecord

MANY = 50
#: Where every phone is wiped over the real ledger: a few in the quick suite, all of them in the long one.
SOME_OR_MANY = pytest.mark.parametrize("many", [8, pytest.param(MANY, marks=pytest.mark.long)])


OP, OTHER = Person("op", 1001), Person("other", 1002, may_approve=True)


async def released(rig: Rig, reason: str) -> BreakerRecord:
    """Two people let the waiting phones go; the breaker as it was."""
    before = await rig.ledger.breaker.get()
    with pytest.raises(RefusedError) as caught:
        await rig.service.breaker.release(fingerprint=before.fingerprint, reason=reason, person=OP)
    assert (caught.value.codes, (await rig.ledger.breaker.get()).open) == (("needs-approval",), True)
    await rig.service.approvals.approve(caught.value.approval, fingerprint=before.fingerprint, person=OTHER)
    return before


def phones(rig: Rig, count: int, first: int = 1) -> list[str]:
    """Running phones."""
    return [rig.host.add_phone(number, running=True) for number in range(first, first + count)]


async def untouched(rig: Rig, uuids: list[str]) -> bool:
    """Nothing was fenced, stopped, begun or overwritten."""
    return all(rig.host.running(uuid) and uuid not in rig.host.fences for uuid in uuids) and not await rig.ledger.wipes.find()


async def opened(rig: Rig) -> BreakerRecord:
    """The breaker, which must be open."""
    found = await rig.ledger.breaker.get()
    assert found.open
    return found
