"""Images as people classified them."""

from __future__ import annotations

import pytest

from tests.contract.ledger import image
from wiped.errors import InvariantError
from wiped.ports.ledger import Ledger


async def test_an_image_is_classified_once_and_again(ledger: Ledger) -> None:
    """The same again changes nothing; another meaning, or another file at the path, replaces it and is audited; no path stands in the audit log. One
    person alone calls nothing private."""
    assert await ledger.images.classify(image(), reason="the base of all") == image()
    assert await ledger.images.classify(image(hours=1), reason="again") == image()
    assert await ledger.images.classified() == (image(),)
    for changed in (image("private", hours=2), image("private", inode=8, hours=3)):
        assert await ledger.images.classify(changed, reason="", approver="other") == changed
        assert await ledger.images.classified() == (changed,)
    for alone in ("", "op"):
        with pytest.raises(InvariantError):
            await ledger.images.classify(image("private", inode=9), reason="", approver=alone)
    told = [entry for entry in await ledger.audit.entries() if entry.kind == "classified"]
    assert [(entry.body["as"], entry.body["was"]) for entry in told] == [("golden", ""), ("private", "golden"), ("private", "private")]
    assert "/srv" not in repr(told)
    assert "base of all" not in repr(told)
