"""Import files: bytes of JSON lines or CSV into subscription records, all or nothing, every fault with its line and all faults at once.

Columns (CSV header) or keys (JSON): `phone` (UUID), `account`, `subscription`, `starts`, `expires` (RFC 3339 with a zone; an end may be `never`), and
optionally `minor` (true or false), `policy` and `product`. Nothing has a default that could end a service: a missing or blank expiry is a fault.

Pure: bytes in, values out. No value of the file is ever repeated in an error (R11): a shifted column or a forgotten header would put account
references where a word of ours is expected.
"""

from __future__ import annotations

import csv
import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from wiped.errors import InputError
from wiped.model.identifiers import POLICY, PRODUCT, fault_of
from wiped.model.instants import read_end, read_rfc3339
from wiped.model.strict_json import RepeatedKeyError, read_json, read_truth
from wiped.model.subscription import AccountReference, SubscriptionRecord

REQUIRED = ("phone", "account", "subscription", "starts", "expires")
OPTIONAL = ("minor", "policy", "product")
COLUMNS = REQUIRED + OPTIONAL

#: A longer file is refused as a whole: a host has hundreds of phones, and a hundred thousand terms are recorded in about a minute.
MAX_LINES = 100_001
#: Characters in one line or one quoted CSV record, and in one field.
MAX_LINE = 65_536
MAX_TEXT = 256
#: So many faults are kept; the sentence of the error shows the first few.
MAX_FAULTS = 1_000
SHOWN_FAULTS = 20

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@dataclass(slots=True)
class Faults:
    """Faults found so far; `total` goes on counting after `MAX_FAULTS` are kept."""

    kept: list[tuple[str, str]] = field(default_factory=list)
    total: int = 0

    def add(self, line: int, fault: str) -> None:
        """One more."""
        self.total += 1
        if len(self.kept) < MAX_FAULTS:
            self.kept.append((f"line {line}", fault))

    def raise_if_any(self) -> None:
        """Raises InputError that names them."""
        if self.total:
            shown = "; ".join(f"{where}: {fault}" for where, fault in self.kept[:SHOWN_FAULTS])
            more = f"; and {self.total - SHOWN_FAULTS} more" if self.total > SHOWN_FAULTS else ""
            raise InputError(f"nothing was imported: {shown}{more}", faults=self.kept)


def parse_subscriptions(data: bytes, *, form: str = "", policies: Collection[str] | None = None) -> tuple[SubscriptionRecord, ...]:
    """The records of an import file, in its order.

    `form`: `jsonl`, `csv`, or "" to tell by the first character ("{" begins JSON lines). `policies`: the names that exist, None for any.
    Raises InputError that names every fault as ("line N", sentence) in `faults`, and then nothing of the file may be used.
    """
    faults = Faults()
    lines = _lines(data)
    if form not in ("", "jsonl", "csv"):
        raise InputError("must be jsonl or csv", where="form")
    if not form:
        first = next((line for line in lines if line.strip()), "")
        form = "jsonl" if first.lstrip().startswith(("{", "[")) else "csv"
    rows = _json_rows(lines, faults) if form == "jsonl" else _csv_rows(lines, faults)
    records: list[SubscriptionRecord] = []
    seen: dict[str, int] = {}
    found = 0
    for number, row in rows:
        found += 1
        record = _record(number, row, policies, faults)
        if record is None:
            continue
        if record.uuid in seen:
            faults.add(number, f"the phone stands already in line {seen[record.uuid]}")
            continue
        seen[record.uuid] = number
        records.append(record)
    faults.raise_if_any()
    if not found:
        raise InputError("nothing was imported: the file has no records", faults=(("line 1", "the file has no records"),))
    return tuple(records)


def _lines(data: bytes) -> list[str]:
    """The file's lines without their ends; a UTF-8 byte order mark is taken off."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("is UTF-16; save it as UTF-8", where="line 1")
    if data.count(b"\n") > MAX_LINES:
        raise InputError(f"the file has more than {MAX_LINES} lines", hint="leave out the phones of other hosts, or import it in several files")
    if b"\0" in data[:4096]:
        raise InputError("holds null bytes, so it is UTF-16, UTF-32 or no text at all; save it as UTF-8", where="line 1")
    if b"\r" in data and b"\n" not in data:
        raise InputError("has carriage returns alone as line ends (an old Macintosh file); save it with line feeds", where="line 1")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        fault = "is not UTF-8 (perhaps Latin-1 or Windows-1252); save the file as UTF-8"
        raise InputError(f"nothing was imported: {fault}", where=f"line {number}", faults=((f"line {number}", fault),)) from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _json_rows(lines: list[str], faults: Faults) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each line one JSON object; the others are faults."""

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            faults.add(number, f"is longer than {MAX_LINE} characters")
            continue
        try:
            row = read_json(line)
        except RepeatedKeyError:
            faults.add(number, "a key stands twice")
            continue
        except json.JSONDecodeError as error:
            faults.add(number, f"is not JSON (column {error.colno})")
            continue
        except ValueError:
            faults.add(number, "is not usable JSON")
            continue
        if not isinstance(row, dict):
            faults.add(number, "is not a JSON object")
            continue
        unknown = [key for key in row if key not in COLUMNS]
        for key in unknown:
            faults.add(number, f"key {list(row).index(key) + 1} is unknown{_suggestion(key)}")
        if not unknown:
            yield number, row


