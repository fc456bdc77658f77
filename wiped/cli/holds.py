"""`wipectl holds`: legal holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType

from wiped.cli.client import part
from wiped.cli.options import Account, Commands, Ctx, Identifier, MaybePhone, Reason, group
from wiped.cli.render import Document, clock, grid, yes
from wiped.model.approvals import HoldGround

GROUP = group("holds", "Legal holds: a phone on hold is never erased.")


@GROUP.command(name="add")
async def holds_add(
    phone: MaybePhone = "",
    /,
    *,
    account: Account = "",
    authority: Annotated[str, Parameter(help="the authority that ordered the hold; stored encrypted in the ledger")],
    reference: Annotated[str, Parameter(help="case number of the authority; stored encrypted in the ledger")],
    ground: Annotated[HoldGround, Parameter(help="legal ground of the hold", name_transform=lambda name: name.lower().replace("_", "-"))],
    until: Annotated[str, Parameter(help="RFC 3339 with a time zone; the hold ends by itself then, and without it only when released")] = "",
    disclose: Annotated[bool | None, Parameter(help="whether a subject report names the hold; by default the ground decides")] = None,
    reason: Annotated[str, Parameter(help="the reason, in words; stored encrypted in the ledger")] = "",
    ctx: Ctx,
) -> int:
    """Add a legal hold on a phone, or on every phone that an account has now and gets later."""
    body: dict[str, Any] = {"authority": authority, "reference": reference, "ground": ground.value, "until": until, "disclose": disclose, "reason": reason}
    async with ctx.daemon() as client:
        about = await ctx.about(client, phone, account)
        document = await client.send("POST", "/v1/holds", {**about, **{key: value for key, value in body.items() if value not in ("", None)}})
    ctx.screen.show(document, holds_table([document]))
    if document.get("note"):
        ctx.screen.say(document["note"], "bold red")
    return 0


@GROUP.command(name="release")
async def holds_release(hold_id: Identifier, /, *, reason: Reason, ctx: Ctx) -> int:
    """Release a legal hold. Needs approval by one other person (two if root asks): exit code 3 and the approval's id until the second person approved."""
    async with ctx.daemon() as client:
        document = await client.send("DELETE", f"/v1/holds/{part(hold_id)}", {"reason": reason})
    ctx.screen.show(document, holds_table([document]))
    return 0


@GROUP.command(name="list")
async def holds_list(*, ctx: Ctx) -> int:
    """List the legal holds in force; authority and reference are shown to operators, approvers and auditors."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/holds")
    ctx.screen.show(document, holds_table(document["items"]))
    return 0


def holds_table(items: Iterable[Document]) -> RenderableType:
    """One line a hold."""
    return grid(
        ("hold", "on", "ground", "until", "authority", "reference", "told to the subject", "by"),
        (
            (item["id"], item["phone"] or f"account {item['account_pseudonym']}", item["ground"], clock(item["until"]) if item["until"] else "released",
             item["authority"] or "-", item["reference"] or "-", yes(item["disclose"]), item["operator"] or "-")
            for item in items
        ),
        empty="no legal holds",
    )  # fmt: skip


COMMANDS: Commands = (GROUP,)
