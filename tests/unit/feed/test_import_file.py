"""Import files: what is taken, what is a fault, and that no value of the file is ever repeated."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wiped.api.v1.subscriptions import SubscriptionIn
from wiped.errors import InputError
from wiped.feed.import_file import COLUMNS, MAX_FAULTS, MAX_LINES, SHOWN_FAULTS, Faults, parse_subscriptions, record_of
from wiped.model.identifiers import fault_of
from wiped.model.instants import NEVER
from wiped.model.subscription import AccountReference, SubscriptionRecord

ONE = "0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"
TWO = "1f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c12"
GOOD = {
    "phone": ONE,
    "account": "customer-4711",
    "subscription": "sub-1",
    "starts": "2026-01-01T00:00:00Z",
    "expires": "2026-02-01T08:00:00+08:00",
}
HEADER = "phone,account,subscription,starts,expires"

UNPRINTABLE = "has characters that cannot be printed, or spaces other than the plain one (a no-break space, for example); type it anew"


def line(**changes: object) -> str:
    """A good JSON line with some keys changed; None takes a key out."""
    row = {**GOOD, **changes}
    return json.dumps({key: value for key, value in row.items() if value is not None})


def faults_of(text: str | bytes, **options: str) -> list[tuple[str, str]]:
    """The faults with which a file is refused."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InputError) as caught:
        parse_subscriptions(data, **options)
    return list(caught.value.faults)


def test_json_lines_become_records() -> None:
    """A JSON line gives a record in UTC, with lower-case UUID and defaults that end nothing."""
    records = parse_subscriptions(line(phone=ONE.upper()).encode())
    assert records == (
        SubscriptionRecord(
            ONE,
            "sub-1",
            AccountReference("customer-4711"),
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 2, 1, tzinfo=UTC),
            "default",
            False,
            left_out=frozenset({"minor", "policy", "product"}),
        ),
    )


def test_csv_and_json_give_the_same() -> None:
    """Both forms of one table give equal records, optional columns included."""
    rows = [{**GOOD, "minor": True, "policy": "short"}, {**GOOD, "phone": TWO, "minor": False, "policy": "default"}]
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows({**row, "minor": str(row["minor"]).lower()} for row in rows)
    assert parse_subscriptions(out.getvalue().encode()) == parse_subscriptions("\n".join(map(json.dumps, rows)).encode())


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_ends(mark: bytes, ending: str) -> None:
    """A UTF-8 mark, CRLF and blank lines change nothing."""
    text = ending.join([HEADER, "", f"{ONE},customer,sub,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z", ""])
    assert len(parse_subscriptions(mark + text.encode())) == 1
    assert len(parse_subscriptions(mark + (line() + ending + ending).encode())) == 1


def test_all_faults_at_once_with_their_lines() -> None:
    """Every fault of every line is told, and nothing is imported although one line is good."""
    text = "\n".join(
        [
            line(),
            line(phone="phone-7", starts="2026-01-01T00:00:00"),
            line(phone=TWO, expires="2025-01-01T00:00:00Z"),
            "{not json",
            line(expires=None),
            line(),
        ]
    )
    assert faults_of(text) == [
        ("line 2", "phone: must be a UUID such as 0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"),
        ("line 2", "starts: has no time zone; write Z or an offset such as +08:00"),
        ("line 3", "expires: must lie after starts"),
        ("line 4", "is not JSON (column 2)"),
        ("line 5", "expires: is missing"),
        ("line 6", "the phone stands already in line 1"),
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"expires": ""}, "expires: is empty"),
        ({"expires": "   "}, "expires: is empty"),
        ({"expires": "2026-01-01T00:00:00Z"}, "expires: must lie after starts"),
        ({"expires": "2026-02-30T00:00:00Z"}, "expires: must be a day and time of the calendar"),
        ({"expires": "9999-12-31T23:59:59-12:00"}, "expires: must lie in the years 2000 to 8999, in UTC; a term without an end is written never"),
        ({"starts": "2026-01-01"}, "starts: must be an RFC 3339 instant such as 2026-01-31T23:59:59Z"),
        ({"starts": 1767225600}, "starts: must be text"),
        ({"phone": "{" + ONE + "}"}, "phone: must be a UUID such as 0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"),
        ({"phone": str(UUID(int=0))}, "phone: must be a UUID such as 0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"),
        ({"minor": 1}, "minor: must be true or false"),
        ({"minor": "yes"}, "minor: must be true or false"),
        ({"account": "a\x00b"}, f"account: {UNPRINTABLE}"),
        ({"account": "\ud800"}, f"account: {UNPRINTABLE}"),
        ({"account": "x" * 257}, "account: is longer than 256 characters"),
        ({"expirse": "x"}, "key 6 is unknown (did you mean expires?)"),
        ({"customer-4711": "x"}, "key 6 is unknown"),
    ],
)
def test_each_fault_of_a_value(changes: dict[str, object], fault: str) -> None:
    """Each wrong value is its own fault, in words."""
    assert faults_of(line(**changes)) == [("line 1", fault)]


