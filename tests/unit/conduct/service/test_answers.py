"""Answers by Idempotency-Key."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import InputError


async def test_an_answer_is_given_again_for_the_same_request_alone() -> None:
    """Nothing before, the same after, and an error for another request under the same key."""
    answers = Rig().service.answers
    assert await answers.replay("key-1", "digest-1") is None
    await answers.remember("key-1", "digest-1", {"id": "r-1"})
    assert await answers.replay("key-1", "digest-1") == {"id": "r-1"}
    with pytest.raises(InputError):
        await answers.replay("key-1", "digest-2")
