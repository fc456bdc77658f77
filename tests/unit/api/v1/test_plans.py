"""Plans at the API."""

from __future__ import annotations

from tests.fakes.service import UUID_TWO
from tests.unit.api.conftest import Face


async def test_a_plan_has_the_shape_that_scripts_use(face: Face) -> None:
    """docs/contract.md, "JSON of the commands that scripts use most"."""
    plan = (await face.ask("GET", f"/v1/phones/{UUID_TWO}/plan")).json
    assert {"phone", "fingerprint", "expected_outcome", "steps", "retained", "refusals", "residuals"} <= set(plan)
    assert plan["steps"][0]["artefact"] == {
        "id": "a1", "kind": "disk-image", "location": "/srv/phones/one.qcow2", "format": "qcow2", "virtual_bytes": 1 << 34,
        "allocated_bytes": 1 << 31, "device": 2049, "inode": 77,
    }  # fmt: skip
    assert plan["refusals"] == [{"code": "hard-link", "location": "/srv/phones/one.qcow2", "detail": "the file has 2 links"}]
