"""All deeds in one table: found by file, each kind once; a kind that only a test defines walks the whole way, and one that nobody defines goes nowhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conduct.face import face
from tests.unit.conduct.rig import SAFETY, Rig
from wiped.conduct.deeds import table
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, ApprovalState, Person

ANNA, BORIS = Person("anna", 1001), Person("boris", 1002, may_approve=True)

#: What the hall looks like, as a fingerprint.
GREY = "9e" * 32
#: The whole of a new kind: one file.
PAINT = """
from wiped.conduct.deeds.deed import Deed, Standing

COLOURS = {"hall-1": "9e" * 32}
PAINTED, REJECTED = [], []

async def _standing(world, work, approval):
    return Standing(COLOURS.get(approval.subject, ""))

async def _carry_out(world, work, approval, approver, standing):
    words = await world.ledger.words.about(approval.id)
    PAINTED.append((approval.subject, approval.asked_by, approver, words["reason"], approval.terms["colour"]))

async def _on_reject(world, approval, person):
    REJECTED.append((approval.subject, person.name))

async def _is_gone(world, approval):
    return approval.subject not in COLOURS

DEED = Deed("paint-hall", "painting a hall", _standing, _carry_out, lambda item: f"paint {item.subject} {item.terms['colour']}",
            is_gone=_is_gone, on_reject=_on_reject)
"""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    (tmp_path / "state").mkdir()
    async with Rig.on_disk(str(tmp_path / "state")) as found:
        yield found


@pytest.fixture
def paint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The new kind's module, in the table as if its file lay beside the others."""
    room = tmp_path / "more_deeds"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "paint_hall.py").write_text(PAINT)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("more_deeds", "more_deeds.paint_hall"):  # of an earlier test
        sys.modules.pop(name, None)
    found = table.read([str(room)], "more_deeds.")
    assert list(found) == ["paint-hall"]
    monkeypatch.setitem(table.DEEDS, "paint-hall", found["paint-hall"])  # type: ignore[misc]
    return importlib.import_module("more_deeds.paint_hall")


async def wished(rig: Rig, paint: Any) -> Approval:
    """Anna asks for the hall to be painted."""
    asked = await paint.DEED.ask(rig.world, ANNA, subject="hall-1", uuids=(), fingerprint=GREY, reason="it is dirty", terms={"colour": "blue"})
    return await rig.service.approvals.get(asked.id)


def test_each_kind_is_the_file_of_its_name() -> None:
    """Who looks for a kind finds it without searching; the published words stay as they are."""
    room = Path(table.__file__).parent
    files = {path.stem for path in room.glob("*.py")} - {"__init__"} - table.FRAME
    assert {kind.replace("-", "_") for kind in table.DEEDS} == files
    assert set(table.DEEDS) == {"wipe", "shorten-term", "dispose", "breaker-release", "hold-release", "drain", "drain-cancel", "classify-private"}


