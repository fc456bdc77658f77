"""The documents of docs/contract.md as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from wiped.cli.render import clock, facts, grid, moment, plain, size, span, stack, word, words

Document = dict[str, Any]


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _change(document: Document) -> str:
    upcoming = document.get("next")
    return f"{plain(upcoming['state'] or 'looked at again')}, {moment(upcoming['at'])}" if upcoming else "nothing by time alone"


def _progress(item: Document) -> str:
    if not item["phase"]:
        return plain(item["state"])
    share = f"{100 * item['done'] // item['total']}%" if item["total"] else ""
    eta = "?" if item["eta_seconds"] is None else span(item["eta_seconds"])
    return f"{plain(item['phase'])} {share} of {size(item['total'])}, {size(item['rate'])}/s, ETA {eta}"


def status(document: Document) -> RenderableType:
    """The host at a glance."""
    phones = document["phones"]
    feed = document["feed"]
    well = Text("yes", style="green")
    pairs: list[tuple[str, Any]] = [
        ("host", f"{document['host']} (wiped {document['version']})"),
        ("phones", words(f"{count} {state}" for state, count in phones.items() if count) if any(phones.values()) else "none"),
        ("flags", words(f"{count} {flag}" for flag, count in document["flags"].items() if count)),
        ("overdue", Text(f"{document['overdue']}, the oldest for {span(document['oldest_overdue_seconds'])}", style="red") if document["overdue"] else "none"),
        ("quarantined", Text(str(document["quarantined"]), style="red") if document["quarantined"] else "none"),
        ("queued", document["queued"]),
        ("legal holds", document["holds"]),
        ("feed", f"{feed['kind']}, last complete answer " + ("never" if feed["age_seconds"] is None else f"{span(feed['age_seconds'])} ago")),
        ("libvirt", well if document["libvirt_up"] else Text("down", style="red")),
        ("last sweep", moment(document["last_sweep_at"])),
    ]
    if document["breaker_open"]:
        pairs.append(("breaker", Text("open: nothing new is wiped; see wipectl breaker status", style="red")))
    if document["clock_suspect"]:
        pairs.append(("clock", Text("suspect: nothing is concluded from time; see wipectl clock status", style="red")))
    pairs += [(f"fault: {plain(name)}", Text(plain(fault), style="red")) for name, fault in document["faults"].items()]
    running = grid(
        ("wipe", "phone", "step", "progress"),
        ((item["wipe_id"], item["name"], item["state"], _progress(item)) for item in document["running"]),
        empty="no wipe is running",
    )
    return stack(facts(pairs), Text(), running)


def _phone(phone: Document) -> str:
    return f"{phone['name'] or '(no name)'} ({phone['uuid']}), generation {phone['generation']}"


def _upcoming(item: Document) -> str:
    upcoming = item.get("next")
    return f"{plain(upcoming['state'] or 'another look')} {clock(upcoming['at'])}" if upcoming else "-"


def phones(items: Iterable[Document]) -> RenderableType:
    """One line a phone."""
    return grid(
        ("name", "uuid", "gen", "state", "flags", "next", "refusals"),
        (
            (item["name"], item["uuid"], item["generation"], word(item["state"]), words(item["flags"]), _upcoming(item), words(item["refusals"]))
            for item in items
        ),
        empty="no phones",
    )


def _reasons(items: list[Document]) -> RenderableType:
    return grid(("why", "", "since"), ((item["code"], item["detail"], moment(item["at"])) for item in items), empty="no reasons")


def explain(document: Document) -> RenderableType:
    """The story in sentences, then the facts, then every reason with its code."""
    phone, term = document["phone"], document["subscription"]
    pairs: list[tuple[str, Any]] = [
        ("phone", _phone(phone)),
        ("state", word(document["state"])),
        ("flags", words(document["flags"])),
        ("since", moment(document["since"])),
        ("due", moment(document["due_at"])),
        ("next", _change(document)),
        ("refusals", words(document["refusals"])),
    ]
    if term:
        pairs += [
            ("subscription", f"{term['subscription']} of {term['account_pseudonym']}" + (" (minor)" if term["minor"] else "")),
            ("term", f"{moment(term['starts'])} to {moment(term['expires'])}, policy {term['policy']}"),
        ]
        if term["product"]:
            pairs.append(("product", term["product"]))
    for item in document["holds"]:
        whose = f", {item['authority']}, {item['reference']}" if item["authority"] or item["reference"] else ""
        pairs.append(("hold", f"{item['id']}: {item['ground']}{whose}, until {item['until'] or 'released'}"))
    for item in document["requests"]:
        who = f"approved by {item['approver'] or 'billing'}" if item["approved"] else "not approved"
        pairs.append(("request", f"{item['id']}: {item['kind']} ({item['ground']}), {moment(item['requested_at'])}, {who}"))
    pairs += [("approval", f"{item['id']}: {item['kind']}, {len(item['approvals'])} of {item['needed']} agreed") for item in document["approvals"]]
    pairs += [("drain", f"{item['id']}: {item['product'] or 'the host'}, {moment(item['at'])}") for item in document["drains"]]
    pairs.append(("wipes", words(document["wipes"])))
    return stack(*(Text(plain(sentence)) for sentence in document["story"]), Text(), facts(pairs), Text(), _reasons(document["reasons"]))


def plan(document: Document) -> RenderableType:
    """Destroyed, kept, refused."""
    phone = document["phone"]
    steps = grid(
        ("artefact", "kind", "location", "format", "allocated", "method", "why"),
        (
            (item["artefact"]["id"], item["artefact"]["kind"], item["artefact"]["location"], item["artefact"]["format"],
             size(item["artefact"]["allocated_bytes"]), item["method"], item["reason"])
            for item in document["steps"]
        ),
        empty="nothing",
    )  # fmt: skip
    retained = grid(("kind", "location", "why"), ((item["kind"], item["location"], item["reason"]) for item in document["retained"]), empty="nothing")
    refusals = grid(("code", "location", "why"), ((item["code"], item["location"], item["detail"]) for item in document["refusals"]), empty="nothing")
    return stack(
        facts(
            (
                ("phone", _phone(phone)),
                ("expected", Text(f"{document['expected_outcome']} ({words(document['expected_reasons'])})")),
                ("residuals", words(document["residuals"])),
                ("fingerprint", document["fingerprint"]),
            )
        ),
        _heading("would be destroyed"),
        steps,
        _heading("would be kept"),
        retained,
        _heading("refused: a plan with refusals is never executed" if document["refusals"] else "refused"),
        refusals,
    )


def wipe(document: Document) -> RenderableType:
    """One wipe with its artefacts."""
    phone, trigger = document["phone"], document["trigger"]
    artefacts = grid(
        ("artefact", "kind", "location", "state", "outcome", "reasons", "overwritten", "verified", "mismatches", "via"),
        (
            (item["id"], item["kind"], item["location"], item["state"], word(item["outcome"] or "-"), words(item["reasons"]),
             size(item["bytes_overwritten"]), size(item["bytes_verified"]), item["mismatches"], item["verified_via"] or "-")
            for item in document["artefacts"]
        ),
        empty="no artefacts yet",
    )  # fmt: skip
    return stack(
        facts(
            (
                ("wipe", document["id"]),
                ("phone", _phone(phone)),
                ("state", word(document["state"])),
                ("trigger", f"{trigger['kind']} ({trigger['ground']}) by {trigger['operator']}"),
                ("ticket", trigger["reference"]),
                ("outcome", word(document["outcome"] or "-")),
                ("reasons", words(document["reasons"])),
                ("residuals", words(document["residuals"])),
                ("certificate", document["certificate_id"]),
                ("started", moment(document["started_at"])),
                ("finished", moment(document["finished_at"])),
                ("next attempt", moment(document["retry_at"])),
            )
        ),
        Text(),
        artefacts,
    )


def asked(document: Document) -> RenderableType:
    """The answer to a manual request."""
    if document["wipe"]:
        return wipe(document["wipe"])
    return stack(
        facts((("request", document["request_id"]), ("state", word(document["state"])), ("next", _change(document)))), Text(), _reasons(document["reasons"])
    )


def wipes(items: Iterable[Document]) -> RenderableType:
    """One line a wipe."""
    return grid(
        ("wipe", "phone", "gen", "state", "trigger", "outcome", "reasons", "started", "next attempt"),
        (
            (item["id"], item["phone"]["name"], item["phone"]["generation"], word(item["state"]), item["trigger"]["kind"], word(item["outcome"] or "-"),
             words(item["reasons"]), clock(item["started_at"]), clock(item["retry_at"]))
            for item in items
        ),
        empty="none",
    )  # fmt: skip


def subscriptions(items: Iterable[Document]) -> RenderableType:
    """One line a term."""
    return grid(
        ("uuid", "gen", "subscription", "account (pseudonym)", "starts", "expires", "policy", "minor"),
        (
            (item["phone"], item["generation"], item["subscription"], item["account_pseudonym"], clock(item["starts"]), clock(item["expires"]),
             item["policy"], "yes" if item["minor"] else "no")
            for item in items
        ),
        empty="no subscriptions",
    )  # fmt: skip


def audit(items: Iterable[Document]) -> RenderableType:
    """One line an entry."""
    return grid(
        ("seq", "at", "kind", "body", "hash"),
        ((item["seq"], item["at"], item["kind"], words(f"{name}={value}" for name, value in item["body"].items()), item["hash"][:16]) for item in items),
        empty="no entries",
    )


def certificate(statement: Document) -> RenderableType:
    """What a verified certificate or incident record says."""
    said = statement.get("predicate", {})
    issuer, phone, overall, trigger = (said.get(name, {}) for name in ("issuer", "phone", "overall", "trigger"))

    def row(item: Document) -> tuple[Any, ...]:
        read = item.get("verification") or {}
        method = (item.get("method") or {}).get("name")
        reasons = words(item.get("reasons", ()))
        return (item.get("kind"), word(item.get("outcome")), reasons, method, size(read.get("bytes")), read.get("mismatches"), read.get("via"))

    artefacts = grid(
        ("kind", "outcome", "reasons", "method", "verified", "mismatches", "via"), (row(item) for item in said.get("artefacts", ())), empty="no artefacts"
    )
    return stack(
        facts(
            (
                ("certificate", said.get("certificate_id")),
                ("issued", said.get("issued_at")),
                ("by", f"{issuer.get('host')} ({issuer.get('residency')}), wiped {issuer.get('version')}, key {issuer.get('key_id')}"),
                ("phone", f"{phone.get('uuid')}, generation {phone.get('generation')}, account {phone.get('account_pseudonym')}"),
                ("trigger", f"{trigger.get('kind')} ({trigger.get('ground')})"),
                ("outcome", word(overall.get("outcome"))),
                ("scope", overall.get("scope")),
                ("residuals", words(said.get("residuals", ()))),
            )
        ),
        Text(),
        artefacts,
    )
