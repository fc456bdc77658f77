"""`wipectl clock`: whether the host's clock is trusted."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.options import Commands, Ctx, group
from wiped.cli.render import Document, facts, moment, plain

GROUP = group("clock", "The clock of the host, and whether it is trusted.")


@GROUP.command(name="status")
async def clock_status(*, ctx: Ctx) -> int:
    """Show whether the clock is trusted or suspect, and why."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/clock")
    ctx.screen.show(document, clock_table(document))
    return 0


@GROUP.command(name="trust")
async def clock_trust(*, reason: Annotated[str, Parameter(help="how you know that the clock is right; stored encrypted in the ledger")], ctx: Ctx) -> int:
    """Confirm that a suspect clock shows the right time; check the clock first."""
    async with ctx.daemon() as client:
        document = await client.send("POST", "/v1/clock", {"reason": reason})
    ctx.screen.show(document, clock_table(document))
    return 0


def clock_table(document: Document) -> RenderableType:
    """Whether the clock is trusted, and what to do if not."""
    known = {True: "yes", False: "no", None: "the kernel does not tell"}[document["synchronised"]]
    state = Text(f"suspect: {document['suspect']}", style="red") if document["suspect"] else Text("trusted", style="green")
    pairs: list[tuple[str, Any]] = [("clock", state), ("looked at", moment(document["at"])), ("synchronised", known)]
    if document["suspect"]:
        pairs += [("since", moment(document["since"])), ("why", plain(document["why"]))]
    return facts(pairs)


COMMANDS: Commands = (GROUP,)
