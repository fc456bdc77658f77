"""`wipectl reports`: what this host stores about one account, and what it did in a span of time."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from wiped.cli.context import Context
from wiped.cli.options import Commands, Ctx, Out, group

GROUP = group("reports", "Reports on what this host stores and did.")


@GROUP.command(name="subject")
async def reports_subject(
    *,
    account: Annotated[str, Parameter(help="the account reference; - reads it from standard input", allow_leading_hyphen=True)],
    to: Out = "",
    ctx: Ctx,
) -> int:
    """Report everything that this host stores about one account, as JSON, or as a page where the file ends in .html."""
    async with ctx.daemon() as client:
        data = await client.bytes("POST", "/v1/reports/subject", json={"account": ctx.line(account), "format": _form(to)})
    _hand_out(ctx, data, to)
    return 0


@GROUP.command(name="period")
async def reports_period(
    *,
    since: Annotated[str, Parameter(name="--from", help="start of the span of time, RFC 3339 with a time zone")],
    until: Annotated[str, Parameter(name="--to", help="end of the span of time, RFC 3339 with a time zone")],
    to: Out = "",
    ctx: Ctx,
) -> int:
    """Report what was requested, held, wiped and not proven in a span of time, as JSON, or as a page where the file ends in .html."""
    async with ctx.daemon() as client:
        data = await client.bytes("GET", "/v1/reports/period", params={"from": since, "to": until, "format": _form(to)})
    _hand_out(ctx, data, to)
    return 0


def _form(to: str) -> str:
    """The form of a report, as the file's ending says."""
    return "html" if os.path.splitext(to)[1].lower() in (".html", ".htm") else "json"


def _hand_out(ctx: Context, data: bytes, to: str) -> None:
    """Into a file that its owner alone may read, or to standard output with one newline at its end."""
    ctx.hand_out(data if to else data.rstrip(b"\n") + b"\n", to, private=True)


COMMANDS: Commands = (GROUP,)
