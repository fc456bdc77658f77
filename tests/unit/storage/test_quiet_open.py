"""Opening what is only looked at."""

from __future__ import annotations

import pytest

from wiped.storage.image_chain import has_protocol


@pytest.mark.parametrize(("name", "answer"), [("a:b", True), ("/a:b", False), ("./a:b", False), ("a/b:c", False), ("a", False), ("json:{/}", True)])
def test_has_protocol(name: str, answer: bool) -> None:
    """A colon before any slash makes a protocol, as in QEMU."""
    assert has_protocol(name) is answer
