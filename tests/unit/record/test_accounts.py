"""Which pseudonyms an account has: its own, and one in each generation of a phone."""

from __future__ import annotations

from tests.fakes.clock import START
from tests.unit.record.rig import ALICE, BOB, OTHER, PHONE, Rig, domain, record
from wiped.model.subscription import Hold
from wiped.record.accounts import Accounts


async def test_an_account_has_its_own_pseudonym_and_one_a_generation(rig: Rig) -> None:
    """Asking makes none; its own is made by a hold on the account."""
    accounts = Accounts(rig.ledger._db, rig.salts)
    assert (await accounts.pseudonyms(ALICE), await accounts.own(ALICE)) == ((), "")
    await rig.ledger.phones.see([domain(), domain(OTHER, "phone-2")], START)
    await rig.bind(record(), record(OTHER, BOB))
    term = await rig.ledger.subscriptions.get(PHONE)
    assert term is not None
    assert (await accounts.pseudonyms(ALICE), await accounts.own(ALICE)) == ((term.account,), "")
    hold = await rig.ledger.holds.add_for_account(Hold("h-1", "", "", "litigation"), ALICE, START, "officer", reason="")
    assert await accounts.own(ALICE) == hold.account
    assert set(await accounts.pseudonyms(ALICE)) == {hold.account, term.account}
    assert await accounts.own(BOB) == ""
