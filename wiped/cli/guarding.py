"""`wipectl breaker` and `wipectl clock`: what they ask, and how it is shown."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from wiped.cli.commands import Context
from wiped.cli.render import facts, grid, moment, plain, stack

Document = dict[str, Any]


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


async def breaker_status(ctx: Context) -> int:
    """`wipectl breaker status`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/breaker")
    ctx.screen.show(document, breaker_table(document))
    return 0


async def breaker_release(ctx: Context, reason: str, fingerprint: str) -> int:
    """`wipectl breaker release`: exactly the phones that wait now (or that `fingerprint` names), shown as they are let go."""
    async with ctx.daemon() as client:
        if not fingerprint:
            fingerprint = (await client.get("/v1/breaker"))["fingerprint"]
        document = await client.send("POST", "/v1/breaker", {"reason": reason, "fingerprint": fingerprint})
    ctx.screen.show(document, stack(Text(f"released: {len(document['phones'])} phones go on\n"), breaker_table(document)))
    return 0


def clock_table(document: Document) -> RenderableType:
    """Trusted or not, and what to do."""
    known = {True: "yes", False: "no", None: "the kernel does not tell"}[document["synchronised"]]
    state = Text(f"suspect: {document['suspect']}", style="red") if document["suspect"] else Text("trusted", style="green")
    pairs: list[tuple[str, Any]] = [("clock", state), ("looked at", moment(document["at"])), ("synchronised", known)]
    if document["suspect"]:
        pairs += [("since", moment(document["since"])), ("why", plain(document["why"]))]
    return facts(pairs)


async def clock_status(ctx: Context) -> int:
    """`wipectl clock status`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/clock")
    ctx.screen.show(document, clock_table(document))
    return 0


async def clock_trust(ctx: Context, reason: str) -> int:
    """`wipectl clock trust`."""
    async with ctx.daemon() as client:
        document = await client.send("POST", "/v1/clock", {"reason": reason})
    ctx.screen.show(document, clock_table(document))
    return 0
