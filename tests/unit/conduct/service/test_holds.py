"""Legal holds: on an account they reach the phones that it gets later."""

from __future__ import annotations

from pathlib import Path

from tests.unit.conduct.account import ACCOUNT, ANNA, CLEO, settle, state
from tests.unit.conduct.rig import GRACE, Rig
from wiped.model.subscription import State


async def test_a_hold_on_an_account_reaches_the_phones_that_it_gets_later(tmp_path: Path) -> None:
    """Present and future ones alike (R9); another account's are not held."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        first, second, other = (rig.host.add_phone(number, running=True) for number in (1, 2, 3))
        await rig.reconciler.sweep()
        await rig.subscribe(first, account=ACCOUNT.value, number="s-1")
        await rig.service.holds.add(
            account=ACCOUNT, authority="Police", reference="77", ground="criminal-investigation", until=None, disclose=False, person=ANNA
        )
        await rig.subscribe(second, account=ACCOUNT.value, number="s-2")
        await rig.subscribe(other, account="somebody-else", number="s-3")
        await settle(rig, 600 + GRACE + 1)
        assert [await state(rig, uuid) for uuid in (first, second, other)] == [State.DUE, State.DUE, State.RELEASED]
        assert [rig.host.remains(f"SECRET of phone-{number}") for number in (1, 2, 3)] == [5, 5, 0]
        report = await rig.service.reports.subject(ACCOUNT, CLEO)
        assert (report["holds"], report["holds_not_disclosed"]) == ([], 1)
        assert "Police" not in str(report)


async def test_a_hold_that_comes_too_late_says_so(tmp_path: Path) -> None:
    """K4: on a phone whose bytes are going, how far they are; on any other, and on an account without such, nothing. It is in force all the same."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        uuid, other = (rig.host.add_phone(number, running=True) for number in (1, 2))
        await rig.reconciler.sweep()
        for number, each in enumerate((uuid, other)):
            await rig.subscribe(each, account=ACCOUNT.value, number=f"s-{number}", seconds=600 if each == uuid else 10**7)
        how = {"authority": "Police", "reference": "77", "ground": "criminal-investigation", "until": None, "person": ANNA}
        said: list[str] = []

        async def in_the_middle() -> None:
            for about in ({"uuid": uuid}, {"account": ACCOUNT}, {"uuid": other}):
                said.append((await rig.service.holds.add(**about, **how)).note)  # type: ignore[arg-type]

        rig.host.witness = None  # what it watches is the beginning: from the last word on a hold stops retries alone
        rig.milestones.when["erased"] = in_the_middle
        await settle(rig, 600 + GRACE + 1)
        assert [f"{uuid}): erasing has begun, 1 of 2 artefacts are untouched" in note for note in said] == [True, True, False]
        assert said[2] == ""
        assert len(await rig.ledger.holds.in_force()) == 3
