"""Requests to wipe a phone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.ledger import bind
from tests.fakes.clock import START
from tests.unit.record.rig import ALICE, DAY, OTHER, PHONE, Rig, domain
from wiped.errors import InputError, NotFoundError
from wiped.model.subscription import WipeRequest
from wiped.ports.ledger import Ledger


async def test_a_request_is_in_the_facts_and_its_words_are_sealed(rig: Rig) -> None:
    """It goes by its own id; the requester's reference and reason only by unsealing; neither is in the audit log nor in the clear."""
    await rig.bind()
    request = WipeRequest("r-1", "manual", "service-ended", rig.now)
    await rig.ledger.requests.add(PHONE, request, reference="TICKET-4711", reason="Li Wei called", operator="op")
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert facts is not None
    assert facts.requests == (replace(request, reference="r-1", operator="op"),)
    assert await rig.ledger.words.about("r-1") == {"reference": "TICKET-4711", "reason": "Li Wei called"}
    assert await rig.ledger.words.reason("r-1") == "Li Wei called"
    assert await rig.ledger.words.reason("r-2") == ""
    told = str([entry.body for entry in await rig.ledger.audit.entries()])
    assert "4711" not in told
    assert "Wei" not in told
    await rig.salts.destroy((await rig.ledger.subscriptions.current())[0].account)
    with pytest.raises(NotFoundError, match="anonymised"):
        await rig.ledger.words.reason("r-1")


async def test_a_request_is_approved_unapproved_and_closed(ledger: Ledger) -> None:
    """An empty approver takes the approval back; a closed request stays closed and is approved by nobody; the phone is decided again each time."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    await ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", START), reference="", reason="", operator="op")
    assert await ledger.requests.generation_of("r-1") == 1
    for approver, until in (("ben", START + DAY), ("", None)):
        await ledger.requests.approve("r-1", START, approver=approver, until=START + DAY, fingerprint="f" * 64)
        ((uuid, request),) = await ledger.requests.find()
        assert (uuid, request.approved, request.approver, request.approved_until) == (PHONE, bool(approver), approver, until)
        assert PHONE in await ledger.decisions.due(START)
    for _ in range(2):
        await ledger.requests.close("r-1", START, code="rejected", operator="ben")
    assert await ledger.requests.find() == await ledger.requests.find(uuid=OTHER, unfinished=False) == ()
    assert [request.id for _, request in await ledger.requests.find(uuid=PHONE, unfinished=False)] == ["r-1"]
    facts = await ledger.decisions.facts(PHONE, START)
    assert facts is not None
    assert facts.requests == ()
    with pytest.raises(InputError):
        await ledger.requests.approve("r-1", START, approver="ben", until=START + DAY, fingerprint="")
    with pytest.raises(NotFoundError):
        await ledger.requests.close("r-9", START, code="rejected", operator="ben")
    kinds = [entry.kind for entry in await ledger.audit.entries() if entry.kind.startswith("request-")]
    assert kinds == ["request-approved", "request-unapproved", "request-closed"]


async def test_a_request_on_an_account_is_one_for_each_phone(ledger: Ledger) -> None:
    """Each with the phone's pseudonym, under words that are sealed."""
    await ledger.phones.see([domain(), domain(OTHER, "phone-2")], START)
    await bind(ledger)
    await bind(ledger, uuid=OTHER, number="s-2")
    living = await ledger.subscriptions.living(ALICE)
    assert [uuid for uuid, _, _ in living] == [PHONE, OTHER]
    asked = [(uuid, WipeRequest(f"r-1:{n}", "deletion", "no-consent", START, account=name)) for n, (uuid, _, name) in enumerate(living, start=1)]
    await ledger.requests.add_for_account(ALICE, asked, reference="CASE-7", reason="wrote a letter", operator="op")
    assert [(uuid, request.id) for uuid, request in await ledger.requests.find()] == [(PHONE, "r-1:1"), (OTHER, "r-1:2")]
    assert await ledger.words.about("r-1:2") == {"reference": "CASE-7", "reason": "wrote a letter"}
    assert "CASE-7" not in repr(await ledger.audit.entries())
