"""`wipectl approvals`: what waits for a second person, and how that person approves or rejects it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType

from wiped.cli.client import part
from wiped.cli.context import Context
from wiped.cli.options import Commands, Ctx, Identifier, Reason, group
from wiped.cli.render import Document, clock, facts, grid, moment, plain, words

GROUP = group("approvals", "Actions that wait for a second person.")


@GROUP.command(name="list")
async def approvals_list(
    *, every: Annotated[bool, Parameter(name="--all", negative=(), help="list decided and expired approvals too")] = False, ctx: Ctx
) -> int:
    """List the actions that wait for a second person, who asked for each, and until when the action waits."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/approvals", **({"all": "true"} if every else {}))
    ctx.screen.show(document, approvals_table(document["items"]))
    return 0


@GROUP.command(name="show")
async def approvals_show(approval_id: Identifier, /, *, ctx: Ctx) -> int:
    """Show one approval with its phones and fingerprint; `wipectl plan` shows what would be destroyed."""
    async with ctx.daemon() as client:
        document = await client.get(f"/v1/approvals/{part(approval_id)}")
    ctx.screen.show(document, approval_table(document))
    return 0


@GROUP.command(name="approve")
async def approvals_approve(
    approval_id: Identifier,
    /,
    *,
    fingerprint: Annotated[str, Parameter(help="approve only if the action is still exactly the one that `approvals show` showed")] = "",
    ctx: Ctx,
) -> int:
    """Approve an action. Needs the approver's role; neither root nor the person who asked can approve.

    A plan that changed meanwhile is refused (drift): look at the plan again.
    """
    async with ctx.daemon() as client:
        path = f"/v1/approvals/{part(approval_id)}"
        # Without --fingerprint the person approves what is recorded now.
        if not fingerprint:
            fingerprint = (await client.get(path))["fingerprint"]
        document = await client.send("POST", path, {"decision": "approve", "fingerprint": fingerprint})
    ctx.screen.show(document, approval_table(document))
    if document["state"] == "pending":
        tell_others(ctx, document)
    return 0


@GROUP.command(name="reject")
async def approvals_reject(approval_id: Identifier, /, *, reason: Reason, ctx: Ctx) -> int:
    """Reject an action; its requests are closed."""
    async with ctx.daemon() as client:
        document = await client.send("POST", f"/v1/approvals/{part(approval_id)}", {"decision": "reject", "reason": reason})
    ctx.screen.show(document, approval_table(document))
    return 0


def tell_others(ctx: Context, approval: Document | None) -> None:
    """Say on standard error how many other people must approve, and the command that each of them types."""
    if approval is not None:
        people = approval["needed"] - len(approval["approvals"])
        ctx.screen.warn(f"wipectl: waits for {'another person' if people == 1 else f'{people} other people'}; each types: {approval['command']}")


def approvals_table(items: Iterable[Document]) -> RenderableType:
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


def approval_table(document: Document) -> RenderableType:
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


COMMANDS: Commands = (GROUP,)
