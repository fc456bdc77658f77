"""The table of routes: every operation has its handler, and no handler is without an operation."""

from __future__ import annotations

from tests.fakes.service import FakeService
from wiped.api.v1.routes import OPERATIONS, handlers


def test_every_operation_has_a_handler_of_its_own() -> None:
    """The same names on both sides, and no two operations of one name or of one method and path."""
    found = handlers(FakeService(), lambda data, form: ())
    assert sorted(found) == sorted(operation.name for operation in OPERATIONS)
    assert len({operation.name for operation in OPERATIONS}) == len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)
