"""Agreeing and saying no: who counts, how many it takes, and what a rejection restores."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest

from tests.unit.conduct.account import ANNA, BORIS, CLEO, ROOT, bound, cancelled, settle, state
from tests.unit.conduct.face import face
from tests.unit.conduct.rig import SAFETY, Rig
from wiped.errors import RefusedError
from wiped.model.approvals import ApprovalState
from wiped.model.subscription import State


async def test_what_root_asked_for_takes_two_others(tmp_path: Path) -> None:
    """sudo merges people: whoever typed it may be one of them."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig, ROOT)
        once = await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
        assert (once.state, once.needed) == (ApprovalState.PENDING, 2)
        again = await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
        assert again.state is ApprovalState.PENDING
        await settle(rig, SAFETY.settle)
        assert rig.host.remains("SECRET") == 5
        await rig.service.approvals.approve(approval.id, fingerprint="", person=CLEO)
        await settle(rig, SAFETY.settle)
        assert await state(rig, phones[0]) is State.RELEASED


async def test_a_request_that_is_rejected_gives_the_phone_back(tmp_path: Path) -> None:
    """The second person says no: the fence is lifted; whoever asked for a cancellation cannot take it back."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig)
        with pytest.raises(RefusedError):
            await rig.service.approvals.reject(approval.id, reason="a mistake", person=ANNA)
        assert phones[0] in rig.host.fences
        await rig.service.approvals.reject(approval.id, reason="it was another account", person=BORIS)
        await settle(rig)
        assert phones[0] not in rig.host.fences
        assert await rig.service.requests.find() == ()


async def test_approving_passes_at_most_five_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the API's route to the ledger: whenever something is written to the ledger while somebody approves, the call stack from the route's module down to
    the ledger's store holds at most five modules of ours. Measured by `sys.setprofile` at a wipe of three phones and at the release of a hold.

    Not counted: what every route has before its handler (who is asking), what is beneath a store (the database), and what follows from an approval: the phones
    are decided anew by the sweep."""
    ways: set[tuple[str, ...]] = set()

    def look(frame: FrameType | None, event: str, _argument: object) -> None:
        if event != "call" or frame is None or (_module(frame), frame.f_code.co_name) != ("wiped.record.sql.database", "write"):
            return
        way: list[str] = []
        while (frame := frame.f_back) is not None:
            module = _module(frame)
            if module.startswith("wiped.") and module not in (*way, "wiped.record.sql.database", "wiped.api.server"):
                way.append(module)
        ways.add(tuple(way))

    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig)
        hold = await rig.service.holds.add(uuid=phones[2], authority="Court", reference="1 O 1", ground="litigation", until=None, disclose=True, reason="",
                                           person=ANNA)  # fmt: skip
        approval = await cancelled(rig)
        with pytest.raises(RefusedError) as caught:
            await rig.service.holds.release(hold.id, reason="it ended", person=ANNA)
        async with face(rig, BORIS, monkeypatch) as ask:
            sys.setprofile(look)
            try:
                for identifier in (approval.id, caught.value.approval):
                    status, told = await ask("POST", f"/v1/approvals/{identifier}", json={"decision": "approve", "fingerprint": ""})
                    assert (status, told["state"]) == (200, "approved")
            finally:
                sys.setprofile(None)
    straight = {way for way in ways if not any(module.startswith("wiped.conduct.sweep.") for module in way)}
    assert all("wiped.api.v1.approvals" in way for way in straight), straight
    assert {module for way in straight for module in way if ".deeds." in module} == {"wiped.conduct.deeds.wipe", "wiped.conduct.deeds.hold_release"}
    assert max(map(len, straight)) <= 5, max(straight, key=len)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
