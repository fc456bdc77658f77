"""`wipectl`: the operator's commands. Grammar: what is done to one phone is a verb; everything else is a plural noun and its verb."""

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
from wiped.cli.render import FORMATS, Screen
from wiped.errors import InputError, RefusedError, WipedError

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
    """All commands."""
    app = App(name="wipectl", help="Ask the wipe daemon, and verify its proofs.", version=wiped.__version__, help_format="plaintext", help_epilogue=_EXIT_CODES)
    for commands in NOUNS:
        for command in commands:
            app.command(command)
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
    """Do what `argv` (without the program's name) says; CONTRACT's exit code."""
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
