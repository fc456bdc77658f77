"""`wipectl requests`: triggers of a wipe other than the end of the term."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.approvals import approval_table, tell_others
from wiped.cli.options import Account, Commands, Ctx, MaybePhone, group
from wiped.cli.render import Document, clock, grid, stack

GROUP = group("requests", "Triggers of a wipe other than the end of the subscription.")


@GROUP.command(name="add")
async def requests_add(
    phone: MaybePhone = "",
    /,
    *,
    account: Account = "",
    kind: Annotated[Literal["deletion", "cancellation", "consent-withdrawn", "guardian", "leak"], Parameter(help="what is requested")],
    ground: Annotated[str, Parameter(help="legal ground of the request; may be left out where the kind has only one")] = "",
    reference: Annotated[str, Parameter(help="the requester's own case number, or yours; stored encrypted in the ledger")],
    confirm: Annotated[
        str,
        Parameter(
            help="the name of the phone or the account reference, typed again as confirmation; - reads it from standard input", allow_leading_hyphen=True
        ),
    ],
    reason: Annotated[str, Parameter(help="the reason, in words; stored encrypted in the ledger")] = "",
    ctx: Ctx,
) -> int:
    """Record a request: the phone is stopped and fenced at once, and wiped when its term ends or once a second person approves.

    A leak only suspends the phone.
    """
    # Exit code 0 once the request is recorded, though the erasing may wait for another person.
    async with ctx.daemon() as client:
        about = await ctx.about(client, phone, account)
        body = {"kind": kind, "ground": ground, "reference": reference, "reason": reason, "confirm": ctx.line(confirm)}
        document = await client.send("POST", "/v1/requests", {**about, **body})
    ctx.screen.show(document, asked_for_table(document))
    tell_others(ctx, document["approval"])
    return 0


@GROUP.command(name="list")
async def requests_list(*, phone: Annotated[str, Parameter(help="list only the requests about this phone")] = "", ctx: Ctx) -> int:
    """List open requests, oldest first."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/requests", **({"phone": phone} if phone else {}))
    ctx.screen.show(document, requests_table(document["items"]))
    return 0


def requests_table(items: Iterable[Document]) -> RenderableType:
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


def asked_for_table(document: Document) -> RenderableType:
    """The requests that were recorded, and the approval that they wait for."""
    more = [Text(), approval_table(document["approval"])] if document["approval"] else []
    return stack(requests_table(document["items"]), *more)


COMMANDS: Commands = (GROUP,)
