"""`wipectl suspend` to `reports`: what the commands of the promise's rules ask, and the files that they write."""

from __future__ import annotations

import os
from typing import Any

from rich.text import Text

from wiped.cli import promises as shown
from wiped.cli import tables
from wiped.cli.client import Client, part
from wiped.cli.commands import Context
from wiped.cli.render import plain, stack
from wiped.errors import InputError

#: A reference is at most 256 characters.
_LINE = 4_096


def _line(ctx: Context, value: str) -> str:
    """`value`, or the next line of standard input for `-`: what must not stand in a process list is not typed as an argument."""
    return ctx.stdin.readline(_LINE).rstrip("\r\n") if value == "-" else value


def _tell(ctx: Context, approval: dict[str, Any] | None) -> None:
    """Who has to do what now."""
    if approval is not None:
        people = approval["needed"] - len(approval["approvals"])
        ctx.screen.warn(f"wipectl: waits for {'another person' if people == 1 else f'{people} other people'}; each types: {approval['command']}")


async def mark(ctx: Context, verb: str, name: str, reason: str) -> int:
    """`wipectl suspend|resume|protect|unprotect PHONE`."""
    async with ctx.daemon() as client:
        phone = await client.phone(name)
        document = await client.send("POST", f"/v1/phones/{phone['uuid']}:{verb}", {"reason": reason})
    ctx.screen.show(document, tables.phones([document]))
    return 0


async def _about(ctx: Context, client: Client, name: str, account: str) -> dict[str, str]:
    """{"phone": uuid} or {"account": reference}. Raises InputError unless exactly one was named."""
    if bool(name) == bool(account):
        raise InputError("name a PHONE or an --account, and not both")
    return {"account": _line(ctx, account)} if account else {"phone": (await client.phone(name))["uuid"]}


async def requests_add(ctx: Context, name: str, account: str, body: dict[str, str]) -> int:
    """`wipectl requests add`: exit 0 once it is recorded, though the erasing may wait for another person."""
    async with ctx.daemon() as client:
        about = await _about(ctx, client, name, account)
        document = await client.send("POST", "/v1/requests", {**about, **body, "confirm": _line(ctx, body["confirm"])})
    ctx.screen.show(document, shown.asked_for(document))
    _tell(ctx, document["approval"])
    return 0


async def requests_list(ctx: Context, name: str) -> int:
    """`wipectl requests list`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/requests", **({"phone": name} if name else {}))
    ctx.screen.show(document, shown.requests(document["items"]))
    return 0


async def holds_add(ctx: Context, name: str, account: str, body: dict[str, Any]) -> int:
    """`wipectl holds add`."""
    async with ctx.daemon() as client:
        about = await _about(ctx, client, name, account)
        document = await client.send("POST", "/v1/holds", {**about, **{key: value for key, value in body.items() if value not in ("", None)}})
    ctx.screen.show(document, shown.holds([document]))
    return 0


async def holds_release(ctx: Context, hold_id: str, reason: str) -> int:
    """`wipectl holds release ID`."""
    async with ctx.daemon() as client:
        document = await client.send("DELETE", f"/v1/holds/{part(hold_id)}", {"reason": reason})
    ctx.screen.show(document, shown.holds([document]))
    return 0


async def holds_list(ctx: Context) -> int:
    """`wipectl holds list`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/holds")
    ctx.screen.show(document, shown.holds(document["items"]))
    return 0


async def approvals_list(ctx: Context, every: bool) -> int:
    """`wipectl approvals list`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/approvals", **({"all": "true"} if every else {}))
    ctx.screen.show(document, shown.approvals(document["items"]))
    return 0


async def approvals_show(ctx: Context, approval_id: str) -> int:
    """`wipectl approvals show ID`."""
    async with ctx.daemon() as client:
        document = await client.get(f"/v1/approvals/{part(approval_id)}")
    ctx.screen.show(document, shown.approval(document))
    return 0


async def approvals_approve(ctx: Context, approval_id: str, fingerprint: str) -> int:
    """`wipectl approvals approve ID`: what stands recorded now, or only the plan that `fingerprint` names."""
    async with ctx.daemon() as client:
        path = f"/v1/approvals/{part(approval_id)}"
        if not fingerprint:
            fingerprint = (await client.get(path))["fingerprint"]
        document = await client.send("POST", path, {"decision": "approve", "fingerprint": fingerprint})
    ctx.screen.show(document, shown.approval(document))
    if document["state"] == "pending":
        _tell(ctx, document)
    return 0


async def approvals_reject(ctx: Context, approval_id: str, reason: str) -> int:
    """`wipectl approvals reject ID`."""
    async with ctx.daemon() as client:
        document = await client.send("POST", f"/v1/approvals/{part(approval_id)}", {"decision": "reject", "reason": reason})
    ctx.screen.show(document, shown.approval(document))
    return 0


async def drain_start(ctx: Context, at: str, product: str, reason: str) -> int:
    """`wipectl drain start`."""
    async with ctx.daemon() as client:
        document = await client.send("POST", "/v1/drain", {"at": at, "product": product, "reason": reason})
        waiting = [item for item in (await client.get("/v1/approvals"))["items"] if item["subject"] == document["id"]]
    ctx.screen.show(document, shown.drains([document]))
    ctx.screen.warn("wipectl: until then it can be cancelled, and no new subscription is accepted")
    _tell(ctx, waiting[0] if waiting else None)
    return 0


async def drain_status(ctx: Context) -> int:
    """`wipectl drain status`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/drain")
    ctx.screen.show(document, shown.drains(document["items"]))
    return 0


async def drain_cancel(ctx: Context, drain_id: str, reason: str) -> int:
    """`wipectl drain cancel [ID]`: the one in force, or the one that is named."""
    async with ctx.daemon() as client:
        if not drain_id:
            found = [item["id"] for item in (await client.get("/v1/drain"))["items"]]
            if len(found) != 1:
                raise InputError(f"several drains are in force: {', '.join(map(plain, found))}" if found else "no drain is in force", where="ID")
            drain_id = found[0]
        document = await client.send("DELETE", f"/v1/drain/{part(drain_id)}", {"reason": reason})
    ctx.screen.show(document, stack(Text("cancelled\n"), shown.drains([document])))
    return 0


def _form(to: str) -> str:
    ending = os.path.splitext(to)[1].lower()
    return "html" if ending in (".html", ".htm") else "json"


def _keep(ctx: Context, data: bytes, to: str) -> None:
    """A report into a file that its owner alone may read, or to standard output as it came. Raises InputError."""
    if not to:
        ctx.screen.raw(data.rstrip(b"\n") + b"\n")
        return
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=to) from error
    ctx.screen.warn(f"{to}: {len(data)} bytes")


async def reports_subject(ctx: Context, account: str, to: str) -> int:
    """`wipectl reports subject`."""
    async with ctx.daemon() as client:
        data = await client.bytes("POST", "/v1/reports/subject", json={"account": _line(ctx, account), "format": _form(to)})
    _keep(ctx, data, to)
    return 0


async def reports_period(ctx: Context, since: str, until: str, to: str) -> int:
    """`wipectl reports period`."""
    async with ctx.daemon() as client:
        data = await client.bytes("GET", "/v1/reports/period", params={"from": since, "to": until, "format": _form(to)})
    _keep(ctx, data, to)
    return 0
