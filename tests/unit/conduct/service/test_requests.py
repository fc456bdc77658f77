"""Requests that are no good change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.conduct.account import ACCOUNT, ANNA, bound
from tests.unit.conduct.rig import Rig
from wiped.errors import InputError, RefusedError


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"kind": "manual"}, "kind"),
        ({"ground": "litigation"}, "ground"),
        ({"reference": " "}, "reference"),
        ({"account": ACCOUNT}, "phone"),
        ({"uuid": ""}, "phone"),
    ],
)
async def test_bad_requests(tmp_path: Path, changes: dict[str, object], where: str) -> None:
    """Each names what is wrong, and nothing is recorded."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        words: dict[str, object] = {"kind": "deletion", "ground": "no-consent", "uuid": phones[0], "account": None, "reference": "R", "reason": "",
                                    "confirm": "phone-1", "person": ANNA, **changes}  # fmt: skip
        kind, ground = words.pop("kind"), words.pop("ground")
        with pytest.raises(InputError) as caught:
            await rig.service.requests.add(str(kind), str(ground), **words)  # type: ignore[arg-type]
        assert caught.value.where == where
        assert await rig.service.requests.find() == ()


async def test_a_wrong_confirmation_changes_nothing(tmp_path: Path) -> None:
    """Of a phone and of an account."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        for words in ({"uuid": phones[0]}, {"account": ACCOUNT}):
            with pytest.raises(RefusedError) as caught:
                await rig.service.requests.add("cancellation", "account-cancelled", **words, reference="R", reason="", confirm="phone-2", person=ANNA)  # type: ignore[arg-type]
            assert caught.value.codes == ("wrong-confirmation",)
        assert rig.host.running(phones[0])
