"""`wipectl wipe` and `wipectl wipes`: begin a wipe, look at wipes, follow one to its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.client import part
from wiped.cli.options import Commands, Ctx, Identifier, Phone, Reason, group
from wiped.cli.progress import wait_for_begin, wait_until_rest
from wiped.cli.render import Document, Screen, change, clock, facts, grid, moment, phone_line, reasons_table, size, stack, word, words
from wiped.errors import NotSanitizedError, RefusedError

GROUP = group("wipes", "Wipes and their progress.")


async def wipe(
    phone: Phone,
    /,
    *,
    reason: Reason,
    confirm: Annotated[str, Parameter(help="the name of the phone, typed again as confirmation")],
    ticket: Annotated[str, Parameter(help="your own reference; written into the certificate")] = "",
    wait: Annotated[bool, Parameter(negative=(), help="wait until the wipe ends; exit code 4 if the wipe could not be proven")] = False,
    ctx: Ctx,
) -> int:
    """Wipe a phone whose service has ended. While its subscription is active, the wipe needs approval by one other person (two if root asks)."""
    screen = ctx.screen
    async with ctx.daemon() as client:
        uuid = (await client.phone(phone))["uuid"]
        body = {"phone": uuid, "reason": reason, "ticket": ticket, "confirm": confirm}
        before = {item["id"] for item in (await client.get("/v1/wipes", phone=uuid))["items"]}
        asked = await client.send("POST", "/v1/wipes", body)
        if wait:
            wipe_id = await wait_for_begin(client, screen, asked, uuid, before)
            return _ended(screen, await wait_until_rest(client, screen, wipe_id))
    screen.show(asked, asked_table(asked))
    return 0


@GROUP.command(name="list")
async def wipes_list(*, phone: Annotated[str, Parameter(help="list only the wipes of this phone")] = "", ctx: Ctx) -> int:
    """List wipes, newest first."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/wipes", **({"phone": phone} if phone else {}))
    ctx.screen.show(document, wipes_table(document["items"]))
    return 0


@GROUP.command(name="show")
async def wipes_show(wipe_id: Identifier, /, *, ctx: Ctx) -> int:
    """Show one wipe with its artefacts."""
    async with ctx.daemon() as client:
        document = await client.get(f"/v1/wipes/{part(wipe_id)}")
    ctx.screen.show(document, wipe_table(document))
    return 0


@GROUP.command(name="watch")
async def wipes_watch(wipe_id: Identifier, /, *, ctx: Ctx) -> int:
    """Follow a wipe until it ends; exit code 4 if the wipe could not be proven."""
    async with ctx.daemon() as client:
        document = await wait_until_rest(client, ctx.screen, wipe_id)
    return _ended(ctx.screen, document)


def _ended(screen: Screen, document: Document) -> int:
    """Show a wipe that has ended; exit code 0 proven, 3 cancelled, 4 not proven."""
    screen.show(document, wipe_table(document))
    if document["state"] == "cancelled":
        screen.warn("wipectl: the wipe was cancelled before anything was overwritten")
        return RefusedError.exit_code
    if document["state"] == "quarantined" or document["outcome"] == "not-sanitized":
        screen.warn(f"wipectl: not-sanitized: {', '.join(document['reasons'])}; the phone stays fenced")
        return NotSanitizedError.exit_code
    return 0


def wipe_table(document: Document) -> RenderableType:
    """One wipe with its artefacts."""
    phone, trigger = document["phone"], document["trigger"]
    artefacts = grid(
        ("artefact", "kind", "location", "state", "outcome", "reasons", "overwritten", "verified", "mismatches", "via"),
        (
            (item["id"], item["kind"], item["location"], item["state"], word(item["outcome"] or "-"), words(item["reasons"]),
             size(item["bytes_overwritten"]), size(item["bytes_verified"]), item["mismatches"], item["verified_via"] or "-")
            for item in document["artefacts"]
        ),
        empty="no artefacts yet",
    )  # fmt: skip
    return stack(
        facts(
            (
                ("wipe", document["id"]),
                ("phone", phone_line(phone)),
                ("state", word(document["state"])),
                ("trigger", f"{trigger['kind']} ({trigger['ground']}) by {trigger['operator']}"),
                ("ticket", trigger["reference"]),
                ("outcome", word(document["outcome"] or "-")),
                ("reasons", words(document["reasons"])),
                ("residuals", words(document["residuals"])),
                ("certificate", document["certificate_id"]),
                ("started", moment(document["started_at"])),
                ("finished", moment(document["finished_at"])),
                ("next attempt", moment(document["retry_at"])),
            )
        ),
        Text(),
        artefacts,
    )


def asked_table(document: Document) -> RenderableType:
    """The answer to a manual request."""
    if document["wipe"]:
        return wipe_table(document["wipe"])
    return stack(
        facts((("request", document["request_id"]), ("state", word(document["state"])), ("next", change(document)))), Text(), reasons_table(document["reasons"])
    )


def wipes_table(items: Iterable[Document]) -> RenderableType:
    """One line a wipe."""
    return grid(
        ("wipe", "phone", "gen", "state", "trigger", "outcome", "reasons", "started", "next attempt"),
        (
            (item["id"], item["phone"]["name"], item["phone"]["generation"], word(item["state"]), item["trigger"]["kind"], word(item["outcome"] or "-"),
             words(item["reasons"]), clock(item["started_at"]), clock(item["retry_at"]))
            for item in items
        ),
        empty="none",
    )  # fmt: skip


COMMANDS: Commands = (wipe, GROUP)
