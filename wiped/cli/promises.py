"""Requests, holds, approvals and drains as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from wiped.cli.render import clock, facts, grid, moment, plain, stack, words

Document = dict[str, Any]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def requests(items: Iterable[Document]) -> RenderableType:
    """One line a request."""
    return grid(
        ("request", "uuid", "kind", "ground", "asked", "not before", "by", "approved", "reference"),
        (
            (item["id"], item["phone"], item["kind"], item["ground"], clock(item["requested_at"]), clock(item["effective_at"]), item["operator"] or "-",
             (item["approver"] or "yes") if item["approved"] else "no", item["reference"] or "-")
            for item in items
        ),
        empty="no requests",
    )  # fmt: skip


def asked_for(document: Document) -> RenderableType:
    """What was recorded, and what waits."""
    more = [Text(), approval(document["approval"])] if document["approval"] else []
    return stack(requests(document["items"]), *more)


def holds(items: Iterable[Document]) -> RenderableType:
    """One line a hold."""
    return grid(
        ("hold", "on", "ground", "until", "authority", "reference", "told to the subject", "by"),
        (
            (item["id"], item["phone"] or f"account {item['account_pseudonym']}", item["ground"], clock(item["until"]) if item["until"] else "released",
             item["authority"] or "-", item["reference"] or "-", _yes(item["disclose"]), item["operator"] or "-")
            for item in items
        ),
        empty="no legal holds",
    )  # fmt: skip


def approvals(items: Iterable[Document]) -> RenderableType:
    """One line an approval."""
    return grid(
        ("approval", "of", "subject", "phones", "asked by", "until", "agreed", "state"),
        (
            (item["id"], item["kind"], item["subject"], len(item["phones"]), item["asked_by"], clock(item["expires_at"]),
             f"{len(item['approvals'])} of {item['needed']}", item["state"])
            for item in items
        ),
        empty="nothing waits for another person",
    )  # fmt: skip


def approval(document: Document) -> RenderableType:
    """One approval, whole."""
    pairs: list[tuple[str, Any]] = [
        ("approval", document["id"]),
        ("of", document["kind"]),
        ("subject", document["subject"]),
        ("phones", words(document["phones"])),
        ("asked by", f"{plain(document['asked_by'])}, {moment(document['asked_at'])}"),
        ("agreed", f"{len(document['approvals'])} of {document['needed']}: {words(document['approvals'])}"),
        ("until", moment(document["expires_at"])),
        ("state", document["state"]),
        ("fingerprint", document["fingerprint"] or "-"),
    ]
    pairs += [(plain(name), value) for name, value in document["terms"].items()]
    if document["command"]:
        pairs.append(("the other types", document["command"]))
    return facts(pairs)


def drains(items: Iterable[Document]) -> RenderableType:
    """One line a drain."""
    return grid(
        ("drain", "of", "at", "announced", "by", "running terms too"),
        (
            (item["id"], f"product {item['product']}" if item["product"] else "the host", moment(item["at"]), clock(item["announced_at"]),
             item["operator"] or "-", f"yes, by {item['approver'] or '?'}" if item["approved"] else "no")
            for item in items
        ),
        empty="no drain is announced",
    )  # fmt: skip
