"""`wipectl images`: images that no domain references, and images that are golden or private because an operator said so."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.options import Commands, Ctx, group
from wiped.cli.render import Document, clock, facts, grid, moment, plain, size, stack

GROUP = group("images", "Images that no domain references, and images that are golden or private.")


@GROUP.command(name="orphans")
async def images_orphans(*, ctx: Ctx) -> int:
    """List files under the roots that no domain references, with size and last owner; changes nothing."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/images/orphans")
    ctx.screen.show(document, orphans_table(document))
    return 0


@GROUP.command(name="classify")
async def images_classify(
    path: Annotated[str, Parameter(help="absolute path of the image, as libvirt names it")],
    meaning: Annotated[Literal["golden", "private"], Parameter(name="AS", help="golden: shared, kept, never wiped; private: the base of one phone alone")],
    /,
    *,
    reason: Annotated[str, Parameter(help="how you know this; stored encrypted in the ledger, never written to a log")],
    ctx: Ctx,
) -> int:
    """Record that an image is golden or private, where nothing else shows it. `private` needs approval by one other person (two if root asks)."""
    async with ctx.daemon() as client:
        document = await client.send("POST", "/v1/images:classify", {"path": path, "as": meaning, "reason": reason})
    pairs = (("image", document["path"]), ("is", document["as"]), ("file", f"device {document['device']}, inode {document['inode']}"),
             ("since", moment(document["at"])), ("by", document["operator"]))  # fmt: skip
    ctx.screen.show(document, facts(pairs))
    return 0


@GROUP.command(name="classified")
async def images_classified(*, ctx: Ctx) -> int:
    """List the images that were classified, by whom and when."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/images/classified")
    rows = ((item["path"], item["as"], f"{item['device']}:{item['inode']}", clock(item["at"]), item["operator"]) for item in document["items"])
    ctx.screen.show(document, grid(("path", "as", "device:inode", "at", "operator"), rows, empty="no image is classified"))
    return 0


def orphans_table(document: Document) -> RenderableType:
    """Largest first, each with its last owner."""
    items = document["items"]
    rows = ((item["location"], size(item["allocated_bytes"]), size(item["size_bytes"]), clock(item["modified"]), item["owner_name"] or item["owner"] or "-")
            for item in items)  # fmt: skip
    listed = grid(("location", "allocated", "size", "modified", "last owner"), rows, empty="every image under the roots is reached by some domain")
    total = Text(f"\n{len(items)} images, {size(sum(item['allocated_bytes'] for item in items))}; none is ever wiped by itself") if items else None
    more = Text("there are more than are shown", style="yellow") if document["truncated"] else None
    unseen = [Text(f"not looked at: {plain(item['location'])}: {plain(item['detail'])}", style="yellow") for item in document["problems"]]
    return stack(listed, total, more, *unseen)


COMMANDS: Commands = (GROUP,)
