"""The parts together: exactly the nouns that the faces know."""

from __future__ import annotations

from tests.unit.conduct.rig import Rig
from wiped.ports.service import Service as Port


def test_there_is_a_part_for_each_noun_that_the_faces_know() -> None:
    """And each part has every method that the port asks of it, and no other public one."""
    service = Rig().service
    nouns = {name for name in vars(Port) if not name.startswith("_")}
    assert set(vars(service)) == nouns
    for noun in nouns:
        asked = vars(Port)[noun].fget.__annotations__["return"]
        methods = {name for name in vars(getattr(__import__("wiped.ports.service", fromlist=["Service"]), asked)) if not name.startswith("_")}
        assert {name for name in dir(getattr(service, noun)) if not name.startswith("_")} == methods, noun