async def test_a_kind_that_only_a_test_defines_is_carried_out(rig: Rig, paint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One new file and nothing else: asked, listed, approved over the API into the ledger, and carried out as it was asked for, once."""
    approval = await wished(rig, paint)
    async with face(rig, BORIS, monkeypatch) as ask:
        status, listed = await ask("GET", "/v1/approvals")
        assert (status, [(item["id"], item["kind"]) for item in listed["items"]]) == (200, [(approval.id, "paint-hall")])
        assert approval.what == "paint hall-1 blue"
        status, told = await ask("POST", f"/v1/approvals/{approval.id}", json={"decision": "approve", "fingerprint": GREY})
        assert (status, told["state"]) == (200, "approved")
    assert paint.PAINTED == [("hall-1", "anna", "boris", "it is dirty", "blue")]
    assert (await rig.service.approvals.get(approval.id)).approvals == ("boris",)
    asked, given = (entry.body for entry in await rig.ledger.audit.entries() if entry.kind in ("approval-asked", "approval-given"))
    assert (asked["kind"], asked["operator"], given["kind"], given["approver"]) == ("paint-hall", "anna", "paint-hall", "boris")
    assert [asked["subject"], "dirty" in str(asked)] == ["", False]


async def test_it_is_rejected_and_then_never_carried_out(rig: Rig, paint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deed undoes what its asking did; nobody can agree to it any more."""
    approval = await wished(rig, paint)
    async with face(rig, BORIS, monkeypatch) as ask:
        status, told = await ask("POST", f"/v1/approvals/{approval.id}", json={"decision": "reject", "reason": "leave it grey"})
        assert (status, told["state"]) == (200, "rejected")
    assert (paint.PAINTED, paint.REJECTED) == ([], [("hall-1", "boris")])
    with pytest.raises(RefusedError):
        await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
    assert paint.PAINTED == []


async def test_it_is_bound_to_what_was_asked_for(rig: Rig, paint: Any) -> None:
    """Changed: refused and withdrawn; the requester alone: refused; gone: withdrawn by the next sweep; too late: expired."""
    approval = await wished(rig, paint)
    with pytest.raises(RefusedError) as caught:
        await rig.service.approvals.approve(approval.id, fingerprint="", person=replace(ANNA, may_approve=True))
    assert caught.value.codes == ("needs-approval",)
    paint.COLOURS["hall-1"] = "ab" * 32
    with pytest.raises(RefusedError) as caught:
        await rig.service.approvals.approve(approval.id, fingerprint=GREY, person=BORIS)
    assert (caught.value.codes, bool(caught.value.hint)) == (("drift",), True)
    assert (await rig.service.approvals.get(approval.id)).state is ApprovalState.WITHDRAWN
    paint.COLOURS["hall-1"] = GREY
    second = await wished(rig, paint)
    del paint.COLOURS["hall-1"]
    await rig.reconciler.sweep()
    assert (await rig.service.approvals.get(second.id)).state is ApprovalState.WITHDRAWN
    paint.COLOURS["hall-1"] = GREY
    third = await wished(rig, paint)
    rig.clock.move(SAFETY.approval_ttl + 1)
    await rig.reconciler.sweep()
    assert (await rig.service.approvals.get(third.id)).state is ApprovalState.EXPIRED
    assert paint.PAINTED == []


async def test_a_crash_after_the_agreement_is_made_good_by_saying_it_again(rig: Rig, paint: Any) -> None:
    """Agreed to in the ledger and then the power went: the second person repeats it, and it is carried out."""
    approval = await wished(rig, paint)
    await rig.world.ledger.approvals.agree(approval.id, BORIS.name, rig.clock.now(), fingerprint=GREY)
    assert paint.PAINTED == []
    await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
    assert len(paint.PAINTED) == 1


async def test_a_kind_that_no_deed_knows_is_shown_and_never_carried_out(rig: Rig, paint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer version asked for it: agreeing and rejecting are refused with its name, before and after the agreement; sweeps go on, and it expires."""
    approval, agreed = await wished(rig, paint), Approval(**{**_fields(await wished(rig, paint)), "id": "a-2", "subject": "hall-2"})
    await rig.world.ledger.approvals.ask(agreed, reason="")
    await rig.world.ledger.approvals.agree(agreed.id, BORIS.name, rig.clock.now(), fingerprint=agreed.fingerprint)
    monkeypatch.delitem(table.DEEDS, "paint-hall")  # type: ignore[misc]
    shown = await rig.service.approvals.find()
    assert [(item.id, "paint-hall: unknown" in item.what) for item in shown] == [(approval.id, True)]
    for identifier in (approval.id, agreed.id):
        with pytest.raises(RefusedError, match="'paint-hall'") as caught:
            await rig.service.approvals.approve(identifier, fingerprint="", person=BORIS)
        assert (caught.value.codes, caught.value.approval) == (("needs-approval",), identifier)
        with pytest.raises(RefusedError, match="'paint-hall'"):
            await rig.service.approvals.reject(identifier, reason="no", person=BORIS)
    await rig.reconciler.sweep()
    assert (await rig.service.approvals.get(approval.id)).state is ApprovalState.PENDING
    rig.clock.move(SAFETY.approval_ttl + 1)
    await rig.reconciler.sweep()
    assert (await rig.service.approvals.get(approval.id)).state is ApprovalState.EXPIRED
    assert paint.PAINTED == []


def _fields(approval: Approval) -> dict[str, Any]:
    return {name: getattr(approval, name) for name in Approval.__dataclass_fields__ if name != "what"}


async def test_a_kind_has_the_form_of_one(rig: Rig, paint: Any) -> None:
    """The ledger takes any kind, and nothing that is none."""
    approval = await wished(rig, paint)
    for kind in ("", "Paint", "paint hall", "paint-", "p" * 41, "paint\n"):
        with pytest.raises(InputError):
            await rig.world.ledger.approvals.ask(replace(approval, id="a-9", subject="hall-9", kind=kind), reason="")
        with pytest.raises(ValueError, match="kind of a deed"):
            replace(paint.DEED, kind=kind)


def test_a_kind_comes_once_and_each_file_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of one kind, and a file without a deed, are errors at import."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, files in {"twice_deeds": {"one": PAINT, "two": PAINT}, "empty_deeds": {"nothing": "DEED = 'paint'"}}.items():
        room = tmp_path / name
        room.mkdir()
        (room / "__init__.py").write_text("")
        for stem, text in files.items():
            (room / f"{stem}.py").write_text(text)
        with pytest.raises(ImportError, match="twice_deeds.two: the kind 'paint-hall'" if name == "twice_deeds" else "empty_deeds.nothing exports no DEED"):
            table.read([str(room)], f"{name}.")
