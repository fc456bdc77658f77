"""`wipectl plan`: what a wipe of a phone would destroy, keep and refuse."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from wiped.cli.options import Commands, Ctx, Phone
from wiped.cli.render import Document, facts, grid, phone_line, size, stack, words


async def plan(phone: Phone, /, *, ctx: Ctx) -> int:
    """Show exactly what a wipe would destroy, keep and refuse, and why; changes nothing."""
    async with ctx.daemon() as client:
        found = await client.phone(phone)
        document = await client.get(f"/v1/phones/{found['uuid']}/plan")
    ctx.screen.show(document, plan_table(document))
    return 0


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def plan_table(document: Document) -> RenderableType:
    """Destroyed, kept, refused."""
    phone = document["phone"]
    steps = grid(
        ("artefact", "kind", "location", "format", "allocated", "method", "why"),
        (
            (item["artefact"]["id"], item["artefact"]["kind"], item["artefact"]["location"], item["artefact"]["format"],
             size(item["artefact"]["allocated_bytes"]), item["method"], item["reason"])
            for item in document["steps"]
        ),
        empty="nothing",
    )  # fmt: skip
    retained = grid(("kind", "location", "why"), ((item["kind"], item["location"], item["reason"]) for item in document["retained"]), empty="nothing")
    refusals = grid(("code", "location", "why"), ((item["code"], item["location"], item["detail"]) for item in document["refusals"]), empty="nothing")
    return stack(
        facts(
            (
                ("phone", phone_line(phone)),
                ("expected", Text(f"{document['expected_outcome']} ({words(document['expected_reasons'])})")),
                ("residuals", words(document["residuals"])),
                ("fingerprint", document["fingerprint"]),
            )
        ),
        _heading("would be destroyed"),
        steps,
        _heading("would be kept"),
        retained,
        _heading("refused: a plan with refusals is never executed" if document["refusals"] else "refused"),
        refusals,
    )


COMMANDS: Commands = (plan,)
