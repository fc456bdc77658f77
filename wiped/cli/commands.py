"""What each command of `wipectl` does: ask, show, and the exit code of docs/contract.md."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TextIO
from uuid import UUID

from rich.live import Live
from rich.text import Text

from wiped.attest.audit_chain import Head, entry_line, follow
from wiped.attest.signing import open_envelope
from wiped.cli import tables
from wiped.cli.client import Client, part
from wiped.cli.render import Screen, facts, plain, stack
from wiped.cli.watching import wait as wait_until_rest
from wiped.cli.watching import wait_for_begin
from wiped.errors import InputError, NotSanitizedError, RefusedError
from wiped.model.records import AuditEntry

_WATCH = 2.0
#: An envelope or a key is some kilobytes.
_MAX_FILE = 16 * 1024 * 1024
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Context:
    """What the global options say. `stdin`: for `-`."""

    socket: str
    screen: Screen
    stdin: TextIO

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Client]:
        """A connection to the daemon."""
        async with Client(self.socket) as client:
            yield client


def _read(path: str, limit: int = _MAX_FILE) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    if len(data) > limit:
        raise InputError(f"is larger than {limit} bytes", where=path)
    return data


def _write(path: str, data: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=path) from error


async def status(ctx: Context, *, watch: bool) -> int:
    """`wipectl status`."""
    screen = ctx.screen
    async with ctx.daemon() as client:
        document = await client.get("/v1/status")
        if not watch:
            screen.show(document, tables.status(document))
            return 0
        live = screen.output == "table" and screen.console.is_terminal
        with Live(console=screen.console, auto_refresh=False, screen=False) if live else _nothing() as shown:
            while True:
                if isinstance(shown, Live):
                    shown.update(tables.status(document), refresh=True)
                else:
                    screen.show(document, tables.status(document))
                await asyncio.sleep(_WATCH)
                document = await client.get("/v1/status")


class _nothing:
    """No live display."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


async def explain(ctx: Context, name: str) -> int:
    """`wipectl explain PHONE`."""
    async with ctx.daemon() as client:
        phone = await client.phone(name)
        document = await client.get(f"/v1/phones/{phone['uuid']}/explain")
    ctx.screen.show(document, tables.explain(document))
    return 0


async def plan(ctx: Context, name: str) -> int:
    """`wipectl plan PHONE`."""
    async with ctx.daemon() as client:
        phone = await client.phone(name)
        document = await client.get(f"/v1/phones/{phone['uuid']}/plan")
    ctx.screen.show(document, tables.plan(document))
    return 0


def _ended(screen: Screen, document: dict[str, Any]) -> int:
    """Show a wipe that rests; 0 proven, 3 called off, 4 not proven."""
    screen.show(document, tables.wipe(document))
    if document["state"] == "cancelled":
        screen.warn("wipectl: called off before the last word; nothing was overwritten")
        return RefusedError.exit_code
    if document["state"] == "quarantined" or document["outcome"] == "not-sanitized":
        screen.warn(f"wipectl: not-sanitized: {', '.join(document['reasons'])}; the phone stays fenced")
        return NotSanitizedError.exit_code
    return 0


async def wipe(ctx: Context, name: str, *, reason: str, ticket: str, confirm: str, wait: bool) -> int:
    """`wipectl wipe PHONE`."""
    screen = ctx.screen
    async with ctx.daemon() as client:
        phone = await client.phone(name)
        body = {"phone": phone["uuid"], "reason": reason, "ticket": ticket, "confirm": confirm}
        before = {item["id"] for item in (await client.get("/v1/wipes", phone=phone["uuid"]))["items"]}
        asked = await client.send("POST", "/v1/wipes", body)
        if wait:
            wipe_id = await wait_for_begin(client, screen, asked, phone["uuid"], before)
            return _ended(screen, await wait_until_rest(client, screen, wipe_id))
    screen.show(asked, tables.asked(asked))
    return 0


async def phones_list(ctx: Context, states: list[str]) -> int:
    """`wipectl phones list`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/phones", state=states)
    ctx.screen.show(document, tables.phones(document["items"]))
    return 0


def _uuid(name: str) -> str:
    try:
        return str(UUID(name))
    except ValueError:
        return ""


async def subscriptions_set(ctx: Context, name: str, body: dict[str, Any]) -> int:
    """`wipectl subscriptions set PHONE`."""
    if body["account"] == "-":
        line = ctx.stdin.readline(4_096)
        body = {**body, "account": line.rstrip("\r\n")}
    async with ctx.daemon() as client:
        # A UUID need not be a domain's yet: such a term is kept and shown. Only a name must be known.
        uuid = _uuid(name) or (await client.phone(name))["uuid"]
        document = await client.send("PUT", f"/v1/phones/{uuid}/subscription", body)
    ctx.screen.show(document, tables.subscriptions([document]))
    return 0


async def subscriptions_import(ctx: Context, path: str) -> int:
    """`wipectl subscriptions import FILE`."""
    limit = 64 * 1024 * 1024
    data = ctx.stdin.buffer.read(limit + 1) if path == "-" else _read(path, limit)
    ending = os.path.splitext(path)[1].lower()
    form = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson"}.get(ending, "application/octet-stream")
    async with ctx.daemon() as client:
        document = json.loads(await client.bytes("POST", "/v1/subscriptions:import", data=data, headers={"Content-Type": form}))
    ctx.screen.show(document, stack(Text(f"{document['imported']} imported\n"), tables.subscriptions(document["items"])))
    return 0


async def subscriptions_list(ctx: Context) -> int:
    """`wipectl subscriptions list`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/subscriptions")
    ctx.screen.show(document, tables.subscriptions(document["items"]))
    return 0


