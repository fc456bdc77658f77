"""`wipectl status`: the host at a glance."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from wiped.cli.options import Commands, Ctx
from wiped.cli.render import Document, facts, grid, moment, plain, size, span, stack, words

#: Seconds between two looks of `--watch`.
_WATCH = 2.0


async def status(*, watch: Annotated[bool, Parameter(negative=(), help="show the status again every two seconds")] = False, ctx: Ctx) -> int:
    """Show the host at a glance: phones by state, overdue phones, age of the feed, running wipes with ETA."""
    screen = ctx.screen
    async with ctx.daemon() as client:
        document = await client.get("/v1/status")
        if not watch:
            screen.show(document, status_table(document))
            return 0
        live = screen.output == "table" and screen.console.is_terminal
        with Live(console=screen.console, auto_refresh=False, screen=False) if live else _nothing() as shown:
            while True:
                if isinstance(shown, Live):
                    shown.update(status_table(document), refresh=True)
                else:
                    screen.show(document, status_table(document))
                await asyncio.sleep(_WATCH)
                document = await client.get("/v1/status")


class _nothing:
    """No live display."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _progress(item: Document) -> str:
    if not item["phase"]:
        return plain(item["state"])
    share = f"{100 * item['done'] // item['total']}%" if item["total"] else ""
    eta = "?" if item["eta_seconds"] is None else span(item["eta_seconds"])
    return f"{plain(item['phase'])} {share} of {size(item['total'])}, {size(item['rate'])}/s, ETA {eta}"


def status_table(document: Document) -> RenderableType:
    """Facts of the host, then the running wipes."""
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


COMMANDS: Commands = (status,)
