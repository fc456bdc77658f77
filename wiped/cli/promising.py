"""The commands of the promise's rules, as `wipectl` takes them: suspension, requests, holds, approvals, drains, reports."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from wiped.cli import asking
from wiped.cli.options import Ctx, Out, Phone, group
from wiped.model.approvals import HoldGround

Reason = Annotated[str, Parameter(help="why, for people; sealed in the ledger, never in a log")]
MaybePhone = Annotated[str, Parameter(name="PHONE", help="UUID or name; or --account", allow_leading_hyphen=True)]
Account = Annotated[str, Parameter(help="every phone of this account; - reads it from standard input; becomes a pseudonym at once", allow_leading_hyphen=True)]
Identifier = Annotated[str, Parameter(name="ID")]


def add_verbs(app: App) -> None:
    """What is done to one phone."""

    @app.command
    async def suspend(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
        """Stop and fence a phone now; reversible, nothing is erased."""
        return await asking.mark(ctx, "suspend", phone, reason)

    @app.command
    async def resume(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
        """Take a suspension back."""
        return await asking.mark(ctx, "resume", phone, reason)

    @app.command
    async def protect(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
        """An operator's own hold, apart from legal ones."""
        return await asking.mark(ctx, "protect", phone, reason)

    @app.command
    async def unprotect(phone: Phone, /, *, reason: Reason, ctx: Ctx) -> int:
        """Take a protection back."""
        return await asking.mark(ctx, "unprotect", phone, reason)


def _requests() -> App:
    requests = group("requests", "Triggers other than expiry.")

    @requests.command(name="add")
    async def requests_add(
        phone: MaybePhone = "",
        /,
        *,
        account: Account = "",
        kind: Annotated[Literal["deletion", "cancellation", "consent-withdrawn", "guardian", "leak"], Parameter(help="what was asked for")],
        ground: Annotated[str, Parameter(help="of the request; may be left out where the kind has only one")] = "",
        reference: Annotated[str, Parameter(help="the requester's or your own; sealed in the ledger")],
        confirm: Annotated[str, Parameter(help="the phone's name or the account reference, typed; - reads it from standard input", allow_leading_hyphen=True)],
        reason: Annotated[str, Parameter(help="why, for people; sealed in the ledger")] = "",
        ctx: Ctx,
    ) -> int:
        """Stop and fence at once; erase when the term is over, or once a second person approves. A leak only suspends."""
        body = {"kind": kind, "ground": ground, "reference": reference, "reason": reason, "confirm": confirm}
        return await asking.requests_add(ctx, phone, account, body)

    @requests.command(name="list")
    async def requests_list(*, phone: Annotated[str, Parameter(help="only this phone's")] = "", ctx: Ctx) -> int:
        """Open requests, oldest first."""
        return await asking.requests_list(ctx, phone)

    return requests


def _holds() -> App:
    holds = group("holds", "Legal holds: nothing that they reach is ever erased.")

    @holds.command(name="add")
    async def holds_add(
        phone: MaybePhone = "",
        /,
        *,
        account: Account = "",
        authority: Annotated[str, Parameter(help="who ordered it; sealed in the ledger")],
        reference: Annotated[str, Parameter(help="the authority's; sealed in the ledger")],
        ground: Annotated[HoldGround, Parameter(help="the policy's exception", name_transform=lambda name: name.lower().replace("_", "-"))],
        until: Annotated[str, Parameter(help="RFC 3339 with a zone: it lifts by itself then")] = "",
        disclose: Annotated[bool | None, Parameter(help="whether a subject report names it; by default as the ground says")] = None,
        reason: Annotated[str, Parameter(help="for people; sealed in the ledger")] = "",
        ctx: Ctx,
    ) -> int:
        """Hold a phone, or every phone that an account has and gets."""
        body = {"authority": authority, "reference": reference, "ground": ground.value, "until": until, "disclose": disclose, "reason": reason}
        return await asking.holds_add(ctx, phone, account, body)

    @holds.command(name="release")
    async def holds_release(hold_id: Identifier, /, *, reason: Reason, ctx: Ctx) -> int:
        """Takes two people: exit code 3 and the approval's id until the second one approved."""
        return await asking.holds_release(ctx, hold_id, reason)

    @holds.command(name="list")
    async def holds_list(*, ctx: Ctx) -> int:
        """Those in force; authority and reference for operators, approvers and auditors."""
        return await asking.holds_list(ctx)

    return holds


