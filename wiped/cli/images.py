"""`wipectl images` and `wipectl quarantine dispose`: what they ask, and how it is shown."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from wiped.cli import tables
from wiped.cli.commands import Context
from wiped.cli.render import clock, facts, grid, moment, plain, size, stack

Document = dict[str, Any]


def orphans_table(document: Document) -> RenderableType:
    """Largest first, with whose it was."""
    items = document["items"]
    rows = ((item["location"], size(item["allocated_bytes"]), size(item["size_bytes"]), clock(item["modified"]), item["owner_name"] or item["owner"] or "-")
            for item in items)  # fmt: skip
    listed = grid(("location", "allocated", "size", "modified", "last owner"), rows, empty="every image under the roots is reached by some domain")
    total = Text(f"\n{len(items)} images, {size(sum(item['allocated_bytes'] for item in items))}; none is ever wiped by itself") if items else None
    more = Text("there are more than are shown", style="yellow") if document["truncated"] else None
    unseen = [Text(f"not looked at: {plain(item['location'])}: {plain(item['detail'])}", style="yellow") for item in document["problems"]]
    return stack(listed, total, more, *unseen)


async def orphans(ctx: Context) -> int:
    """`wipectl images orphans`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/images/orphans")
    ctx.screen.show(document, orphans_table(document))
    return 0


async def classify(ctx: Context, path: str, meaning: str, reason: str) -> int:
    """`wipectl images classify`."""
    async with ctx.daemon() as client:
        document = await client.send("POST", "/v1/images:classify", {"path": path, "as": meaning, "reason": reason})
    pairs = (("image", document["path"]), ("is", document["as"]), ("file", f"device {document['device']}, inode {document['inode']}"),
             ("since", moment(document["at"])), ("by", document["operator"]))  # fmt: skip
    ctx.screen.show(document, facts(pairs))
    return 0


async def classified(ctx: Context) -> int:
    """`wipectl images classified`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/images/classified")
    rows = ((item["path"], item["as"], f"{item['device']}:{item['inode']}", clock(item["at"]), item["operator"]) for item in document["items"])
    ctx.screen.show(document, grid(("path", "as", "device:inode", "at", "operator"), rows, empty="no image is classified"))
    return 0


async def dispose(ctx: Context, name: str, *, reason: str, reference: str, confirm: str) -> int:
    """`wipectl quarantine dispose`."""
    async with ctx.daemon() as client:
        phone = await client.phone(name)
        body = {"phone": phone["uuid"], "reason": reason, "reference": reference, "confirm": confirm}
        document = await client.send("POST", "/v1/quarantine:dispose", body)
    ctx.screen.show(document, tables.wipe(document))
    return 0
