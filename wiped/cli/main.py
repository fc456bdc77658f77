"""`wipectl`: the operator's commands. Grammar: an action on one phone is a verb; everything else is a noun and its verb."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from typing import Annotated, Any, Literal, TextIO

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

import wiped
from wiped.cli import (
    approvals,
    audit,
    breaker,
    certificates,
    clock,
    drains,
    holds,
    images,
    phones,
    plans,
    quarantine,
    reports,
    requests,
    status,
    subscriptions,
    wipes,
)
from wiped.cli.client import DEFAULT_SOCKET, DaemonError
from wiped.cli.context import Context
from wiped.cli.options import Commands
from wiped.cli.render import FORMATS, Document, Screen
from wiped.errors import InputError, WipedError

_EXIT_CODES = """Exit codes: 0 done; 1 unexpected error; 2 usage; 3 refused by a guard, a hold or a missing approval; 4 wiped but not sanitized;
65 verification failed; 69 daemon unreachable; 75 failure that will be retried; 77 not authorised; 78 configuration."""


#: The first level of `wipectl`: the commands and the group of every noun, each from the noun's own file.
NOUNS: tuple[Commands, ...] = (
    status.COMMANDS,
    phones.COMMANDS,
    plans.COMMANDS,
    subscriptions.COMMANDS,
    wipes.COMMANDS,
    images.COMMANDS,
    quarantine.COMMANDS,
    requests.COMMANDS,
    holds.COMMANDS,
    approvals.COMMANDS,
    drains.COMMANDS,
    reports.COMMANDS,
    breaker.COMMANDS,
    clock.COMMANDS,
    certificates.COMMANDS,
    audit.COMMANDS,
)


def make_app() -> App:
    """Build the program with all its commands."""
    app = App(name="wipectl", help="Ask the wipe daemon, and verify its proofs.", version=wiped.__version__, help_format="plaintext", help_epilogue=_EXIT_CODES)
    offered = [command for commands in NOUNS for command in commands]
    # The commands of their own come first, as in the help.
    for command in sorted(offered, key=lambda each: isinstance(each, App)):
        app.command(command)
    return app


def _launch(argv: Sequence[str], out: TextIO, err: TextIO) -> int:
    app = make_app()
    result: list[int] = []

    @app.meta.default
    def launcher(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        socket: Annotated[str, Parameter(env_var="WIPED_SOCKET", help="the daemon's socket")] = DEFAULT_SOCKET,
        output: Annotated[
            Literal["table", "json", "yaml"], Parameter(help="with json and yaml, standard output is one document and messages go to standard error")
        ] = "table",
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
    """Run one command; an error becomes words on standard error, a problem document on standard output with JSON and YAML, and its exit code."""

    async def run() -> int:
        return await answer

    try:
        return asyncio.run(run())
    except WipedError as error:
        return _fail(error, context.screen)


def _fail(error: WipedError, screen: Screen) -> int:
    """Show an error: what is wrong, every fault, and in the last line what to do next; its exit code."""
    hint = {"hint": error.hint} if error.hint else {}
    document: Document = error.document if isinstance(error, DaemonError) else {"code": error.code, "detail": str(error), **hint}
    codes = [*document.get("codes", ()), *document.get("reasons", ())]
    screen.warn(f"wipectl: {error.code}: {error}" + (f" [{', '.join(codes)}]" if codes else ""))
    approval = document.get("approval")
    if "needs-approval" in codes and approval and approval not in f"{error} {error.hint}":
        screen.warn(f"wipectl: another person with the approver's role types: wipectl approvals approve {approval}")
    for fault in document.get("faults", ()):
        screen.warn(f"  {fault.get('where')}: {fault.get('reason')}")
    if error.hint:
        screen.warn(f"hint: {error.hint}")
    if screen.output in FORMATS[1:]:
        screen.show(document, "")
    return error.exit_code


def run(argv: Sequence[str], *, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Run the command in `argv` (without the program's name); the exit code of docs/contract.md."""
    out, err = out or sys.stdout, err or sys.stderr
    try:
        return _launch(argv, out, err)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of standard output has ended (`| head`): this is no error of ours.
        sys.stdout = None
        return 0
    except Exception as error:
        print(f"wipectl: unexpected: {type(error).__name__}", file=err)
        return WipedError.exit_code


def main() -> None:
    """Entry point of `wipectl`."""
    sys.exit(run(sys.argv[1:]))


def command_names(app: App | None = None, prefix: tuple[str, ...] = ()) -> list[str]:
    """List the full name of every command, for documents and their tests: `status`, `phones list`, ..."""
    found: list[str] = []
    here: App = make_app() if app is None else app
    for name in here:
        if name.startswith("-"):
            continue
        child = here[name]
        deeper = command_names(child, (*prefix, name))
        found += deeper or [" ".join((*prefix, name))]
    return found
