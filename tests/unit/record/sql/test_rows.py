"""Structured values of rows: what is written comes back equal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from tests.fakes.clock import START
from tests.unit.attest.samples import EVIDENCE, PLAN, RESULTS
from wiped.model.records import ArtefactRecord, ArtefactState, Secret, Trigger, WipeRecord, WipeStep
from wiped.record.sql import rows


def test_a_wipe_with_its_artefacts_comes_back_equal() -> None:
    """Plan, trigger, result and evidence are JSON values in between; the seed is bytes."""
    step = PLAN.steps[0]
    artefact = ArtefactRecord("w-1", step.artefact_id, step.kind, step.location, ".wiped-1", Secret(b"s" * 32), ArtefactState.PROVEN, "digest",
                              RESULTS["a1"], EVIDENCE["a1"])  # fmt: skip
    row: dict[str, Any] = {name: getattr(artefact, name) for name in ("wipe_id", "artefact_id", "kind", "location", "rename_to", "state", "map_digest")}
    row |= {"seed": artefact.seed.value, "result": rows.result_value(RESULTS["a1"]), "evidence": rows.evidence_value(EVIDENCE["a1"])}
    assert rows.artefact_of(cast(rows.AnyRow, SimpleNamespace(**row))) == artefact
    wipe = WipeRecord("w-1", PLAN.uuid, "phone-1", PLAN.generation, WipeStep.JUDGED, Trigger("expiry", "service-ended"), START, PLAN, {"form": 1}, "d",
                      outcome="clear", residuals=("sampled",), artefacts=(artefact,))  # fmt: skip
    values = {name: getattr(wipe, name) for name in WipeRecord.__dataclass_fields__ if name != "artefacts"}
    values |= {"plan": rows.plan_value(PLAN), "trigger": rows.trigger_value(wipe.trigger)}
    assert rows.wipe_of(cast(rows.AnyRow, SimpleNamespace(**values)), (artefact,)) == wipe
