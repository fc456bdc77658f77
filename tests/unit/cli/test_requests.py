"""`wipectl requests`."""

from __future__ import annotations

from tests.fakes.service import APPROVAL_ID, REQUEST_ID
from tests.unit.cli.conftest import Operator


def test_a_request_says_what_the_other_person_types(operator: Operator) -> None:
    """On standard error; the document on standard output is one."""
    typed = ("requests", "add", "phone-one", "--kind", "deletion", "--ground", "no-consent", "--reference", "CASE-7", "--confirm", "phone-one")
    ran = operator.run("--output", "json", *typed)
    assert (ran.code, ran.json["id"]) == (0, REQUEST_ID)
    assert f"another person; each types: wipectl approvals approve {APPROVAL_ID}" in ran.err
    operator.service.alone = True
    assert operator.run(*typed).err == ""


def test_requests_are_listed(operator: Operator) -> None:
    """A line each, identifiers whole."""
    assert REQUEST_ID in operator.run("requests", "list", "--phone", "phone-one").out
