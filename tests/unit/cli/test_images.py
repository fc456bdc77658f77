"""`wipectl images`."""

from __future__ import annotations

from tests.fakes.service import APPROVAL_ID, UUID_ONE
from tests.unit.cli.conftest import Operator


def test_orphans_are_shown_with_whose_they_were(operator: Operator) -> None:
    """A file name cannot colour the terminal; nothing is ever wiped by this."""
    ran = operator.run("images", "orphans")
    assert ran.code == 0
    assert "phone-one" in ran.out
    assert "\x1b" not in ran.out
    assert "none is ever wiped by itself" in ran.out
    assert "not looked at: /srv/locked" in ran.out
    assert operator.run("--output", "json", "images", "orphans").json["items"][0]["owner"] == UUID_ONE


def test_an_image_is_classified_and_listed(operator: Operator) -> None:
    """Two words only; the reason is asked for; private takes another person, who is named the command."""
    ran = operator.run("images", "classify", "/srv/base.qcow2", "golden", "--reason", "the installer says so")
    assert ran.code == 0
    assert operator.service.asked[-1][1][:3] == ("/srv/base.qcow2", "golden", "the installer says so")
    ran = operator.run("images", "classify", "/srv/base.qcow2", "private", "--reason", "made for one phone")
    assert (ran.code, f"wipectl approvals approve {APPROVAL_ID}" in ran.err) == (3, True)
    assert operator.run("images", "classify", "/srv/base.qcow2", "silver", "--reason", "x").code == 2
    assert operator.run("images", "classify", "/srv/base.qcow2", "golden").code == 2
    listed = operator.run("images", "classified")
    assert (listed.code, "golden" in listed.out) == (0, True)
