"""Approvals at the API: listed, shown, decided by those who have the role."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.service import APPROVAL, APPROVAL_ID
from tests.unit.api.conftest import Face
from wiped.api.v1.approvals import approval_out


async def test_approvals_are_listed_shown_and_rejected(face: Face) -> None:
    """A rejection needs a reason; approving needs the role, which operators have not."""
    (item,) = (await face.ask("GET", "/v1/approvals")).json["items"]
    assert (await face.ask("GET", f"/v1/approvals/{APPROVAL_ID}")).json == item
    assert (await face.ask("GET", "/v1/approvals/other")).status == 404
    assert (await face.ask("POST", f"/v1/approvals/{APPROVAL_ID}", json={"decision": "reject"})).status == 422
    answer = await face.ask("POST", f"/v1/approvals/{APPROVAL_ID}", json={"decision": "reject", "reason": "no"})
    assert (answer.status, answer.json["state"], answer.json["command"]) == (200, "rejected", "")
    before = len(face.service.asked)
    answer = await face.ask("POST", f"/v1/approvals/{APPROVAL_ID}", json={"decision": "approve", "fingerprint": APPROVAL.fingerprint})
    assert (answer.status, answer.json["code"], len(face.service.asked)) == (403, "not-authorised", before)


def test_a_viewer_is_not_told_what_an_approval_was_given() -> None:
    """Neither the path of an image nor the reference of a decision: they may name somebody."""
    asked = replace(APPROVAL, kind="classify", subject="/srv/of-jane.qcow2", terms={"inode": "7"}, what="call /srv/of-jane.qcow2 private")
    assert (approval_out(asked).subject, approval_out(asked).terms) == ("/srv/of-jane.qcow2", {"inode": "7"})
    assert "jane" not in approval_out(asked, words=False).model_dump_json()
    disposal = replace(APPROVAL, kind="dispose", terms={"reference": "of Jane"})
    assert "Jane" not in approval_out(disposal, words=False).model_dump_json()
    assert approval_out(disposal, words=False).subject == APPROVAL.subject
