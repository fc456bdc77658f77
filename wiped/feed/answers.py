"""A feed's answer: bytes into records, all of it or nothing. Pure. No value of an answer is ever repeated in an error (R11).

One document (the HTTP feed's page, the file feed's header and lines) says how many records the whole answer has, so that a cut one is told apart:

    {"feed": "wiped/1", "revision": 17, "count": 2, "at": "2026-11-24T02:00:00Z", "next": null,
     "records": [{"phone": UUID, "account": TEXT, "subscription": TEXT, "starts": T, "expires": T,
                  "minor": false, "policy": "default", "product": "", "revision": 3,
                  "valid_from": T, "valid_until": T, "signature": BASE64}]}

`revision` and `at` may be missing from the document, and everything behind `expires` from a record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from wiped.decide.feed_answer import FeedFault
from wiped.feed.import_file import COLUMNS, Faults, record_of
from wiped.feed.signed import Verifier
from wiped.model import strict_json
from wiped.model.instants import read_rfc3339
from wiped.model.subscription import SubscriptionRecord

FORM = "wiped/1"
_DOCUMENT = frozenset({"feed", "revision", "count", "at", "next", "records"})
_SIGNED = ("revision", "valid_from", "valid_until", "signature")
#: Records of one answer; a host has hundreds of phones.
MAX_RECORDS = 100_000
#: Bytes of one answer, all pages together (480 for each record).
MAX_BYTES = 48 << 20
_MAX_CURSOR = 1024
#: A record has 15 keys and four times, of which each holds up to four colons; texts hold few commas.
_MAX_COLONS = 64


class FeedError(Exception):
    """An answer that was not taken, why, and a sentence without a value of it."""

    def __init__(self, fault: FeedFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Page:
    """One document as it came. `cursor`: of the next page, "" when this is the last."""

    revision: int | None
    count: int
    at: datetime | None
    cursor: str
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `refused`: phones (UUIDs) whose record is unsigned, wrongly signed or out of its validity, where signatures are asked for."""

    revision: int | None
    at: datetime | None
    records: tuple[SubscriptionRecord, ...]
    refused: tuple[str, ...] = ()


def malformed(detail: str) -> FeedError:
    """Not an answer of this form."""
    return FeedError(FeedFault.MALFORMED, detail)


def read_json(data: bytes, what: str) -> dict[str, Any]:
    """One JSON object. Raises FeedError."""
    try:
        value = strict_json.read_json(data)
    except ValueError:
        raise malformed(f"{what} is not JSON in UTF-8, or a key stands twice") from None
    if not isinstance(value, dict):
        raise malformed(f"{what} is not a JSON object")
    return value


def page_of(data: bytes, what: str) -> Page:
    """One document; blocking, for a thread. Raises FeedError: too-large where it has more objects than an answer may have records, or more keys and times
    than so many records have (counted by their letters, before anything is made of them), malformed."""
    objects = data.count(b"{")
    if objects > MAX_RECORDS + 1 or data.count(b"[") > MAX_RECORDS + 1:
        raise FeedError(FeedFault.TOO_LARGE, f"it has more than {MAX_RECORDS} records")
    if data.count(b":") > _MAX_COLONS * (objects + 1) or data.count(b",") > _MAX_COLONS * (objects + 1):
        raise FeedError(FeedFault.TOO_LARGE, "its objects have more keys than a record has")
    return read_page(read_json(data, what))


def _whole(value: Any, name: str, *, low: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value < 2**63:
        raise malformed(f"{name} is not a whole number")
    return value


def _instant(value: Any, name: str) -> datetime:
    if not isinstance(value, str):
        raise malformed(f"{name} is not a time")
    try:
        return read_rfc3339(value).astimezone(UTC)
    except ValueError:
        raise malformed(f"{name} is not an RFC 3339 time with a zone") from None


def read_page(document: Mapping[str, Any]) -> Page:
    """One document, its records still unread. Raises FeedError."""
    if document.get("feed") != FORM:
        raise malformed(f'it does not say "feed": "{FORM}"')
    if set(document) - _DOCUMENT:
        raise malformed("it has keys that this form does not know")
    rows = document.get("records")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed("records is not a list of objects")
    cursor = document.get("next")
    if cursor is not None and (not isinstance(cursor, str) or not cursor.isascii() or not cursor.isprintable() or not 0 < len(cursor) <= _MAX_CURSOR):
        raise malformed("next is neither null nor a short text")
    return Page(
        revision=None if document.get("revision") is None else _whole(document["revision"], "revision"),
        count=_whole(document.get("count"), "count"),
        at=None if document.get("at") is None else _instant(document["at"], "at"),
        cursor=cursor or "",
        rows=tuple(rows),
    )


def joined(pages: Sequence[Page], now: datetime, *, policies: frozenset[str], verifier: Verifier | None) -> Answer:
    """The answer of all pages. Raises FeedError: partial (pages of different revisions or counts, fewer records than announced), malformed."""
    first = pages[0]
    if any((page.revision, page.count, page.at) != (first.revision, first.count, first.at) for page in pages):
        raise FeedError(FeedFault.PARTIAL, "its pages are of different revisions: it changed while it was read")
    rows = [row for page in pages for row in page.rows]
    if len(rows) != first.count:
        raise FeedError(FeedFault.PARTIAL, f"it announces {first.count} records and has {len(rows)}")
    faults = Faults()
    records: list[SubscriptionRecord] = []
    refused: list[str] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        if set(row) - set(COLUMNS) - set(_SIGNED):
            faults.add(number, "has keys that this form does not know")
            continue
        record = record_of(number, {key: value for key, value in row.items() if key in COLUMNS}, faults, policies=policies)
        if record is None:
            continue
        if record.uuid in seen:
            faults.add(number, "the phone stands already in the answer")
            continue
        seen.add(record.uuid)
        revision = None if row.get("revision") is None else _whole(row["revision"], "a record's revision")
        if verifier is None:
            records.append(replace(record, revision=revision))
        elif verifier.accepts(row, now):
            records.append(replace(record, revision=revision, signed=True))
        else:
            refused.append(record.uuid)
    if faults.total:
        raise malformed(f"{faults.total} of its records are not usable; the first is record {faults.kept[0][0].removeprefix('line ')}: {faults.kept[0][1]}")
    return Answer(first.revision, first.at, tuple(records), tuple(refused))
