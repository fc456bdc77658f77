"""What a feed's answer means."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import START
from tests.unit.feed.test_poll import SAFETY, answers, memories
from wiped.decide.feed_answer import AnswerFacts, FeedFault, FeedMemory, digest_of, weigh


@given(memories, answers, st.integers(0, 100))
def test_what_is_taken_is_not_older_and_not_suddenly_smaller(memory: FeedMemory, answer: AnswerFacts, bound: int) -> None:
    """Unless it was said twice; and never nothing while phones are bound."""
    fault, after = weigh(memory, answer, bound=bound, safety=SAFETY, now=START)
    if fault is None:
        assert memory.revision is None or (answer.revision is not None and answer.revision >= memory.revision)
        assert answer.records * 2 >= memory.records or memory.doubted == answer.digest
        assert answer.records or not bound
        assert after == FeedMemory(answer.revision, answer.records, answer.digest)
    elif fault not in (FeedFault.SHRUNK, FeedFault.EMPTY):
        assert after == memory


def test_a_set_has_one_name() -> None:
    """Whatever its order."""
    assert digest_of(["b", "a"]) == digest_of(["a", "b"]) != digest_of(["a"])
