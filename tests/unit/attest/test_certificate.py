"""Certificates: exactly what was proven, nothing of the customer, and never `clear` without evidence (I4)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.attest.samples import EVIDENCE, ISSUER, MAP, PLAN, RECORD, RESULTS, VERDICT, arguments, failed_verdict
from wiped.attest.certificate import PREDICATE_TYPE, STATEMENT_TYPE, statement
from wiped.errors import InvariantError
from wiped.model.canonical import canonical_bytes
from wiped.model.outcome import EraseResult, Evidence, Outcome
from wiped.model.plan import Refusal, RefusalCode


def test_it_is_an_in_toto_statement_about_the_snapshot() -> None:
    """Statement v1; the subject is the audit snapshot's SHA-256."""
    made = statement(**arguments())
    assert set(made) == {"_type", "subject", "predicateType", "predicate"}
    assert (made["_type"], made["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    assert [item["digest"] for item in made["subject"]] == [{"sha256": "ef" * 32}]
    canonical_bytes(made)


def test_it_has_the_fields_of_the_contract() -> None:
    """docs/contract.md, "Certificate": each field is there under its name."""
    told = statement(**arguments())["predicate"]
    assert {"certificate_id", "issued_at", "issuer", "trigger", "phone", "artefacts", "retained", "residuals", "overall", "personnel", "standards"} <= set(told)
    assert told["issuer"] == ISSUER
    assert set(told["trigger"]) == {"kind", "ground", "reference", "expired_at", "policy", "holds_checked_at"}
    assert told["phone"] == {"uuid": PLAN.uuid, "generation": 2, "account_pseudonym": "acct-pseudonym"}
    assert told["retained"] == [{"kind": "golden", "reason": "shared base"}]
    assert told["residuals"] == ["below-block-device", "freed-blocks-untraced"]
    assert (told["overall"]["outcome"], told["overall"]["scope"]) == ("clear", "current extents")
    assert told["personnel"] == {"operator": "daemon", "approver": ""}
    first = told["artefacts"][0]
    assert first["backing"] == {"fs_type": "ext4", "mount_options": ["rw", "relatime"], "device": "/dev/sda1", "model": "DISK", "rotational": False}
    seed_digest = hashlib.sha256(bytes([1]) * 32).hexdigest()
    assert first["method"] == {"name": "overwrite", "pattern": "aes-256-ctr-keystream", "passes": 1, "seed_digest": seed_digest}
    assert first["extents"] == {"count": 1, "bytes": 8192, "flags": [], "map_digest_before": MAP, "map_digest_after": MAP}
    verification = first["verification"]
    assert (verification["mode"], verification["via"], verification["bytes"], verification["mismatches"]) == ("full", "block-odirect", 8192, 0)
    assert (verification["started_at"], verification["ended_at"]) == ("2026-03-01T12:00:01Z", "2026-03-01T12:00:02Z")
    assert (first["kind"], first["format"], first["virtual_bytes"], first["allocated_bytes"]) == ("disk-image", "qcow2", 1 << 30, 8192)
    assert (first["outcome"], first["reasons"]) == ("clear", [])


def test_nothing_of_the_customer_is_in_it() -> None:
    """No name of the domain, no path (both hold a customer's name here), no seed."""
    text = canonical_bytes(statement(**arguments()))
    for secret in (b"Li", b"Wei", b"/srv/phones", b"/srv/golden", (bytes([1]) * 32).hex().encode()):
        assert secret not in text


def test_an_incident_has_the_same_form() -> None:
    """Outcome not-sanitized, its reasons, and what was proven besides."""
    made = statement(**arguments(kind="incident", verdict=failed_verdict(), evidence={"a1": EVIDENCE["a1"]}))["predicate"]
    assert set(made) == set(statement(**arguments())["predicate"])
    assert (made["overall"]["outcome"], made["overall"]["reasons"]) == ("not-sanitized", ["io-error"])
    assert [item["outcome"] for item in made["artefacts"]] == ["clear", "not-sanitized"]
    assert made["artefacts"][1]["verification"]["mode"] == "none"


def test_an_artefact_that_was_not_overwritten_says_so() -> None:
    """No pattern, no seed, the plan's own map, where erasing was not tried."""
    made = statement(**arguments(kind="incident", verdict=failed_verdict("cow-filesystem"), results={"a1": RESULTS["a1"]}, evidence={"a1": EVIDENCE["a1"]}))
    second = made["predicate"]["artefacts"][1]
    assert second["method"] == {"name": "overwrite", "pattern": "none", "passes": 0, "seed_digest": ""}
    assert second["extents"]["map_digest_after"] == ""


def _bad_result(**changes: Any) -> dict[str, EraseResult]:
    return {**RESULTS, "a2": replace(RESULTS["a2"], **changes)}


def _bad_evidence(**changes: Any) -> dict[str, Evidence]:
    return {**EVIDENCE, "a2": replace(EVIDENCE["a2"], **changes)}


@pytest.mark.parametrize(
    "changes",
    [
        {"results": {"a1": RESULTS["a1"]}},
        {"evidence": {"a1": EVIDENCE["a1"]}},
        {"results": _bad_result(reasons=("io-error",))},
        {"results": _bad_result(artefact_id="a1")},
        {"results": _bad_result(digest_after="00" * 32)},
        {"results": _bad_result(digest_before="")},
        {"evidence": _bad_evidence(artefact_id="a1")},
        {"evidence": _bad_evidence(mismatches=1)},
        {"evidence": _bad_evidence(via="")},
        {"evidence": _bad_evidence(via="trust-me")},
        {"evidence": _bad_evidence(reasons=("readback-impossible",))},
        {"evidence": _bad_evidence(map_digest="00" * 32)},
        {"evidence": _bad_evidence(bytes_verified=4096)},
        {"evidence": _bad_evidence(bytes_verified=0, sampled=True)},
        {"verdict": replace(VERDICT, artefacts=VERDICT.artefacts[:1])},
        {"verdict": replace(VERDICT, artefacts=(*VERDICT.artefacts, VERDICT.artefacts[0]))},
        {"verdict": replace(VERDICT, artefacts=failed_verdict().artefacts)},
        {"verdict": replace(VERDICT, reasons=("io-error",))},
        {"plan": replace(PLAN, refusals=(Refusal(RefusalCode.SHARED_BY_DOMAIN, "/x", "y"),))},
        {"plan": replace(PLAN, steps=()), "verdict": replace(VERDICT, artefacts=())},
        {"plan": replace(PLAN, generation=3)},
        {"plan": replace(PLAN, uuid="6f1c0c8e-0000-4000-8000-00000000000b")},
        {"wipe": replace(RECORD, snapshot_digest="")},
        {"kind": "incident"},
        {"verdict": failed_verdict()},
        {"verdict": replace(VERDICT, outcome=Outcome.PURGE), "evidence": {}},
    ],
)
def test_no_good_word_without_evidence(changes: dict[str, Any]) -> None:
    """I4: each single thing that is missing or does not fit stops the certificate."""
    statement(**arguments())
    with pytest.raises(InvariantError, match="I4"):
        statement(**arguments(**changes))


def test_an_incident_does_not_call_an_artefact_clear_without_evidence() -> None:
    """I4 holds for each artefact, whatever the phone's outcome is."""
    with pytest.raises(InvariantError, match="I4"):
        statement(**arguments(kind="incident", verdict=failed_verdict(), evidence={}))
