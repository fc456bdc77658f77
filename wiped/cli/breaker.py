"""`wipectl breaker`: the circuit breaker that stops a mass wipe."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.options import Commands, Ctx, group
from wiped.cli.render import Document, facts, grid, moment, plain, stack

GROUP = group("breaker", "The circuit breaker that stops a mass wipe.")


@GROUP.command(name="status")
async def breaker_status(*, ctx: Ctx) -> int:
    """Show whether the breaker is open, why, and exactly which phones a release would allow to be wiped."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/breaker")
    ctx.screen.show(document, breaker_table(document))
    return 0


@GROUP.command(name="release")
async def breaker_release(
    *,
    reason: Annotated[str, Parameter(help="the reason why it is right that so many phones are wiped; stored encrypted in the ledger, never written to a log")],
    fingerprint: Annotated[str, Parameter(help="release only if the phones that wait are exactly those that `breaker status` showed")] = "",
    ctx: Ctx,
) -> int:
    """Allow the wipe of exactly the phones that wait. Needs approval by one other person (two if root asks); phones that fall due later are counted again."""
    async with ctx.daemon() as client:
        if not fingerprint:
            fingerprint = (await client.get("/v1/breaker"))["fingerprint"]
        document = await client.send("POST", "/v1/breaker", {"reason": reason, "fingerprint": fingerprint})
    ctx.screen.show(document, stack(Text(f"released: {len(document['phones'])} phones go on\n"), breaker_table(document)))
    return 0


def breaker_table(document: Document) -> RenderableType:
    """State, numbers, and the phones by name."""
    state = Text("open: nothing new is wiped", style="red") if document["open"] else Text("closed", style="green")
    pairs: list[tuple[str, Any]] = [("breaker", state)]
    if document["opened_at"]:
        pairs += [
            ("opened", moment(document["opened_at"])),
            ("newly due", f"{document['newly_due']} within {document['window_seconds']} s; at most {document['limit']} of {document['bound']} bound phones"),
        ]
    if document["released_at"]:
        pairs.append(("released", f"{moment(document['released_at'])} by {plain(document['released_by'])}"))
    if document["open"]:
        pairs += [("fingerprint", document["fingerprint"] or "-"), ("what to do", plain(document["why"]))]
    phones = grid(
        ("name", "uuid", "gen", "due", "counted"),
        ((item["name"], item["uuid"], item["generation"], moment(item["due_at"]), moment(item["counted_at"])) for item in document["phones"]),
        empty="no phones wait",
    )
    return stack(facts(pairs), Text(), phones)


COMMANDS: Commands = (GROUP,)
