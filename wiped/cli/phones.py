"""`wipectl phones`, and what is done to one phone: explain, suspend, resume, protect, unprotect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.context import Context
from wiped.cli.options import Commands, Ctx, Phone, Reason, group
from wiped.cli.render import Document, change, clock, facts, grid, moment, phone_line, plain, reasons_table, stack, word, words

GROUP = group("phones", "The phones of this host.")


@GROUP.command(name="list")
async def phones_list(
    *, state: Annotated[list[str] | None, Parameter(negative=(), help="list only phones in this state; may be given several times")] = None, ctx: Ctx
) -> int:
    """List the phones of this host, one line each."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/phones", state=state or [])
    ctx.screen.show(document, phones_table(document["items"]))
    return 0


async def explain(phone: Phone, /, *, ctx: Ctx) -> int:
    """Show the state of a phone, its next change and the time of that change, and every reason."""
    async with ctx.daemon() as client:
        found = await client.phone(phone)
        document = await client.get(f"/v1/phones/{found['uuid']}/explain")
    ctx.screen.show(document, explain_table(document))
    return 0


async def suspend(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
    """Stop and fence a phone now; `resume` takes this back, and nothing is erased."""
    return await _mark(ctx, "suspend", phone, reason)


async def resume(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
    """End the suspension of a phone."""
    return await _mark(ctx, "resume", phone, reason)


async def protect(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
    """Protect a phone from being wiped; this is an operator's own hold, separate from legal holds."""
    return await _mark(ctx, "protect", phone, reason)


async def unprotect(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
    """End the protection of a phone."""
    return await _mark(ctx, "unprotect", phone, reason)


async def _mark(ctx: Context, verb: str, name: str, reason: str) -> int:
    async with ctx.daemon() as client:
        phone = await client.phone(name)
        document = await client.send("POST", f"/v1/phones/{phone['uuid']}:{verb}", {"reason": reason})
    ctx.screen.show(document, phones_table([document]))
    return 0


def _upcoming(item: Document) -> str:
    upcoming = item.get("next")
    return f"{plain(upcoming['state'] or 'another look')} {clock(upcoming['at'])}" if upcoming else "-"


def phones_table(items: Iterable[Document]) -> RenderableType:
    """One line a phone."""
    return grid(
        ("name", "uuid", "gen", "state", "flags", "next", "refusals"),
        (
            (item["name"], item["uuid"], item["generation"], word(item["state"]), words(item["flags"]), _upcoming(item), words(item["refusals"]))
            for item in items
        ),
        empty="no phones",
    )


def explain_table(document: Document) -> RenderableType:
    """The story in sentences, then the facts, then every reason with its code."""
    phone, term = document["phone"], document["subscription"]
    pairs: list[tuple[str, Any]] = [
        ("phone", phone_line(phone)),
        ("state", word(document["state"])),
        ("flags", words(document["flags"])),
        ("since", moment(document["since"])),
        ("due", moment(document["due_at"])),
        ("next", change(document)),
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
    return stack(*(Text(plain(sentence)) for sentence in document["story"]), Text(), facts(pairs), Text(), reasons_table(document["reasons"]))


COMMANDS: Commands = (GROUP, explain, suspend, resume, protect, unprotect)
