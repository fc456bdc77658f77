"""`wipectl audit`: the hash-chained log of the host, shown, exported and verified."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Annotated

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.attest.audit_chain import Head, follow
from wiped.cli.client import Client
from wiped.cli.context import read_file
from wiped.cli.options import Commands, Ctx, group
from wiped.cli.render import Document, facts, grid, stack, words
from wiped.model.records import AuditEntry
from wiped.verify.export import Export, verify_directory

GROUP = group("audit", "The append-only audit log.")
#: Entries that are asked for at once.
_PAGE = 1_000


@GROUP.command(name="tail")
async def audit_tail(*, last: Annotated[int, Parameter(help="how many entries, 1 to 1000")] = 20, ctx: Ctx) -> int:
    """Show the newest entries of the audit log."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/audit", last=last)
    ctx.screen.show(document, audit_table(document["items"]))
    return 0


@GROUP.command(name="export")
async def audit_export(directory: Annotated[str, Parameter(name="DIR", help="created if it is missing")], /, *, ctx: Ctx) -> int:
    """Copy the whole audit log, a signed head and the public key into DIR, to verify them elsewhere."""
    with Export(directory) as export:
        async with ctx.daemon() as client:
            async for entries in _pages(client):
                export.add(entries)
            head = export.head
            export.finish(await client.bytes("GET", "/v1/audit/head", params={"seq": str(head.seq)}), await client.bytes("GET", "/v1/key"))
    document = {"directory": directory, "seq": head.seq, "hash": head.hash, "at": head.at}
    ctx.screen.show(document, facts((("exported to", directory), ("entries", head.seq), ("hash", head.hash))))
    return 0


@GROUP.command(name="verify")
async def audit_verify(
    directory: Annotated[str, Parameter(name="DIR", help="an exported log, verified offline; without it the log of the daemon")] = "",
    /,
    *,
    key: Annotated[str, Parameter(help="the public key to trust, PEM; without it the key in DIR")] = "",
    ctx: Ctx,
) -> int:
    """Verify the hash chain from its first entry; exit code 65 if an entry was changed, is missing or was added."""
    if directory:
        head = verify_directory(directory, read_file(key) if key else None)
    else:
        head = Head()
        async with ctx.daemon() as client:
            async for entries in _pages(client):
                head = follow(head, entries)
    document = {"verified": True, "seq": head.seq, "hash": head.hash, "at": head.at}
    ctx.screen.show(
        document, stack(Text("verified: the chain is whole\n", style="green"), facts((("entries", head.seq), ("last", head.at), ("hash", head.hash))))
    )
    return 0


async def _pages(client: Client) -> AsyncIterator[list[AuditEntry]]:
    """The whole log from its first entry, a page at a time."""
    after = 0
    while items := (await client.get("/v1/audit", after=after, limit=_PAGE))["items"]:
        entries = [AuditEntry(**item) for item in items]
        yield entries
        after = entries[-1].seq


def audit_table(items: Iterable[Document]) -> RenderableType:
    """One line an entry."""
    return grid(
        ("seq", "at", "kind", "body", "hash"),
        ((item["seq"], item["at"], item["kind"], words(f"{name}={value}" for name, value in item["body"].items()), item["hash"][:16]) for item in items),
        empty="no entries",
    )


COMMANDS: Commands = (GROUP,)
