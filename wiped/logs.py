"""structlog's set-up and redaction: JSON for journald and files, colours on a terminal; secrets and personal data in neither.

Under systemd each line bears its priority as `<N>` (sd-daemon(3)). Redaction goes by key, whatever the caller meant; exception texts are cleaned too.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

#: Keys whose values never reach a log: what a customer or a secret may stand in. `reason` is an operator's free text (codes are under `reasons`).
HIDDEN = frozenset(
    {
        "account", "account_reference", "authorization", "credential", "idempotency_key", "key_pem", "passphrase", "password", "private_key",
        "reason", "reference", "salt", "secret", "seed", "token",
    }
)  # fmt: skip
MASK = "***"
#: Seconds between two tellings of the same warning or error, and of how many different ones it is known when they were told.
_TELL_EVERY, _REMEMBERED = 60.0, 1_000
_PRIORITY = {"critical": 2, "exception": 3, "error": 3, "warning": 4, "warn": 4, "notice": 5, "info": 6, "debug": 7}
#: `account=...`, `"token": "..."`, `seed='...'`, a bearer token, and URLs with a password, in free text.
_IN_TEXT = (
    re.compile(r"(?i)\b(" + "|".join(sorted(HIDDEN - {"reason"})) + r")(['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;)}\]]+)"),
    re.compile(r"(?i)\b(bearer)(\s+)\S+"),
    re.compile(r"(://[^/\s:@]*)(:)[^/\s@]+(?=@)"),
)


def clean_text(text: str) -> str:
    """`text` with the values of hidden keys masked."""
    for pattern in _IN_TEXT:
        text = pattern.sub(lambda match: f"{match.group(1)}{match.group(2)}{MASK}", text)
    return text


def _cleaned(key: str, value: Any) -> Any:
    if key.lower() in HIDDEN and value not in (None, "", ()):
        return MASK
    if isinstance(value, Mapping):
        return {str(name): _cleaned(str(name), item) for name, item in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Sequence):
        return [_cleaned("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean_text(str(value))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: every value cleaned, at every depth."""
    return {key: _cleaned(key, value) for key, value in event.items()}


def _place_of(frames: TracebackType | None) -> str:
    return " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}:{frame.name}" for frame in reversed(traceback.extract_tb(frames)))


def tell_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: `exc_info` becomes the chain of types and texts, and the places; never local variables or source lines."""
    told = event.pop("exc_info", None)
    error = told if isinstance(told, BaseException) else told[1] if isinstance(told, tuple) else sys.exception() if told else None
    if error is None:
        return event
    chain: list[str] = []
    place = _place_of(error.__traceback__)
    seen: BaseException | None = error
    while seen is not None and len(chain) < 8:
        chain.append(f"{type(seen).__name__}: {seen}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    event["error"] = " <- ".join(chain)
    event["error_at"] = place
    return event


class Repeats:
    """structlog processor: the same warning or error, word for word, is told once a minute, then with how often it was (`times`): what fails at each sweep
    does not fill the journal. Of at most `_REMEMBERED` different lines; `now` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The line, with `times` where it was kept back; raises structlog.DropEvent for one that was told within the minute."""
        if _PRIORITY.get(method, 6) > _PRIORITY["warning"]:
            return event
        line = repr(sorted(event.items()))
        at, untold = self._told.pop(line, (float("-inf"), 0))
        if self._now() - at < _TELL_EVERY:
            self._told[line] = (at, untold + 1)
            raise structlog.DropEvent
        self._told[line] = (self._now(), 0)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        if untold:
            event["times"] = untold + 1
        return event


def _prefixed(render: structlog.typing.Processor) -> structlog.typing.Processor:
    def prefixed(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        priority = _PRIORITY.get(str(event.get("level", method)), 6)
        return f"<{priority}>{render(logger, method, event)!s}"

    return prefixed


def _escaped(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For terminals: names of domains may hold escape sequences."""
    return {key: value if not isinstance(value, str) or value.isprintable() else ascii(value)[1:-1] for key, value in event.items()}


def under_journald(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the journal's (systemd.exec(5), JOURNAL_STREAM: device and inode)."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return f"{facts.st_dev}:{facts.st_ino}" == f"{device}:{inode}"


def configure(*, level: str = "info", stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> None:
    """Set up structlog, and the standard library's logging through it, for this process."""
    out = sys.stderr if stream is None else stream
    journald = under_journald(out, os.environ if environ is None else environ)
    head: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        tell_exception,
        redact,
    ]
    own: list[structlog.typing.Processor] = [*head, Repeats()]  # not for the standard library's chain, which cannot drop a line
    renderer: structlog.typing.Processor
    if not journald and out.isatty():
        tail: list[structlog.typing.Processor] = [_escaped, structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)]
        renderer = structlog.dev.ConsoleRenderer(colors=True)
    else:
        tail = [structlog.processors.TimeStamper(fmt="iso", utc=True)]
        renderer = structlog.processors.JSONRenderer(ensure_ascii=True)
        if journald:
            renderer = _prefixed(renderer)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*own, *tail, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *head, *tail], processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries speak only when something is wrong: their info lines (requests, jobs) are not ours to vouch for.
    root.setLevel(max(threshold, logging.WARNING))


def get(room: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a room."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(room=room))