def _approvals() -> App:
    approvals = group("approvals", "What waits for a second person.")

    @approvals.command(name="list")
    async def approvals_list(*, every: Annotated[bool, Parameter(name="--all", negative=(), help="decided and expired ones too")] = False, ctx: Ctx) -> int:
        """What waits, by whom it was asked, until when."""
        return await asking.approvals_list(ctx, every)

    @approvals.command(name="show")
    async def approvals_show(approval_id: Identifier, /, *, ctx: Ctx) -> int:
        """One approval with its phones and fingerprint; `wipectl plan` shows what would be destroyed."""
        return await asking.approvals_show(ctx, approval_id)

    @approvals.command(name="approve")
    async def approvals_approve(
        approval_id: Identifier,
        /,
        *,
        fingerprint: Annotated[str, Parameter(help="only if exactly what `approvals show` showed still stands")] = "",
        ctx: Ctx,
    ) -> int:
        """Agree: takes the approver's role, never root, never whoever asked. A plan that changed is refused (drift): look again."""
        return await asking.approvals_approve(ctx, approval_id, fingerprint)

    @approvals.command(name="reject")
    async def approvals_reject(approval_id: Identifier, /, *, reason: Reason, ctx: Ctx) -> int:
        """Say no; its requests are closed."""
        return await asking.approvals_reject(ctx, approval_id, reason)

    return approvals


def _drain() -> App:
    drain = group("drain", "The announced end of this host, or of a product on it.")

    @drain.command(name="start")
    async def drain_start(
        *,
        at: Annotated[str, Parameter(help="RFC 3339 with a zone")],
        product: Annotated[str, Parameter(help="only phones of this product")] = "",
        reason: Reason,
        ctx: Ctx,
    ) -> int:
        """Announce it: no new subscriptions, and at its date phones are wiped; those whose terms still run only if a second person approves."""
        return await asking.drain_start(ctx, at, product, reason)

    @drain.command(name="status")
    async def drain_status(*, ctx: Ctx) -> int:
        """Those in force."""
        return await asking.drain_status(ctx)

    @drain.command(name="cancel")
    async def drain_cancel(
        drain_id: Annotated[str, Parameter(name="ID", help="may be left out where only one is in force")] = "", /, *, reason: Reason, ctx: Ctx
    ) -> int:
        """Until its date; takes two people."""
        return await asking.drain_cancel(ctx, drain_id, reason)

    return drain


def _reports() -> App:
    reports = group("reports", "What this host holds and did.")

    @reports.command(name="subject")
    async def reports_subject(
        *,
        account: Annotated[str, Parameter(help="the account reference, - to read it from standard input", allow_leading_hyphen=True)],
        to: Out = "",
        ctx: Ctx,
    ) -> int:
        """Everything that is held on one account, as JSON, or as a page where the file ends in .html."""
        return await asking.reports_subject(ctx, account, to)

    @reports.command(name="period")
    async def reports_period(
        *,
        since: Annotated[str, Parameter(name="--from", help="RFC 3339 with a zone")],
        until: Annotated[str, Parameter(name="--to", help="RFC 3339 with a zone")],
        to: Out = "",
        ctx: Ctx,
    ) -> int:
        """What was asked, held, wiped and not proven in a span of time; .html for a page."""
        return await asking.reports_period(ctx, since, until, to)

    return reports


def groups() -> tuple[App, ...]:
    """The nouns."""
    return _requests(), _holds(), _approvals(), _drain(), _reports()
