"""`wipectl quarantine`: wipes that could not be proven; their phones are fenced and in place."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from wiped.cli.client import part
from wiped.cli.options import Commands, Ctx, Phone, group
from wiped.cli.render import plain
from wiped.cli.wipes import wipe_table, wipes_table
from wiped.errors import InputError

GROUP = group("quarantine", "Wipes that could not be proven; the phones stay fenced and their files stay in place.")


@GROUP.command(name="list")
async def quarantine_list(*, ctx: Ctx) -> int:
    """List the wipes in quarantine, with their reasons and next attempt."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/quarantine")
    ctx.screen.show(document, wipes_table(document["items"]))
    return 0


@GROUP.command(name="retry")
async def quarantine_retry(phone: Phone, /, *, ctx: Ctx) -> int:
    """Try the wipe of a quarantined phone again now."""
    async with ctx.daemon() as client:
        uuid = (await client.phone(phone))["uuid"]
        waiting = [item for item in (await client.get("/v1/quarantine"))["items"] if item["phone"]["uuid"] == uuid]
        if not waiting:
            raise InputError("no wipe of this phone waits in quarantine", where=plain(phone), hint="`wipectl explain` shows the state of the phone")
        document = await client.send("POST", f"/v1/wipes/{part(waiting[0]['id'])}:retry", {})
    ctx.screen.show(document, wipe_table(document))
    return 0


@GROUP.command(name="dispose")
async def quarantine_dispose(
    phone: Phone,
    /,
    *,
    reason: Annotated[str, Parameter(help="the reason why this is accepted; stored encrypted in the ledger, never written to a log")],
    reference: Annotated[str, Parameter(help="reference of the decision that was taken outside this program; written into the incident record")],
    confirm: Annotated[str, Parameter(help="the name of the phone, typed again as confirmation")],
    ctx: Ctx,
) -> int:
    """Accept that a wipe cannot be proven. Every file stays in place, and the phone stays fenced.

    Needs approval by one other person (two if root asks): exit code 3 and the approval's id until the second person approved.
    """
    async with ctx.daemon() as client:
        body = {"phone": (await client.phone(phone))["uuid"], "reason": reason, "reference": reference, "confirm": confirm}
        document = await client.send("POST", "/v1/quarantine:dispose", body)
    ctx.screen.show(document, wipe_table(document))
    return 0


COMMANDS: Commands = (GROUP,)
