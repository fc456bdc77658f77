"""`wipectl certificates`: the signed proofs, fetched as they are and verified offline."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from wiped.attest.signing import open_envelope
from wiped.cli.client import part
from wiped.cli.context import read_file
from wiped.cli.options import Commands, Ctx, Out, group
from wiped.cli.render import Document, facts, grid, size, stack, word, words

GROUP = group("certificates", "Signed certificates of wipes.")


@GROUP.command(name="get")
async def certificates_get(
    certificate_id: Annotated[str, Parameter(name="ID", help="id of the certificate or of its wipe")], /, *, to: Out = "", ctx: Ctx
) -> int:
    """Fetch the signed envelope of a certificate, byte for byte."""
    async with ctx.daemon() as client:
        envelope = await client.bytes("GET", f"/v1/certificates/{part(certificate_id)}")
    # The bytes as they were signed, whatever --output says: they are JSON already.
    ctx.hand_out(envelope, to)
    return 0


@GROUP.command(name="verify")
async def certificates_verify(file: str, /, *, key: Annotated[str, Parameter(help="the public key of the host, PEM")], ctx: Ctx) -> int:
    """Verify an envelope offline; exit code 65 if a single byte was changed."""
    statement = open_envelope(read_file(file), read_file(key))
    ctx.screen.show(statement, stack(Text("verified: signed with this key, unchanged\n", style="green"), certificate_table(statement)))
    return 0


@GROUP.command(name="key")
async def certificates_key(*, to: Out = "", ctx: Ctx) -> int:
    """Fetch the public key that verifies the certificates of this host, PEM."""
    async with ctx.daemon() as client:
        pem = await client.bytes("GET", "/v1/key")
    ctx.hand_out(pem, to)
    return 0


def certificate_table(statement: Document) -> RenderableType:
    """What a verified certificate or incident record says."""
    said = statement.get("predicate", {})
    issuer, phone, overall, trigger = (said.get(name, {}) for name in ("issuer", "phone", "overall", "trigger"))

    def row(item: Document) -> tuple[Any, ...]:
        read = item.get("verification") or {}
        method = (item.get("method") or {}).get("name")
        reasons = words(item.get("reasons", ()))
        return (item.get("kind"), word(item.get("outcome")), reasons, method, size(read.get("bytes")), read.get("mismatches"), read.get("via"))

    artefacts = grid(
        ("kind", "outcome", "reasons", "method", "verified", "mismatches", "via"), (row(item) for item in said.get("artefacts", ())), empty="no artefacts"
    )
    return stack(
        facts(
            (
                ("certificate", said.get("certificate_id")),
                ("issued", said.get("issued_at")),
                ("by", f"{issuer.get('host')} ({issuer.get('residency')}), wiped {issuer.get('version')}, key {issuer.get('key_id')}"),
                ("phone", f"{phone.get('uuid')}, generation {phone.get('generation')}, account {phone.get('account_pseudonym')}"),
                ("trigger", f"{trigger.get('kind')} ({trigger.get('ground')})"),
                ("outcome", word(overall.get("outcome"))),
                ("scope", overall.get("scope")),
                ("residuals", words(said.get("residuals", ()))),
            )
        ),
        Text(),
        artefacts,
    )


COMMANDS: Commands = (GROUP,)
