"""`wipectl`: the operator's commands. Grammar: what is done to one phone is a verb; everything else is a plural noun and its verb."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from typing import Annotated, Any, Literal, TextIO

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

import wiped
from wiped.cli import commands as act
from wiped.cli import guarding, promising
from wiped.cli import images as settling
from wiped.cli.client import DEFAULT_SOCKET, DaemonError
from wiped.cli.commands import Context
from wiped.cli.options import Ctx, Out, Phone, group
from wiped.cli.render import FORMATS, Screen
from wiped.errors import InputError, RefusedError, WipedError

_EXIT_CODES = """Exit codes: 0 done; 1 unexpected error; 2 usage; 3 refused by a guard, a hold or a missing approval; 4 wiped but not sanitized;
65 verification failed; 69 daemon unreachable; 75 failure that will be retried; 77 not authorised; 78 configuration."""


def _guards() -> tuple[App, App]:
    """The commands about the guards of the whole host."""
    breaker = group("breaker", "What stops a mass wipe.")
    clock = group("clock", "Whether the clock is trusted.")

    @breaker.command(name="status")
    async def breaker_status(*, ctx: Ctx) -> int:
        """Open or closed, why, and exactly whom a release lets go."""
        return await guarding.breaker_status(ctx)

    @breaker.command(name="release")
    async def breaker_release(
        *,
        reason: Annotated[str, Parameter(help="why it is right that so many are wiped; sealed in the ledger, never in a log")],
        fingerprint: Annotated[str, Parameter(help="only if exactly the set that `breaker status` showed still waits")] = "",
        ctx: Ctx,
    ) -> int:
        """Let exactly the phones that wait go: takes two people; those that fall due later count anew."""
        return await guarding.breaker_release(ctx, reason, fingerprint)

    @clock.command(name="status")
    async def clock_status(*, ctx: Ctx) -> int:
        """Trusted or suspect, and why."""
        return await guarding.clock_status(ctx)

    @clock.command(name="trust")
    async def clock_trust(*, reason: Annotated[str, Parameter(help="how you know that it is right; sealed in the ledger")], ctx: Ctx) -> int:
        """Say that a suspect clock is right as it stands; look at it first."""
        return await guarding.clock_trust(ctx, reason)

    return breaker, clock


def _images() -> App:
    """The commands about images that are no phone's business alone."""
    images = group("images", "Images that no domain reaches, and ambiguous ones.")

    @images.command(name="orphans")
    async def images_orphans(*, ctx: Ctx) -> int:
        """Files under the roots that no domain reaches, with size and last owner; changes nothing."""
        return await settling.orphans(ctx)

    @images.command(name="classify")
    async def images_classify(
        path: Annotated[str, Parameter(help="absolute path of the image, as libvirt names it")],
        meaning: Annotated[Literal["golden", "private"], Parameter(name="AS", help="golden: kept, never wiped; private: one phone's own base")],
        /,
        *,
        reason: Annotated[str, Parameter(help="how you know; sealed in the ledger, never in a log")],
        ctx: Ctx,
    ) -> int:
        """Settle an image that nothing else says is golden or a phone's own."""
        return await settling.classify(ctx, path, meaning, reason)

    @images.command(name="classified")
    async def images_classified(*, ctx: Ctx) -> int:
        """What was settled, by whom and when."""
        return await settling.classified(ctx)

    return images


def _proofs() -> tuple[App, App]:
    """The commands about what an outsider verifies."""
    certificates = group("certificates", "Signed proofs.")
    audit = group("audit", "The append-only log.")

    @certificates.command(name="get")
    async def certificates_get(
        certificate_id: Annotated[str, Parameter(name="ID", help="of the certificate or of its wipe")], /, *, to: Out = "", ctx: Ctx
    ) -> int:
        """The signed envelope, byte for byte."""
        return await act.certificates_get(ctx, certificate_id, to)

    @certificates.command(name="verify")
    async def certificates_verify(file: str, /, *, key: Annotated[str, Parameter(help="the host's public key, PEM")], ctx: Ctx) -> int:
        """Verify an envelope offline; exit code 65 for any other byte."""
        return await act.certificates_verify(ctx, file, key)

    @certificates.command(name="key")
    async def certificates_key(*, to: Out = "", ctx: Ctx) -> int:
        """The public key that verifies this host's certificates, PEM."""
        return await act.certificates_key(ctx, to)

    @audit.command(name="tail")
    async def audit_tail(*, last: Annotated[int, Parameter(help="how many entries, 1 to 1000")] = 20, ctx: Ctx) -> int:
        """The newest entries."""
        return await act.audit_tail(ctx, last)

    @audit.command(name="export")
    async def audit_export(directory: Annotated[str, Parameter(name="DIR", help="made if it is missing")], /, *, ctx: Ctx) -> int:
        """Copy the whole log, a signed head and the public key into DIR, for verifying it elsewhere."""
        return await act.audit_export(ctx, directory)

    @audit.command(name="verify")
    async def audit_verify(
        directory: Annotated[str, Parameter(name="DIR", help="an exported log, verified offline; without it the daemon's own")] = "",
        /,
        *,
        key: Annotated[str, Parameter(help="the public key to trust, PEM; without it the one in DIR")] = "",
        ctx: Ctx,
    ) -> int:
        """Follow the hash chain from its first entry; exit code 65 for a changed, missing or added one."""
        return await act.audit_verify(ctx, directory, key)

    return certificates, audit