async def wipes_list(ctx: Context, phone: str) -> int:
    """`wipectl wipes list`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/wipes", **({"phone": phone} if phone else {}))
    ctx.screen.show(document, tables.wipes(document["items"]))
    return 0


async def wipes_show(ctx: Context, wipe_id: str) -> int:
    """`wipectl wipes show ID`."""
    async with ctx.daemon() as client:
        document = await client.get(f"/v1/wipes/{part(wipe_id)}")
    ctx.screen.show(document, tables.wipe(document))
    return 0


async def wipes_watch(ctx: Context, wipe_id: str) -> int:
    """`wipectl wipes watch ID`."""
    async with ctx.daemon() as client:
        document = await wait_until_rest(client, ctx.screen, wipe_id)
    return _ended(ctx.screen, document)


async def quarantine_list(ctx: Context) -> int:
    """`wipectl quarantine list`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/quarantine")
    ctx.screen.show(document, tables.wipes(document["items"]))
    return 0


async def quarantine_retry(ctx: Context, name: str) -> int:
    """`wipectl quarantine retry PHONE`."""
    async with ctx.daemon() as client:
        phone = await client.phone(name)
        waiting = [item for item in (await client.get("/v1/quarantine"))["items"] if item["phone"]["uuid"] == phone["uuid"]]
        if not waiting:
            raise InputError("no wipe of this phone waits in quarantine", where=plain(name))
        document = await client.send("POST", f"/v1/wipes/{part(waiting[0]['id'])}:retry", {})
    ctx.screen.show(document, tables.wipe(document))
    return 0


async def certificates_get(ctx: Context, certificate_id: str, to: str) -> int:
    """`wipectl certificates get ID`: the bytes as they were signed, whatever --output says (they are JSON already)."""
    async with ctx.daemon() as client:
        envelope = await client.bytes("GET", f"/v1/certificates/{part(certificate_id)}")
    _hand_out(ctx, envelope, to)
    return 0


async def certificates_key(ctx: Context, to: str) -> int:
    """`wipectl certificates key`."""
    async with ctx.daemon() as client:
        pem = await client.bytes("GET", "/v1/key")
    _hand_out(ctx, pem, to)
    return 0


def _hand_out(ctx: Context, data: bytes, to: str) -> None:
    if to:
        _write(to, data)
        ctx.screen.warn(f"{to}: {len(data)} bytes")
    else:
        ctx.screen.raw(data)


async def certificates_verify(ctx: Context, path: str, key: str) -> int:
    """`wipectl certificates verify FILE --key PUB.pem`, offline."""
    statement = open_envelope(_read(path), _read(key))
    ctx.screen.show(statement, stack(Text("verified: signed with this key, unchanged\n", style="green"), tables.certificate(statement)))
    return 0


async def audit_tail(ctx: Context, last: int) -> int:
    """`wipectl audit tail`."""
    async with ctx.daemon() as client:
        document = await client.get("/v1/audit", last=last)
    ctx.screen.show(document, tables.audit(document["items"]))
    return 0


async def audit_export(ctx: Context, directory: str) -> int:
    """`wipectl audit export DIR`: what `audit verify DIR` reads. The chain is verified on the way."""
    from wiped.record import audit  # noqa: PLC0415 - the ledger's libraries are for the audit commands alone

    head = Head()
    try:
        os.makedirs(directory, mode=0o750, exist_ok=True)
        async with ctx.daemon() as client:
            with open(os.path.join(directory, audit.ENTRIES_FILE), "wb") as file:  # noqa: ASYNC230 - nothing else runs on this loop
                while items := (await client.get("/v1/audit", after=head.seq, limit=_PAGE))["items"]:
                    entries = [AuditEntry(**item) for item in items]
                    head = follow(head, entries)
                    file.writelines(entry_line(entry) for entry in entries)
                file.flush()
                os.fsync(file.fileno())
            signed = await client.bytes("GET", "/v1/audit/head", params={"seq": str(head.seq)})
            pem = await client.bytes("GET", "/v1/key")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=directory) from error
    _write(os.path.join(directory, audit.HEAD_FILE), signed)
    _write(os.path.join(directory, audit.KEY_FILE), pem)
    document = {"directory": directory, "seq": head.seq, "hash": head.hash, "at": head.at}
    ctx.screen.show(document, facts((("exported to", directory), ("entries", head.seq), ("hash", head.hash))))
    return 0


async def audit_verify(ctx: Context, directory: str, key: str) -> int:
    """`wipectl audit verify [DIR]`: offline on an exported directory, else what the daemon shows."""
    if directory:
        from wiped.record.audit import verify_directory  # noqa: PLC0415 - the ledger's libraries are for this command alone

        head = verify_directory(directory, _read(key) if key else None)
    else:
        head = Head()
        async with ctx.daemon() as client:
            while items := (await client.get("/v1/audit", after=head.seq, limit=_PAGE))["items"]:
                head = follow(head, [AuditEntry(**item) for item in items])
    document = {"verified": True, "seq": head.seq, "hash": head.hash, "at": head.at}
    ctx.screen.show(
        document, stack(Text("verified: the chain is whole\n", style="green"), facts((("entries", head.seq), ("last", head.at), ("hash", head.hash))))
    )
    return 0
