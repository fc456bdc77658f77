"""Reports as pages for people (R13): a JSON value as readable HTML, every text escaped, no script, nothing fetched. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#222}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:1.8rem;border-bottom:1px solid #ccc}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0}th,td{border:1px solid #ccc;padding:.25rem .5rem;text-align:left;vertical-align:top}"
    "th{background:#f4f4f4;font-weight:600}td{overflow-wrap:anywhere}.none{color:#777}"
)
_TITLES = {"subject": "What this host holds on one account", "period": "What was asked, held and wiped"}


def _words(key: str) -> str:
    return escape(key.replace("_", " "))


def _cell(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return '<span class="none">none</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "<br>".join(f"{_words(str(key))}: {_cell(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_cell(item) for item in value)
    return escape(str(value))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f"<th>{_words(key)}</th>" for key in keys)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row.get(key))}</td>" for key in keys) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def page(kind: str, report: Mapping[str, Any]) -> str:
    """Write a whole page: plain values first, then a section for each list. `kind` is a report's, `subject` or `period`."""
    title = _TITLES[kind]
    plain = {key: value for key, value in report.items() if not isinstance(value, list)}
    parts = [f"<h1>{escape(title)}</h1>", _table([{"": _words(key), "value": value} for key, value in plain.items()])]
    for key, value in report.items():
        if not isinstance(value, list):
            continue
        parts.append(f"<h2>{_words(key)} ({len(value)})</h2>")
        rows = [item if isinstance(item, Mapping) else {"value": item} for item in value]
        parts.append(_table(rows) if rows else '<p class="none">none</p>')
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head><body>'
    return head + "".join(parts) + "</body></html>\n"
