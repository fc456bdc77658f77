"""Reports at the API: never cached, never remembered for an Idempotency-Key."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.api.conftest import Face

ACCOUNT = "customer-4711@example.org"


async def test_a_subject_report_comes_as_json_and_as_a_page(face: Face) -> None:
    """Never cached; never remembered for a key, since it is personal."""
    body = {"account": ACCOUNT}
    answer = await face.ask("POST", "/v1/reports/subject", json=body, headers={"Idempotency-Key": "k2"})
    assert (answer.status, answer.json["kind"], answer.headers["Cache-Control"], face.service.remembered) == (200, "subject", "no-store", {})
    page = await face.ask("POST", "/v1/reports/subject", json={**body, "format": "html"})
    assert (page.status, page.headers["Content-Type"], b"<title>What this host holds on one account" in page.body) == (200, "text/html; charset=utf-8", True)


async def test_a_key_that_is_none_is_refused_at_the_report_too(face: Face) -> None:
    """As at every other POST, though the answer is never remembered."""
    answer = await face.ask("POST", "/v1/reports/subject", json={"account": ACCOUNT}, headers={"Idempotency-Key": "two words"})
    assert (answer.status, "Idempotency-Key" in answer.json["detail"]) == (422, True)


async def test_a_period_report_has_two_ends(face: Face) -> None:
    """In order, with zones; a + of an offset that a client did not encode is meant."""
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    assert (await face.ask("GET", "/v1/reports/period", params=span)).json["kind"] == "period"
    assert face.service.asked[-1] == ("period_report", (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)))
    for wrong in ({"from": span["from"]}, {"from": span["to"], "to": span["from"]}, {**span, "format": "pdf"}, {**span, "to": "2026-02-01"}):
        assert (await face.ask("GET", "/v1/reports/period", params=wrong)).status == 422
    answer = await face.ask("GET", "/v1/reports/period?from=2026-01-01T00:00:00+08:00&to=2026-02-01T00:00:00Z&format=html")
    assert answer.status == 200
