"""`wipectl drain`: the announced end of this host, or of a product on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.approvals import tell_others
from wiped.cli.client import part
from wiped.cli.options import Commands, Ctx, Reason, group
from wiped.cli.render import Document, clock, grid, moment, plain, stack
from wiped.errors import InputError

GROUP = group("drain", "The announced end of this host, or of a product on it.")


@GROUP.command(name="start")
async def drain_start(
    *,
    at: Annotated[str, Parameter(help="date of the end, RFC 3339 with a time zone")],
    product: Annotated[str, Parameter(help="drain only the phones of this product")] = "",
    reason: Reason,
    ctx: Ctx,
) -> int:
    """Announce the end: no new subscription is accepted, and on the date the phones are wiped.

    Phones whose term still runs then are wiped only if a second person approves.
    """
    async with ctx.daemon() as client:
        document = await client.send("POST", "/v1/drain", {"at": at, "product": product, "reason": reason})
        waiting = [item for item in (await client.get("/v1/approvals"))["items"] if item["subject"] == document["id"]]
    ctx.screen.show(document, drains_table([document]))
    ctx.screen.warn("wipectl: until then the drain can be cancelled, and no new subscription is accepted")
    tell_others(ctx, waiting[0] if waiting else None)
    return 0


@GROUP.command(name="status")
async def drain_status(*, ctx: Ctx) -> int:
    """List the drains in force."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/drain")
    ctx.screen.show(document, drains_table(document["items"]))
    return 0


@GROUP.command(name="cancel")
async def drain_cancel(
    drain_id: Annotated[str, Parameter(name="ID", help="may be left out where only one drain is in force")] = "", /, *, reason: Reason, ctx: Ctx
) -> int:
    """Cancel a drain before its date; needs approval by one other person (two if root asks)."""
    async with ctx.daemon() as client:
        if not drain_id:
            found = [item["id"] for item in (await client.get("/v1/drain"))["items"]]
            if not found:
                raise InputError("no drain is in force", where="ID", hint="there is nothing to cancel; `wipectl drain status` lists the drains in force")
            if len(found) > 1:
                raise InputError(f"several drains are in force: {', '.join(map(plain, found))}", where="ID", hint="name the ID of the drain to cancel")
            drain_id = found[0]
        document = await client.send("DELETE", f"/v1/drain/{part(drain_id)}", {"reason": reason})
    ctx.screen.show(document, stack(Text("cancelled\n"), drains_table([document])))
    return 0


def drains_table(items: Iterable[Document]) -> RenderableType:
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


COMMANDS: Commands = (GROUP,)
