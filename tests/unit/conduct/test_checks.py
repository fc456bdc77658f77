"""Checks that several nouns share."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.conduct import checks
from wiped.errors import InputError, NotFoundError


async def test_a_phone_is_known_or_not_found() -> None:
    """By UUID; with what to do next."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    assert (await checks.known_phone(rig.world, uuid)).name == "phone-1"
    with pytest.raises(NotFoundError) as caught:
        await checks.known_phone(rig.world, uuid.replace("1", "2"))
    assert "wipectl phones list" in caught.value.hint


def test_a_reason_says_something() -> None:
    """Blanks are none."""
    assert checks.given_reason("it ended") == "it ended"
    for empty in ("", "  \n"):
        with pytest.raises(InputError, match="reason"):
            checks.given_reason(empty)


async def test_a_refusal_is_counted_and_audited() -> None:
    """Codes, the operator, and what else is told."""
    rig = Rig()
    error = await checks.refused(rig.world, "it is held", ("legal-hold",), operator="anna", uuid="u-1", what="quarantine dispose", hint="release it")
    assert (str(error), error.codes, error.approval, error.hint) == ("it is held", ("legal-hold",), "", "release it")
    assert rig.announcer.codes["legal-hold"] == 1
    (entry,) = [entry for entry in await rig.ledger.audit.entries() if entry.kind == "refused"]
    assert entry.body == {"uuid": "u-1", "what": "quarantine dispose", "operator": "anna", "codes": ["legal-hold"]}