def make_app() -> App:
    """All commands."""
    app = App(name="wipectl", help="Ask the wipe daemon, and verify its proofs.", version=wiped.__version__, help_format="plaintext", help_epilogue=_EXIT_CODES)

    @app.command
    async def status(*, watch: Annotated[bool, Parameter(negative=(), help="again every two seconds")] = False, ctx: Ctx) -> int:
        """The host at a glance: states, overdue, feed age, running wipes with ETA."""
        return await act.status(ctx, watch=watch)

    @app.command
    async def explain(phone: Phone, /, *, ctx: Ctx) -> int:
        """State, next change and when, and every reason."""
        return await act.explain(ctx, phone)

    @app.command
    async def plan(phone: Phone, /, *, ctx: Ctx) -> int:
        """Exactly what would be destroyed, kept, refused, and why; changes nothing."""
        return await act.plan(ctx, phone)

    @app.command
    async def wipe(
        phone: Phone,
        /,
        *,
        reason: Annotated[str, Parameter(help="why, for people; sealed in the ledger, never in a log")],
        confirm: Annotated[str, Parameter(help="the phone's name, typed")],
        ticket: Annotated[str, Parameter(help="your own reference; stands in the certificate")] = "",
        wait: Annotated[bool, Parameter(negative=(), help="until it ends; exit code 4 if it could not be proven")] = False,
        ctx: Ctx,
    ) -> int:
        """Wipe a phone whose service has ended; refused while its subscription is active."""
        return await act.wipe(ctx, phone, reason=reason, ticket=ticket, confirm=confirm, wait=wait)

    phones = group("phones", "The phones of this host.")
    subscriptions = group("subscriptions", "The terms that decide when a phone is wiped.")
    wipes = group("wipes", "Wipes and how far they are.")
    quarantine = group("quarantine", "What could not be proven, fenced and in place.")
    promising.add_verbs(app)
    for noun in (phones, subscriptions, wipes, _images(), quarantine, *promising.groups(), *_guards(), *_proofs()):
        app.command(noun)

    @phones.command(name="list")
    async def phones_list(
        *, state: Annotated[list[str] | None, Parameter(negative=(), help="only phones in this state; may be repeated")] = None, ctx: Ctx
    ) -> int:
        """One line a phone."""
        return await act.phones_list(ctx, state or [])

    @subscriptions.command(name="set")
    async def subscriptions_set(
        phone: Phone,
        /,
        *,
        account: Annotated[
            str, Parameter(help="the account reference, - to read it from standard input; becomes a pseudonym at once", allow_leading_hyphen=True)
        ],
        subscription: Annotated[str, Parameter(help="the subscription's id")],
        starts: Annotated[str, Parameter(help="RFC 3339 with a zone")],
        expires: Annotated[str, Parameter(help="RFC 3339 with a zone")],
        minor: Annotated[bool, Parameter(negative=(), help="the account is a minor's: minor_grace holds")] = False,
        policy: Annotated[str, Parameter(help="a policy of the configuration")] = "default",
        product: Annotated[str, Parameter(help="what the phone is sold as; a drain may name it")] = "",
        ctx: Ctx,
    ) -> int:
        """Bind a phone to a term, or renew it."""
        body = {"account": account, "subscription": subscription, "starts": starts, "expires": expires, "minor": minor, "policy": policy, "product": product}
        return await act.subscriptions_set(ctx, phone, body)

    @subscriptions.command(name="import")
    async def subscriptions_import(
        file: Annotated[str, Parameter(help="JSON lines or CSV; - for standard input", allow_leading_hyphen=True)], /, *, ctx: Ctx
    ) -> int:
        """Many terms, all or nothing: phone, account, subscription, starts, expires, minor, policy, product."""
        return await act.subscriptions_import(ctx, file)

    @subscriptions.command(name="list")
    async def subscriptions_list(*, ctx: Ctx) -> int:
        """All current terms."""
        return await act.subscriptions_list(ctx)

    @wipes.command(name="list")
    async def wipes_list(*, phone: Annotated[str, Parameter(help="only this phone's")] = "", ctx: Ctx) -> int:
        """Wipes, newest first."""
        return await act.wipes_list(ctx, phone)

    @wipes.command(name="show")
    async def wipes_show(wipe_id: Annotated[str, Parameter(name="ID")], /, *, ctx: Ctx) -> int:
        """One wipe with its artefacts."""
        return await act.wipes_show(ctx, wipe_id)

    @wipes.command(name="watch")
    async def wipes_watch(wipe_id: Annotated[str, Parameter(name="ID")], /, *, ctx: Ctx) -> int:
        """Follow a wipe until it ends; exit code 4 if it could not be proven."""
        return await act.wipes_watch(ctx, wipe_id)

    @quarantine.command(name="list")
    async def quarantine_list(*, ctx: Ctx) -> int:
        """Wipes that wait in quarantine, with their reasons and next attempt."""
        return await act.quarantine_list(ctx)

    @quarantine.command(name="retry")
    async def quarantine_retry(phone: Phone, /, *, ctx: Ctx) -> int:
        """Try again now."""
        return await act.quarantine_retry(ctx, phone)

    @quarantine.command(name="dispose")
    async def quarantine_dispose(
        phone: Phone,
        /,
        *,
        reason: Annotated[str, Parameter(help="why it is accepted; sealed in the ledger, never in a log")],
        reference: Annotated[str, Parameter(help="of the decision outside; stands in the incident record")],
        confirm: Annotated[str, Parameter(help="the phone's name, typed")],
        ctx: Ctx,
    ) -> int:
        """Accept what cannot be proven. Takes two people: exit code 3 and the approval's id until the second one approved; everything stays, fenced."""
        return await settling.dispose(ctx, phone, reason=reason, reference=reference, confirm=confirm)

    return app


