"""Logs: the form fits the reader, secrets and customers reach none of them."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys

import pytest
import structlog

from tests.patience import PATIENCE
from wiped import logs
from wiped.model.records import Secret
from wiped.model.subscription import AccountReference

REFERENCE = "customer-4711"


@pytest.fixture
def told() -> io.StringIO:
    """What a file would get."""
    stream = io.StringIO()
    logs.configure(stream=stream, environ={})
    return stream


def test_a_file_gets_json_lines(told: io.StringIO) -> None:
    """One document a line, with level and time."""
    logs.get("conduct").warning("refused", uuid="u-1", codes=["hard-link"])
    line = json.loads(told.getvalue())
    assert (line["event"], line["level"], line["room"], line["codes"]) == ("refused", "warning", "conduct", ["hard-link"])
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("key", sorted(logs.HIDDEN))
def test_hidden_keys_are_masked_at_every_depth(told: io.StringIO, key: str) -> None:
    """Whatever the caller meant."""
    logs.get("x").error("e", **{key: REFERENCE}, inner={"list": [{key.upper(): REFERENCE}]})
    assert REFERENCE not in told.getvalue()
    assert told.getvalue().count(logs.MASK) == 2


def test_values_that_know_they_are_secret_mask_themselves(told: io.StringIO) -> None:
    """References, seeds and bytes, under any key, in an object's text and in a format string."""
    reference = AccountReference(REFERENCE)
    logs.get("x").info(f"got {reference}", a=reference, b=Secret(REFERENCE.encode()), c=REFERENCE.encode(), d=(reference,))
    logging.getLogger("lib").warning("lib says %s", reference)
    assert REFERENCE not in told.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"account={REFERENCE}",
        f"'account': '{REFERENCE}'",
        f'"token": "{REFERENCE}"',
        f"Bearer {REFERENCE}",
        f"postgresql://u:{REFERENCE}@db/x",
        f"seed='{REFERENCE}'",
    ],
)
def test_exception_texts_are_cleaned(told: io.StringIO, text: str) -> None:
    """The whole chain of causes; the types and places stay."""
    try:
        try:
            raise ValueError(text)
        except ValueError as error:
            raise RuntimeError(f"while at it: {text}") from error
    except RuntimeError:
        logs.get("x").exception("failed")
    line = json.loads(told.getvalue())
    assert REFERENCE not in told.getvalue()
    assert "RuntimeError" in line["error"]
    assert "ValueError" in line["error"]
    assert "test_exception_texts_are_cleaned" in line["error_at"]


def test_a_traceback_shows_no_source_and_no_variables(told: io.StringIO) -> None:
    """A line of source may hold the value it was given."""
    account = AccountReference(REFERENCE)
    try:
        {}[account.value != "customer-4711"]
    except KeyError:
        logs.get("x").exception("failed")
    assert REFERENCE not in told.getvalue()


def test_libraries_speak_only_when_something_is_wrong(told: io.StringIO) -> None:
    """Their info lines are dropped, ours are kept."""
    logging.getLogger("apscheduler").info("job ran")
    logs.get("x").info("ours")
    assert [json.loads(line)["event"] for line in told.getvalue().splitlines()] == ["ours"]


def test_levels_below_the_threshold_are_dropped(told: io.StringIO) -> None:
    """info by default."""
    logs.get("x").debug("noise")
    assert told.getvalue() == ""


def test_the_journal_gets_priorities() -> None:
    """`<N>` before the JSON when stderr is the socket or pipe that JOURNAL_STREAM names."""
    read, write = os.pipe()
    facts = os.fstat(write)
    with os.fdopen(write, "w") as stream:
        logs.configure(stream=stream, environ={"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"})
        logs.get("x").error("bad")
        logging.getLogger("lib").warning("hm")
    with os.fdopen(read) as stream:
        lines = stream.read().splitlines()
    assert [line[:4] for line in lines] == ["<3>{", "<4>{"]
    assert json.loads(lines[0][3:])["event"] == "bad"


def test_another_stream_than_the_journal_s_gets_no_priorities(told: io.StringIO) -> None:
    """JOURNAL_STREAM of a parent does not count for a redirected stderr."""
    assert not logs.under_journald(io.StringIO(), {"JOURNAL_STREAM": "1:2"})
    with open(os.devnull, "w") as stream:
        assert not logs.under_journald(stream, {"JOURNAL_STREAM": "1:2"})


def test_a_terminal_gets_readable_lines_without_foreign_escapes() -> None:
    """Colours are ours; a name's escape sequence is shown, not obeyed."""
    main, side = pty.openpty()
    code = "from wiped import logs; logs.configure(); logs.get('x').info('seen', name='evil\\x1b]0;t\\x07')"
    subprocess.run([sys.executable, "-c", code], stderr=side, check=True, timeout=PATIENCE)
    os.close(side)
    text = os.read(main, 65_536).decode()
    os.close(main)
    assert "seen" in text
    assert "\x1b]0;" not in text
    assert "\\x1b]0;t\\x07" in text


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """What was written, a document a line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_same_warning_is_told_once_a_minute(told: io.StringIO) -> None:
    """A full state directory fails each sweep in the same words; another phone's, or another word, is told at once; what is no warning is not counted."""
    log = logs.get("conduct")
    for _ in range(100):
        log.error("the ledger cannot be used: nothing new is begun", code="ledger-failed", detail="disk full")
        log.error("the ledger cannot be used: nothing new is begun", code="ledger-failed", detail="I/O error")
        log.info("swept")
    found = lines(told)
    assert [line["detail"] for line in found if line["level"] == "error"] == ["disk full", "I/O error"]
    assert len([line for line in found if line["event"] == "swept"]) == 100


def test_after_a_minute_it_is_told_how_often_it_was() -> None:
    """And again at once when it had ended for that long."""
    now = [0.0]
    repeats = logs.Repeats(lambda: now[0])

    def said() -> object:
        try:
            return repeats(None, "error", {"event": "sweep failed", "code": "x"}).get("times", 1)
        except structlog.DropEvent:
            return None

    assert [said() for _ in range(3)] == [1, None, None]
    now[0] = 61.0
    assert [said(), said()] == [3, None]
    now[0] = 600.0
    assert said() == 2


def test_it_remembers_no_more_than_a_bound() -> None:
    """Ten thousand different lines are told, and forgotten."""
    repeats = logs.Repeats(lambda: 0.0)
    for number in range(10_000):
        assert repeats(None, "error", {"event": number}) == {"event": number}
    assert len(repeats._told) == 1_000
