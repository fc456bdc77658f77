"""`wipectl subscriptions`: the terms that decide when a phone is wiped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.cli.context import read_file
from wiped.cli.options import Commands, Ctx, Phone, group
from wiped.cli.render import Document, clock, grid, stack

GROUP = group("subscriptions", "The subscriptions, whose terms decide when a phone is wiped.")
#: The largest file of an import, bytes.
_MAX_IMPORT = 64 * 1024 * 1024
#: How many imported terms are shown to a person; `--output json` has all of them.
_SHOWN = 100
_TYPES = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson"}


@GROUP.command(name="set")
async def subscriptions_set(
    phone: Phone,
    /,
    *,
    account: Annotated[str, Parameter(help="the account reference; - reads it from standard input; stored only as a pseudonym", allow_leading_hyphen=True)],
    subscription: Annotated[str, Parameter(help="id of the subscription")],
    starts: Annotated[str, Parameter(help="start of the term, RFC 3339 with a time zone")],
    expires: Annotated[str, Parameter(help="end of the term, RFC 3339 with a time zone; or never")],
    minor: Annotated[
        bool | None, Parameter(negative="--no-minor", help="the account is a minor's: the policy's minor_grace applies; a term that goes on keeps it")
    ] = None,
    policy: Annotated[str | None, Parameter(help="name of a policy in the configuration; a term that goes on keeps its own, a new one has default")] = None,
    product: Annotated[str | None, Parameter(help="the product that the phone is sold as; a drain can be limited to one; a term that goes on keeps it")] = None,
    ctx: Ctx,
) -> int:
    """Set the subscription of a phone, or renew it. Ending a running term earlier needs approval by one other person (two if root asks)."""
    body: dict[str, object] = {"account": ctx.line(account), "subscription": subscription, "starts": starts, "expires": expires}
    body |= {name: value for name, value in (("minor", minor), ("policy", policy), ("product", product)) if value is not None}
    async with ctx.daemon() as client:
        # A UUID need not be a domain's yet: such a subscription is kept and shown. Only a name must be known.
        uuid = _uuid(phone) or (await client.phone(phone))["uuid"]
        document = await client.send("PUT", f"/v1/phones/{uuid}/subscription", body)
    ctx.screen.show(document, subscriptions_table([document]))
    return 0


@GROUP.command(name="import")
async def subscriptions_import(
    file: Annotated[str, Parameter(help="JSON lines or CSV; - reads standard input", allow_leading_hyphen=True)], /, *, ctx: Ctx
) -> int:
    """Import many subscriptions, all of them or none: phone, account, subscription, starts, expires, minor, policy, product."""
    data = ctx.stdin.buffer.read(_MAX_IMPORT + 1) if file == "-" else read_file(file, _MAX_IMPORT)
    form = _TYPES.get(os.path.splitext(file)[1].lower(), "application/octet-stream")
    async with ctx.daemon() as client:
        document = json.loads(await client.bytes("POST", "/v1/subscriptions:import", data=data, headers={"Content-Type": form}))
    more = len(document["items"]) - _SHOWN
    told = Text(f"and {more} more: wipectl subscriptions list") if more > 0 else None
    ctx.screen.show(document, stack(Text(f"{document['imported']} imported\n"), subscriptions_table(document["items"][:_SHOWN]), told))
    return 0


@GROUP.command(name="list")
async def subscriptions_list(*, ctx: Ctx) -> int:
    """List all current subscriptions."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/subscriptions")
    ctx.screen.show(document, subscriptions_table(document["items"]))
    return 0


def _uuid(name: str) -> str:
    try:
        return str(UUID(name))
    except ValueError:
        return ""


def subscriptions_table(items: Iterable[Document]) -> RenderableType:
    """One line a subscription."""
    return grid(
        ("uuid", "gen", "subscription", "account (pseudonym)", "starts", "expires", "policy", "minor"),
        (
            (item["phone"], item["generation"], item["subscription"], item["account_pseudonym"], clock(item["starts"]), clock(item["expires"]),
             item["policy"], "yes" if item["minor"] else "no")
            for item in items
        ),
        empty="no subscriptions",
    )  # fmt: skip


COMMANDS: Commands = (GROUP,)
