"""What every deed can do: ask for it, once, and tell the requester who is needed."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.conduct.rig import SAFETY, Rig
from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.model.approvals import Approval, ApprovalState, Person

ANNA, ROOT = Person("anna", 1001), Person("root", 0)


async def _standing(_world: World, _work: Work, _approval: Approval) -> Standing:
    return Standing("grey")


async def _carry_out(_world: World, _work: Work, _approval: Approval, _approver: str, _seen: Standing) -> None:
    raise AssertionError("asking carries out nothing")


DEED = Deed("paint-hall", "painting a hall", _standing, _carry_out, lambda approval: f"paint {approval.subject}")


async def ask(rig: Rig, fingerprint: str, deed: Deed = DEED, person: Person = ANNA) -> Approval:
    """One request for the same hall."""
    return await deed.ask(rig.world, person, subject="hall-1", uuids=(), fingerprint=fingerprint)


async def test_the_same_thing_is_asked_for_once_and_another_replaces_it() -> None:
    """What waits is returned; where it would be another thing, what waited is withdrawn."""
    rig = Rig()
    first = await ask(rig, "grey")
    assert (first.asked_by, first.asked_uid, first.needed) == ("anna", 1001, 1)
    assert (first.expires_at - first.asked_at).total_seconds() == SAFETY.approval_ttl
    assert (await ask(rig, "grey")).id == first.id
    other = await ask(rig, "green")
    assert (await rig.service.approvals.get(first.id)).state is ApprovalState.WITHDRAWN
    assert (await rig.service.approvals.get(other.id)).state is ApprovalState.PENDING


async def test_what_looks_again_stays_when_it_changed() -> None:
    """A request whose plan may change waits on, under its first fingerprint until somebody looks."""
    rig, deed = Rig(), replace(DEED, looks_again=True)
    first = await ask(rig, "grey", deed)
    assert (await ask(rig, "green", deed)).id == first.id


async def test_the_requester_is_told_who_is_needed_and_how() -> None:
    """The refusal names the approval and the command; what root asked for takes two others. It is counted."""
    rig = Rig()
    asked = await ask(rig, "grey")
    error = DEED.needs_another(rig.world, asked)
    assert (error.codes, error.approval, error.hint) == (("needs-approval",), asked.id, f"wipectl approvals approve {asked.id}")
    assert str(error).startswith("painting a hall needs approval by a second, different person")
    by_root = DEED.needs_another(rig.world, await ask(rig, "green", person=ROOT))
    assert "two different people" in str(by_root)
    assert rig.announcer.codes["needs-approval"] == 2
