"""The audit log at the API."""

from __future__ import annotations

import pytest

from tests.fakes.service import make_audit
from tests.unit.api.conftest import Face


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 25])
async def test_the_last_audit_entries_are_found_in_a_log_of_any_length(face: Face, count: int) -> None:
    """`last` counts from the end; `after` pages on."""
    face.service.entries = make_audit(count)
    last = (await face.ask("GET", "/v1/audit?last=3")).json["items"]
    assert [entry.seq for entry in face.service.entries][-3:] == [item["seq"] for item in last]
    page = (await face.ask("GET", "/v1/audit?after=2&limit=2")).json["items"]
    assert [entry.seq for entry in face.service.entries][2:4] == [item["seq"] for item in page]
