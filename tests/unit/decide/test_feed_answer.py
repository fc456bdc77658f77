"""What a feed's answer means."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import START
from tests.unit.feed.test_poll import SAFETY, answers, memories
from wiped.decide.feed_answer import MAX_LEAP, AnswerFacts, FeedFault, FeedMemory, digest_of, weigh

TAKEN, ANSWER = FeedMemory(17, 2, "d"), AnswerFacts(18, 2, "d")


@given(memories, answers, st.integers(0, 100))
def test_what_is_taken_is_not_older_and_not_suddenly_smaller(memory: FeedMemory, answer: AnswerFacts, bound: int) -> None:
    """Unless it was said twice; and never nothing while phones are bound."""
    fault, after = weigh(memory, answer, bound=bound, safety=SAFETY, now=START)
    if fault is None:
        assert memory.revision is None or (answer.revision is not None and answer.revision >= memory.revision)
        assert answer.records * 2 >= memory.records or memory.doubted == answer.digest
        assert answer.records or not bound
        assert after == FeedMemory(answer.revision, answer.records, answer.digest)
    elif fault not in (FeedFault.SHRUNK, FeedFault.EMPTY, FeedFault.LEAPED):
        assert after == memory


def test_one_absurd_revision_locks_nobody_out() -> None:
    """Ten thousand million, once: it is not taken, and billing goes on from where it was."""
    fault, doubting = weigh(TAKEN, replace(ANSWER, revision=10**10), bound=2, safety=SAFETY, now=START)
    assert (fault, doubting.revision) == (FeedFault.LEAPED, 17)
    fault, after = weigh(doubting, replace(ANSWER, revision=18), bound=2, safety=SAFETY, now=START)
    assert (fault, after) == (None, FeedMemory(18, 2, "d"))


def test_a_feed_that_begins_to_count_otherwise_is_taken_at_its_second_answer() -> None:
    """From numbers to milliseconds: a higher one confirms it; the same mistake said again, or another leap, does not."""
    for second, fault in ((10**12 + 60_000, None), (10**12, FeedFault.LEAPED), (10**12 - 1, FeedFault.LEAPED), (10**12 + MAX_LEAP + 1, FeedFault.LEAPED)):
        _, doubting = weigh(TAKEN, replace(ANSWER, revision=10**12), bound=2, safety=SAFETY, now=START)
        assert weigh(doubting, replace(ANSWER, revision=second), bound=2, safety=SAFETY, now=START)[0] == fault, second


def test_a_first_revision_and_a_usual_step_are_no_leap() -> None:
    """A host that has no answer yet takes any."""
    assert weigh(FeedMemory(), replace(ANSWER, revision=10**10), bound=0, safety=SAFETY, now=START)[0] is None
    assert weigh(TAKEN, replace(ANSWER, revision=17 + MAX_LEAP), bound=2, safety=SAFETY, now=START)[0] is None


def test_a_set_has_one_name() -> None:
    """Whatever its order."""
    assert digest_of(["b", "a"]) == digest_of(["a", "b"]) != digest_of(["a"])
