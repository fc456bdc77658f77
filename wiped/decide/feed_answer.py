"""What a feed's answer means (R1): whether it is complete, and may be concluded from. Pure.

Absent is never expired: no phone ends because an answer does not name it. What an answer can do is make *silence* old (its age counts from the last
complete one) and bring records; so an answer that is empty, much smaller than the last, older, or not whole, brings nothing and confirms nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from wiped.model.canonical import digest
from wiped.model.policy import Safety

#: A revision that is further above the last one than this is doubted: taken for good by mistake, it would lock every later answer out as older.
MAX_LEAP: Final = 1_000_000


class FeedFault(StrEnum):
    """Why an answer was not taken: the labels of `wiped_feed_errors_total`."""

    UNREACHABLE = "unreachable"
    """No connection to the server, or no such file."""
    TIMEOUT = "timeout"
    """The answer took longer than `feed.timeout`."""
    TLS = "tls"
    """The server's certificate was not accepted."""
    STATUS = "status"
    """The server answered with an error, or asked for other credentials."""
    MALFORMED = "malformed"
    """The answer is not what the feed's form says."""
    TOO_LARGE = "too-large"
    """The answer is larger than any host's set can be."""
    CUT = "cut"
    """The connection ended in the middle of it."""
    PARTIAL = "partial"
    """It came to its end and is not whole: fewer records than it announced, or a page of another revision."""
    EMPTY = "empty"
    """No record, while phones are bound."""
    SHRUNK = "shrunk"
    """Fewer records than `safety.feed_shrink` of the last answer's; a second, equal answer is taken."""
    OLDER = "older-revision"
    """An older revision than one that was taken already."""
    LEAPED = "leaped-revision"
    """A revision far above the last one; a next, higher one that goes on from it is taken."""
    FUTURE = "future"
    """Made later than this host's clock says it is."""
    RECORD_REFUSED = "record-refused"
    """The answer was taken, and one of its records was not (unsigned, older, another account's phone...)."""
    CONFIGURATION = "configuration"
    """Its token, key or file cannot be read."""


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """An answer that was read to its end. `at`: when it was made, where it says so."""

    revision: int | None
    records: int
    digest: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedMemory:
    """What the last taken answer was, kept over restarts. `doubted`: the digest of a shrunk answer that a second, equal one confirms.
    `leaped`: a revision far above `revision`, which a second, higher answer confirms."""

    revision: int | None = None
    records: int = 0
    digest: str = ""
    doubted: str = ""
    leaped: int | None = None


def digest_of(phones: Iterable[str]) -> str:
    """The name of a set of phones (UUIDs); nothing of a customer is in it."""
    return digest(sorted(phones))


def weigh(memory: FeedMemory, answer: AnswerFacts, *, bound: int, safety: Safety, now: datetime) -> tuple[FeedFault | None, FeedMemory]:
    """Why `answer` is not taken (None: it is), and what to remember. `bound`: phones with a running or unfinished generation on this host."""
    if answer.at is not None and answer.at > now + timedelta(seconds=safety.max_clock_step):
        return FeedFault.FUTURE, memory
    if memory.revision is not None and (answer.revision is None or answer.revision < memory.revision):
        return FeedFault.OLDER, memory
    if answer.revision is not None and _leaps(memory.revision, answer.revision) and (memory.leaped is None or not _goes_on(memory.leaped, answer.revision)):
        return FeedFault.LEAPED, replace(memory, leaped=answer.revision)
    before = max(memory.records, 1 if bound else 0)
    shrunk = answer.records * 100 < before * safety.feed_shrink_percent or (answer.records == 0 and before > 0)
    if shrunk and memory.doubted != answer.digest:
        return (FeedFault.EMPTY if answer.records == 0 else FeedFault.SHRUNK), replace(memory, doubted=answer.digest)
    if answer.records == 0 and bound:
        return FeedFault.EMPTY, memory
    return None, FeedMemory(answer.revision, answer.records, answer.digest)


def _leaps(before: int | None, revision: int) -> bool:
    return before is not None and revision > before + MAX_LEAP


def _goes_on(before: int, revision: int) -> bool:
    return before < revision <= before + MAX_LEAP
