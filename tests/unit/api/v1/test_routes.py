"""The table of routes: every operation has its handler, and no handler is without an operation."""

from __future__ import annotations

from tests.fakes.service import FakeService
from wiped.api.http.identity import Role
from wiped.api.v1.routes import OPERATIONS, handlers


def test_every_operation_has_a_handler_of_its_own() -> None:
    """The same names on both sides, and no two operations of one name or of one method and path."""
    found = handlers(FakeService(), lambda data, form: ())
    assert sorted(found) == sorted(operation.name for operation in OPERATIONS)
    assert len({operation.name for operation in OPERATIONS}) == len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)


def test_what_changes_needs_the_operator() -> None:
    """No changing route is open to viewers; the audit log is for auditors and operators."""
    for operation in OPERATIONS:
        if operation.changes:
            # A second person is an approver, who need not be an operator; a report is read, with POST so that no account stands in a URL.
            second = operation.name in {"dispose", "release_hold", "decide", "cancel_drain"}
            reading = operation.name == "subject_report"
            assert operation.roles == ((Role.OPERATOR, Role.APPROVER) if second else (Role.AUDITOR, Role.OPERATOR) if reading else (Role.OPERATOR,))
    assert {operation.name for operation in OPERATIONS if not operation.roles} == {"healthz", "readyz", "openapi", "public_key"}