def test_policy_must_exist() -> None:
    """A policy that nobody configured is a fault on its line, not a default."""
    with pytest.raises(InputError, match="line 1: policy: no policy of that name"):
        parse_subscriptions(line(policy="gone").encode(), policies={"default"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("line 1", "the file has no records")]),
        (HEADER, [("line 1", "the file has no records")]),
        ('[{"phone": 1}]', [("line 1", "is not a JSON object")]),
        ('{"phone": "a", "phone": "b"}', [("line 1", "a key stands twice")]),
        ("[" * 60_000, [("line 1", "is not usable JSON")]),
        ("{" + " " * 70_000 + "}", [("line 1", "is longer than 65536 characters")]),
        (f"{HEADER}\n{ONE},a,b\n", [("line 2", "has 3 fields where the header has 5")]),
        (f'{HEADER}\n"{ONE},a', [("line 2", "is not CSV (a quote is open, or a character cannot stand here); nothing after it was checked")]),
        (f"{HEADER},account\n", [("line 1", "the column account stands twice")]),
        ("phone,account,subscription,starts\n", [("line 1", "the column expires is missing")]),
        (
            f"{HEADER},policey\n",
            [("line 1", f"column 6 of the header is unknown (did you mean policy?); known are {', '.join(COLUMNS)}")],
        ),
    ],
)
def test_faults_of_the_form(text: str, expected: Sequence[tuple[str, str]]) -> None:
    """A file that is not what it should be is told so by line."""
    assert faults_of(text) == expected


def test_not_utf8() -> None:
    """Bytes that are not UTF-8 are told by line; UTF-16 by name."""
    assert faults_of(line().encode() + b"\n\xff") == [("line 2", "is not UTF-8 (perhaps Latin-1 or Windows-1252); save the file as UTF-8")]
    with pytest.raises(InputError, match="UTF-16"):
        parse_subscriptions(line().encode("utf-16"))


def test_too_many_lines() -> None:
    """A file of more than a hundred thousand rows is refused before it is read."""
    with pytest.raises(InputError, match="more than 100001 lines"):
        parse_subscriptions(b"\n" * (MAX_LINES + 1))


def test_many_faults_stay_readable() -> None:
    """The sentence shows the first faults and counts the rest; `faults` is bounded."""
    with pytest.raises(InputError) as caught:
        parse_subscriptions(b"{\n" * 5_000)
    assert len(caught.value.faults) == MAX_FAULTS
    assert str(caught.value).endswith(f"and {5_000 - SHOWN_FAULTS} more")


def test_line_numbers_count_quoted_line_breaks() -> None:
    """A CSV record that spans two lines does not shift the numbers of those after it."""
    text = f'{HEADER}\n{ONE},"a\nb",s,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n{TWO},,s,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n'
    assert faults_of(text) == [("line 2", f"account: {UNPRINTABLE}"), ("line 4", "account: is empty")]


def test_no_value_is_repeated_in_a_fault() -> None:
    """A forgotten header and shifted columns put account references where our words are expected; none is repeated."""
    secret = "wang.xiaoming@example.cn"
    texts = [
        f"{ONE},{secret},sub,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n",
        f"{HEADER}\n{secret},{secret},{secret},{secret},{secret}\n",
        json.dumps({secret: secret}),
        json.dumps({**GOOD, "starts": secret, "policy": secret, "minor": secret, "phone": secret}),
        f'{HEADER}\n"{secret}',
        f"{{{secret}",
    ]
    for text in texts:
        with pytest.raises(InputError) as caught:
            parse_subscriptions(text.encode(), policies=("default",))
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.faults)
    assert secret not in repr(parse_subscriptions(line(account=secret).encode()))


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    """Whatever the bytes are, the answer is records or an InputError, nothing else."""
    try:
        records = parse_subscriptions(data)
    except InputError:
        return
    assert records