def _launch(argv: Sequence[str], out: TextIO, err: TextIO) -> int:
    app = make_app()
    result: list[int] = []

    @app.meta.default
    def launcher(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        socket: Annotated[str, Parameter(env_var="WIPED_SOCKET", help="the daemon's socket")] = DEFAULT_SOCKET,
        output: Annotated[Literal["table", "json", "yaml"], Parameter(help="with json and yaml stdout is one document, words go to stderr")] = "table",
    ) -> None:
        command, bound, ignored = app.parse_args(tokens, **quiet)
        context = Context(socket=socket, screen=Screen(output, out, err), stdin=sys.stdin)
        more = dict.fromkeys(ignored, context)
        answer = command(*bound.args, **bound.kwargs, **more)
        result.append(_finish(answer, context) if asyncio.iscoroutine(answer) else 0)

    wide = Console(file=out, markup=False, highlight=False, width=None if out.isatty() else 120)
    quiet: dict[str, Any] = {"print_error": False, "exit_on_error": False, "console": wide}
    try:
        app.meta(list(argv), result_action="return_value", **quiet)
    except CycloptsError as error:
        print(f"wipectl: {_sentence(error)}\nTry: wipectl --help", file=err)
        return InputError.exit_code
    return result[0] if result else 0


def _sentence(error: CycloptsError) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _finish(answer: Awaitable[int], context: Context) -> int:
    """Run one command; an error becomes words on stderr, a problem document on stdout where documents were asked for, and its exit code."""

    async def run() -> int:
        return await answer

    screen = context.screen
    try:
        return asyncio.run(run())
    except DaemonError as error:
        document = error.document
        codes = [*document.get("codes", ()), *document.get("reasons", ())]
        screen.warn(f"wipectl: {error.code}: {error}" + (f" [{', '.join(codes)}]" if codes else ""))
        if "needs-approval" in codes and document.get("approval") and document["approval"] not in str(error):
            screen.warn(f"wipectl: another person with the approver's role types: wipectl approvals approve {document['approval']}")
        for fault in document.get("faults", ()):
            screen.warn(f"  {fault.get('where')}: {fault.get('reason')}")
        failed: WipedError = error
    except WipedError as error:
        screen.warn(f"wipectl: {error.code}: {error}" + (f" [{', '.join(error.codes)}]" if isinstance(error, RefusedError) else ""))
        document = {"code": error.code, "detail": str(error)}
        failed = error
    if screen.output in FORMATS[1:]:
        screen.show(document, "")
    return failed.exit_code


def run(argv: Sequence[str], *, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Do what `argv` (without the program's name) says; the exit code of docs/contract.md."""
    out, err = out or sys.stdout, err or sys.stderr
    try:
        return _launch(argv, out, err)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`| head`): nothing is wrong with us.
        sys.stdout = None
        return 0
    except Exception as error:
        print(f"wipectl: unexpected: {type(error).__name__}", file=err)
        return WipedError.exit_code


def main() -> None:
    """Entry point of `wipectl`."""
    sys.exit(run(sys.argv[1:]))


#: For the tests of the README: every command's full name.
def command_names(app: App | None = None, prefix: tuple[str, ...] = ()) -> list[str]:
    """`status`, `phones list`, ..."""
    found: list[str] = []
    here: App = make_app() if app is None else app
    for name in here:
        if name.startswith("-"):
            continue
        child = here[name]
        deeper = command_names(child, (*prefix, name))
        found += deeper or [" ".join((*prefix, name))]
    return found
