"""The ledger of the record's tests: what is verified here was written by the real one."""

from __future__ import annotations

from tests.unit.record.conftest import folder, rig

__all__ = ["folder", "rig"]