def test_a_term_may_have_no_end() -> None:
    """The word `never`, in both forms; in no other column."""
    csv_text = f"{HEADER}\n{ONE},customer-4711,sub-1,2026-01-01T00:00:00Z,never\n"
    for text in (line(expires="never"), csv_text):
        assert parse_subscriptions(text.encode())[0].expires_at == NEVER
    assert faults_of(line(starts="never")) == [("line 1", "starts: must be an RFC 3339 instant such as 2026-01-31T23:59:59Z")]
    assert faults_of(line(expires="Never"))


@pytest.mark.parametrize("name", ["account", "subscription"])
def test_an_identifier_that_a_spreadsheet_broke_is_refused(name: str) -> None:
    """Two customers would share it; every line is told, without the text."""
    lines = "\n".join([line(), line(phone=TWO, **{name: "1.38E+10"})])
    ((where, fault),) = faults_of(lines)
    assert where == "line 2"
    assert fault.startswith(f"{name}: is a number in scientific notation")
    assert "1.38" not in fault


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (HEADER.replace(",", ";").encode(), "separated by semicolons"),
        (HEADER.replace(",", "\t").encode(), "separated by tabs"),
        (HEADER.replace(",", "|").encode(), "separated by bars"),
        (("sep=,\n" + HEADER).encode(), "separator line"),
        (",".join(f"'{name}'" for name in HEADER.split(",")).encode(), "single quotes"),
    ],
)
def test_another_dialect_of_csv_is_named(data: bytes, what: str) -> None:
    """Before anything else is said about its columns."""
    ((where, fault),) = faults_of(data, form="csv")
    assert where == ("line 1")
    assert what in fault


@pytest.mark.parametrize(
    ("data", "what"), [(HEADER.encode("utf-16-le"), "null bytes"), (HEADER.encode("utf-16"), "UTF-16"), (HEADER.encode() + b"\rx\r", "carriage returns")]
)
def test_another_encoding_is_named(data: bytes, what: str) -> None:
    """With what to do."""
    with pytest.raises(InputError, match=what):
        parse_subscriptions(data, form="csv")


zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
printable = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40).filter(lambda text: not fault_of(text))


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "phone": st.uuids(allow_nil=False).map(str),
                "account": printable,
                "subscription": printable,
                "starts": st.datetimes(datetime(2000, 1, 2), datetime(2030, 1, 1), timezones=zones),  # noqa: DTZ001 - hypothesis wants bounds without a zone
                "minor": st.booleans(),
            }
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row["phone"],
    ),
    seconds=st.integers(1, 10**8),
    crlf=st.booleans(),
)
def test_what_is_written_is_read(rows: list[dict[str, object]], seconds: int, crlf: bool) -> None:
    """Any table, written as CSV or JSON lines with any zone, comes back as the same instants and texts."""
    expected = []
    table = []
    for row in rows:
        starts = row["starts"]
        assert isinstance(starts, datetime)
        expires = starts + timedelta(seconds=seconds)
        table.append({**row, "starts": starts.isoformat(), "expires": expires.isoformat()})
        expected.append((row["phone"], row["account"], row["subscription"], starts.astimezone(UTC), expires.astimezone(UTC), row["minor"]))
    out = io.StringIO()
    writer = csv.DictWriter(out, [name for name in COLUMNS if name != "policy"], lineterminator="\r\n" if crlf else "\n")
    writer.writeheader()
    writer.writerows({**row, "minor": str(row["minor"]).lower()} for row in table)
    for text in (out.getvalue(), "\n".join(map(json.dumps, table))):
        records = parse_subscriptions(text.encode())
        assert [(r.uuid, r.account.value, r.subscription_id, r.starts_at, r.expires_at, r.minor) for r in records] == expected


