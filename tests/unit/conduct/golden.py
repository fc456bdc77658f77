"""A base image and those who classify it: what several test files tell stories about."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import RefusedError
from wiped.model.approvals import Approval, Person
from wiped.model.images import ClassifiedImage

BASE = "/phones/base.qcow2"


ANN, BEN = Person("ann", 1001), Person("ben", 1002, may_approve=True)


async def classify(rig: Rig, path: str = BASE, meaning: str = "golden", reason: str = "the base of all") -> ClassifiedImage:
    """`wipectl images classify`."""
    return await rig.service.images.classify(path, meaning, reason=reason, person=ANN)


async def wished(rig: Rig) -> Approval:
    """The wish to call the base private, which waits."""
    with pytest.raises(RefusedError) as caught:
        await classify(rig, meaning="private", reason="its own")
    assert caught.value.codes == ("needs-approval",)
    assert (rig.sheets.images, await rig.ledger.images.classified()) == ({}, ())
    return await rig.service.approvals.get(caught.value.approval)


def with_base(rig: Rig) -> str:
    """A phone over a base that nothing says is golden, and nothing says is private."""
    rig.host.add_file(BASE, b"BASE of somebody".ljust(4096, b"."))
    return rig.host.add_phone(1, golden=BASE)
