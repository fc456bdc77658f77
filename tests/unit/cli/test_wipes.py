"""`wipectl wipe` and `wipectl wipes`: what is asked, and the exit code of each end."""

from __future__ import annotations

import json

from tests.fakes.service import APPROVAL_ID, QUARANTINED, UUID_ONE, UUID_TWIN, WIPE_ID, make_phone, make_wipe
from tests.unit.cli.conftest import Operator
from wiped.errors import RefusedError
from wiped.model.records import WipeStep
from wiped.model.status import WipeNews

WIPE = ("wipe", "phone-one", "--reason", "the service has ended", "--confirm", "phone-one", "--ticket", "T-1")


def test_an_ambiguous_name_lists_the_candidates(operator: Operator) -> None:
    """Exit code 2, both UUIDs, nothing done."""
    operator.service.known.append(make_phone(UUID_TWIN, "phone-one"))
    ran = operator.run(*WIPE)
    assert ran.code == 2
    assert UUID_ONE in ran.err
    assert UUID_TWIN in ran.err
    assert "request_wipe" not in [method for method, _ in operator.service.asked]


def test_a_wipe_passes_on_what_was_typed(operator: Operator) -> None:
    """Reason, ticket, typed name; without --wait it returns at once."""
    ran = operator.run("--output", "json", *WIPE)
    assert (ran.code, ran.json["id"]) == (0, WIPE_ID)
    method, (uuid, reason, ticket, confirm, _) = operator.service.asked[-1]
    assert (method, uuid, reason, ticket, confirm) == ("request_wipe", UUID_ONE, "the service has ended", "T-1", "phone-one")


def test_a_proven_wipe_ends_with_code_0(operator: Operator) -> None:
    """`--wait` follows the events to the end and shows the wipe."""
    ran = operator.run("--output", "json", *WIPE, "--wait")
    assert (ran.code, ran.json["outcome"], ran.json["artefacts"][0]["verified_via"]) == (0, "clear", "block-odirect")
    assert [json.loads(line)["step"] for line in ran.err.splitlines()] == ["erasing", "released"]


def test_an_unproven_wipe_ends_with_code_4(operator: Operator) -> None:
    """Wiped but not sanitized: the reasons on stderr, the document on stdout."""
    operator.service.made = [QUARANTINED]
    operator.service.news = [WipeNews("end", WIPE_ID, step="quarantined")]
    ran = operator.run("--output", "json", *WIPE, "--wait")
    assert (ran.code, ran.json["reasons"]) == (4, ["io-error"])
    assert "not-sanitized: io-error" in ran.err
    assert operator.run("wipes", "watch", WIPE_ID).code == 4


def test_a_wipe_that_was_called_off_ends_with_code_3(operator: Operator) -> None:
    """Renewed, held or refused before the last word."""
    operator.service.made = [make_wipe(WipeStep.CANCELLED)]
    operator.service.news = [WipeNews("end", WIPE_ID, step="cancelled")]
    assert operator.run(*WIPE, "--wait").code == 3


def test_a_wipe_that_takes_two_says_so(operator: Operator) -> None:
    """Exit code 3, the codes, and what the second person types; said once."""
    line = f"takes two: wipectl approvals approve {APPROVAL_ID}"
    operator.service.fails["request_wipe"] = RefusedError(line, codes=("subscription-active", "needs-approval"), approval=APPROVAL_ID)
    ran = operator.run("wipe", "phone-one", "--reason", "r", "--confirm", "phone-one")
    assert (ran.code, ran.err.count(f"approve {APPROVAL_ID}"), "needs-approval" in ran.err) == (3, 1, True)
