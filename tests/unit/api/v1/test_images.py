"""Images at the API: classified, and listed where no domain reaches them."""

from __future__ import annotations

import pytest

from tests.fakes.service import APPROVAL_ID
from tests.unit.api.conftest import Face

CLASSIFY = {"path": "/srv/base.qcow2", "as": "golden", "reason": "the installer says so"}


async def test_an_image_is_classified(face: Face) -> None:
    """The words reach the service with the caller's name; the answer names the very file."""
    answer = await face.ask("POST", "/v1/images:classify", json=CLASSIFY)
    assert (answer.status, answer.json["as"], answer.json["inode"]) == (200, "golden", 2)
    assert face.service.asked[-1] == ("classify_image", ("/srv/base.qcow2", "golden", "the installer says so", answer.json["operator"]))


@pytest.mark.parametrize("change", [{"as": "silver"}, {"as": None}, {"reason": ""}, {"path": ""}, {"more": 1}, {"meaning": "golden"}])
async def test_anything_else_is_bad_input(face: Face, change: dict[str, object]) -> None:
    """And reaches nobody."""
    body = {key: value for key, value in {**CLASSIFY, **change}.items() if value is not None}
    answer = await face.ask("POST", "/v1/images:classify", json=body)
    assert (answer.status, answer.json["code"]) == (422, "bad-input")
    assert face.service.asked == []


async def test_classified_images_and_orphans_are_listed(face: Face) -> None:
    """Names that are not UTF-8 are told as escapes; what could not be looked at is told too."""
    (image,) = (await face.ask("GET", "/v1/images/classified")).json["items"]
    assert image["path"] == "/srv/b\\xffse.qcow2"
    lost = (await face.ask("GET", "/v1/images/orphans")).json
    assert [(item["owner_name"], item["allocated_bytes"]) for item in lost["items"]] == [("phone-one", 8192)]
    assert (lost["truncated"], lost["problems"]) == (False, [{"location": "/srv/locked", "detail": "Permission denied"}])


async def test_calling_an_image_private_names_its_approval(face: Face) -> None:
    """It lets a wipe destroy it: two people."""
    answer = await face.ask("POST", "/v1/images:classify", json={**CLASSIFY, "as": "private"})
    assert (answer.status, answer.json["codes"], answer.json["approval"]) == (409, ["needs-approval"], APPROVAL_ID)