@pytest.mark.parametrize(
    ("column", "text", "good"),
    [
        ("policy", "default", True), ("policy", "Default", False), ("policy", "a b", False), ("policy", "x" * 64, False), ("policy", "é", False),
        ("product", "Basic-2.0_x", True), ("product", "-x", False), ("product", "a/b", False), ("product", "x" * 64, False), ("product", "\u0661", False),
    ],
)  # fmt: skip
def test_policy_and_product_are_the_same_words_at_every_door(column: str, text: str, good: bool) -> None:
    """What PUT refuses is refused here too, with the line, and without the text; where policies are not known (`check`), by their form alone."""
    if good:
        assert parse_subscriptions(line(**{column: text}).encode())
    else:
        assert [fault.partition(":")[0] for _, fault in faults_of(line(**{column: text}))] == [column]
    body = {"account": "a-1", "subscription": "s-1", "starts": "2026-01-01T00:00:00Z", "expires": "never", column: text}
    try:
        SubscriptionIn.model_validate(body)
    except ValidationError:
        assert not good
    else:
        assert good


#: What spreadsheets, other clocks, other tongues and other programs make of a value.
ODD = (
    "", "never", "Never", "1.38E+10", "4711.0", "#N/A", "=A2", "NULL", "null", "true", "TRUE", "yes", "1", "0", "no", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+08:00", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00.123456789Z", "\uff12\uff10\uff12\uff16-01-01T00:00:00Z",
    "2026-01-01t00:00:00z", "a" * 256, "a" * 257, "e\u0301", "x\u200b", "a\tb", "\u202ea", "-5", "+1", "0x1F", "1_000", "\u0661\u0662", "Default", "basic/1",
)  # fmt: skip
FIELDS = {
    "account": "customer-4711",
    "subscription": "sub-1",
    "starts": GOOD["starts"],
    "expires": GOOD["expires"],
    "minor": "false",
    "policy": "default",
    "product": "",
}
VALUES = st.one_of(
    st.sampled_from(ODD), st.text(max_size=20), st.none(), st.booleans(), st.integers(-5, 10**20), st.floats(allow_nan=False), st.lists(st.none(), max_size=1)
)


def meant(take: Callable[[], SubscriptionRecord]) -> object:
    """What a door makes of a record; None where it refuses it."""
    try:
        found = take()
    except (InputError, ValidationError):
        return None
    return (found.account.value, found.subscription_id, found.starts_at, found.expires_at, found.minor, found.policy, found.product)


def by_feed(row: Mapping[str, object]) -> SubscriptionRecord:
    """As one record of an answer."""
    faults = Faults()
    found = record_of(1, row, faults)
    if found is None:
        raise InputError(str(faults.kept))
    return found


def by_csv(row: Mapping[str, str]) -> SubscriptionRecord:
    """As one line of a file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    return parse_subscriptions(text.getvalue().encode())[0]


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), VALUES, max_size=3))
def test_a_record_means_the_same_at_every_door(changes: dict[str, object]) -> None:
    """PUT, JSON lines, CSV and a feed's answer: taken with the same meaning, or refused by all. (White space around a value only the files take off; an empty
    cell is an absent one.)"""
    row = {**FIELDS, **changes}
    assume(all(not isinstance(value, str) or value == value.strip() for value in row.values()))
    named = {"phone": ONE, **row}
    told = {
        "put": meant(lambda: SubscriptionIn.model_validate(row).record(ONE)),
        "jsonl": meant(lambda: parse_subscriptions(json.dumps(named).encode())[0]),
        "feed": meant(lambda: by_feed(named)),
    }
    texts = {name: value for name, value in named.items() if isinstance(value, str)}
    if texts.keys() == named.keys() and "" not in (row["minor"], row["policy"]):
        told["csv"] = meant(lambda: by_csv(texts))
    assert len({repr(each) for each in told.values()}) == 1, told


@pytest.mark.parametrize("value", [0, 0.0, False, [], {}])
def test_a_product_that_is_no_text_is_refused(value: object) -> None:
    """It is not taken for none; only `null` and the empty text are."""
    assert [fault.partition(":")[0] for _, fault in faults_of(line(product=value))] == ["product"]
    assert parse_subscriptions(json.dumps({**GOOD, "product": None}).encode())[0].product == ""
