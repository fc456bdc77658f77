"""The description of the API."""

from __future__ import annotations

import json
import re

from tests.fakes.service import NOW
from tests.unit.api.conftest import Face
from wiped.api.v1.routes import OPERATIONS


async def test_openapi_describes_every_route_and_resolves(face: Face) -> None:
    """3.1, every operation, every reference has its schema, no example holds an account."""
    document = (await face.ask("GET", "/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])
    assert document["components"]["schemas"]["SubscriptionIn"]["properties"]["account"]["writeOnly"] is True
    assert f"{NOW:%Y}" not in json.dumps(document["components"]["schemas"]["SubscriptionIn"])