def _csv_rows(lines: list[str], faults: Faults) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each CSV record as column -> text, blank optional fields left out. `number` is the line on which the record begins."""
    header: list[str] | None = None
    for number, cells in _csv_records(lines, faults):
        if header is None:
            header = [cell.strip().lower() for cell in cells]
            if not _header_is_good(number, header, faults):
                return
            continue
        if len(cells) != len(header):
            faults.add(number, f"has {len(cells)} fields where the header has {len(header)}")
            continue
        row = dict(zip(header, cells, strict=True))
        yield number, {column: text for column, text in row.items() if text or column in REQUIRED}


def _csv_records(lines: list[str], faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Records with their first line. After a record that is not CSV nothing more can be told apart, so reading ends there."""
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            faults.add(number, "is not CSV (a quote is open, or a character cannot stand here); nothing after it was checked")
            return
        if not any(cell.strip() for cell in cells):
            continue
        if sum(map(len, cells)) > MAX_LINE:
            faults.add(number, f"is longer than {MAX_LINE} characters")
            continue
        yield number, cells


def _header_is_good(number: int, header: list[str], faults: Faults) -> bool:
    before = faults.total
    dialect = _dialect(header)
    if dialect:
        faults.add(number, dialect)
        return False
    for place, name in enumerate(header, start=1):
        if name not in COLUMNS:
            faults.add(number, f"column {place} of the header is unknown{_suggestion(name)}; known are {', '.join(COLUMNS)}")
        elif header.index(name) != place - 1:
            faults.add(number, f"the column {name} stands twice")
    for name in REQUIRED:
        if name not in header:
            faults.add(number, f"the column {name} is missing")
    return faults.total == before


def _dialect(header: list[str]) -> str:
    """What the first line says of another dialect of CSV than commas and double quotes, and the remedy; "" for nothing."""
    first = header[0]
    if first.startswith("sep="):
        return "is a separator line (sep=); leave it out and separate with commas"
    for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(header) < len(REQUIRED) and any(sign in cell and cell.split(sign)[0].strip() in COLUMNS for cell in header):
            return f"is separated by {name}; export it separated by commas"
    if first.startswith("'") or (len(header) >= len(REQUIRED) and all(cell.startswith("'") and cell.endswith("'") for cell in header)):
        return "is quoted with single quotes; export it with double quotes, or with none"
    return ""


def _suggestion(name: str) -> str:
    """A known name that is close, in words; never the name itself."""
    close = difflib.get_close_matches(name[:64].lower(), COLUMNS, n=1, cutoff=0.7)
    return f" (did you mean {close[0]}?)" if close else ""


def _record(number: int, row: Mapping[str, Any], policies: Collection[str] | None, faults: Faults) -> SubscriptionRecord | None:
    """One record, or None with at least one fault added."""
    before = faults.total
    texts = {name: _text(number, name, row.get(name), faults) for name in REQUIRED}
    for name in ("account", "subscription"):
        broken = fault_of(texts[name])
        if broken:
            faults.add(number, f"{name}: {broken}")
    policy = _text(number, "policy", row.get("policy", "default"), faults)
    product = "" if row.get("product") in (None, "") else _text(number, "product", row["product"], faults)
    for name, text, form in (("policy", policy, POLICY), ("product", product, PRODUCT)):
        if text and not re.fullmatch(form, text, re.ASCII):
            faults.add(number, f"{name}: must be letters, digits, '-'{' (small letters)' if name == 'policy' else ', . and _'}, 63 at most")
    if policy and policies is not None and policy not in policies:
        faults.add(number, "policy: no policy of that name is configured")
    minor = read_truth(row.get("minor", False))
    if minor is None:
        faults.add(number, "minor: must be true or false")
    if texts["phone"] and (not _UUID.fullmatch(texts["phone"]) or UUID(texts["phone"]).int == 0):
        faults.add(number, "phone: must be a UUID such as 0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11")
    starts = _instant(number, "starts", texts["starts"], faults)
    expires = _instant(number, "expires", texts["expires"], faults, read=read_end)
    if starts and expires and expires <= starts:
        faults.add(number, "expires: must lie after starts")
    if faults.total != before or starts is None or expires is None:
        return None
    return SubscriptionRecord(
        uuid=texts["phone"].lower(),
        subscription_id=texts["subscription"],
        account=AccountReference(texts["account"]),
        starts_at=starts,
        expires_at=expires,
        policy=policy,
        minor=bool(minor),
        product=product,
        left_out=frozenset(name for name in OPTIONAL if name not in row),
    )


def record_of(number: int, row: Mapping[str, Any], faults: Faults, *, policies: Collection[str] | None = None) -> SubscriptionRecord | None:
    """One record of a feed's answer, by the rules of an import file; None with at least one fault added under its number (from 1)."""
    return _record(number, row, policies, faults)


def _text(number: int, name: str, value: Any, faults: Faults) -> str:
    """Text without white space around it, or "" with a fault."""
    if value is None:
        faults.add(number, f"{name}: is missing")
        return ""
    if not isinstance(value, str):
        faults.add(number, f"{name}: must be text")
        return ""
    text = value.strip()
    if not text:
        faults.add(number, f"{name}: is empty")
        return ""
    if len(text) > MAX_TEXT:
        faults.add(number, f"{name}: is longer than {MAX_TEXT} characters")
        return ""
    if not text.isprintable():  # control characters, lone surrogates, line separators
        faults.add(number, f"{name}: has characters that cannot be printed, or spaces other than the plain one (a no-break space, for example); type it anew")
        return ""
    return text


def _instant(number: int, name: str, text: str, faults: Faults, *, read: Callable[[str], datetime] = read_rfc3339) -> datetime | None:
    """An instant in UTC as `read` reads it, or None with a fault (or when its text was at fault already)."""
    if not text:
        return None
    try:
        return read(text).astimezone(UTC)
    except ValueError as error:
        faults.add(number, f"{name}: {error}")
        return None
