"""Fixtures: a state directory, and a ledger over its salt file."""

from __future__ import annotations

from tests.unit.record.conftest import folder, rig

__all__ = ["folder", "rig"]
