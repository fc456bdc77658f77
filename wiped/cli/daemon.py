"""`wiped`: run the daemon, check its configuration, and the two helpers. Loads only what the asked-for command needs."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import stat
import sys
from collections.abc import Sequence

import wiped
from wiped.config import DEFAULT_PATH, load, load_storage_rules
from wiped.errors import InputError, WipedError

_COMMANDS = {
    "run": "run the daemon (Type=notify under systemd)",
    "check-config": "check the configuration and list every fault with its key and reason; exit code 0 or 78",
    "eraser": "run the helper that erases (the daemon starts it, people do not)",
    "observer": "run the helper that reads and measures (the daemon starts it, people do not)",
    "migrate": "migrate the schema of the ledger to the current version (`run` does this too)",
}
_NOT_BY_HAND = "the daemon or systemd starts this program, people do not"
_EXIT_CODES = "exit codes: 0 done; 1 unexpected error; 2 usage; 75 I/O or hypervisor failure; 78 configuration"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wiped", description="Wipes cloud phones after their service ends, and proves it on the storage.", epilog=_EXIT_CODES, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"wiped {wiped.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in _COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what, allow_abbrev=False)
        command.add_argument("--config", default=DEFAULT_PATH, metavar="FILE", help=f"the configuration (default {DEFAULT_PATH})")
        if name == "migrate":
            accept = "go on with a ledger that is missing, or older than this host, as the restored or new one; see docs/backup.md first"
            command.add_argument("--accept", action="store_true", help=accept)
    return parser


def _line() -> socket.socket:
    """The connection to the daemon: the stream socket on descriptor 0. Raises InputError where there is none."""
    facts = os.fstat(0)
    if not stat.S_ISSOCK(facts.st_mode):
        raise InputError("standard input is no socket", hint=_NOT_BY_HAND)
    # A duplicate, so that nothing that reads standard input can take bytes of the wire.
    line = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    if line.type != socket.SOCK_STREAM:
        raise InputError("standard input is a socket, but not a stream", hint=_NOT_BY_HAND)
    return line


def _helper(program: str, config: str) -> int:
    from wiped.helpers.link import peer_uid  # noqa: PLC0415 - see _run
    from wiped.model.inventory import LibvirtDirectories  # noqa: PLC0415 - see _run

    rules = load_storage_rules(config)
    with contextlib.closing(_line()) as line:
        # A peer that is neither root nor user `wiped` is turned away by the greeting, before any record is read.
        directories = LibvirtDirectories(records_uid=peer_uid(line))
        if program == "eraser":
            from wiped.erase import eraser  # noqa: PLC0415 - the eraser's process never loads the observer's room, nor the observer's the eraser's

            return eraser.serve(line, rules, directories)
        from wiped.observe import observer  # noqa: PLC0415 - as above

        observer.serve(line, rules, directories)
    return 0


def _check(config: str) -> int:
    settings = load(config)
    for root in settings.storage.roots:
        # Not a fault: a root may be mounted later. But a mistyped one would leave every phone refused.
        with contextlib.suppress(OSError):
            if os.path.realpath(root, strict=True) == root and os.path.isdir(root):
                continue
        print(f"note: storage.roots: {root!r} is no directory here now, or is reached through a symbolic link", file=sys.stderr)
    print(f"{settings.path}: good")
    return 0


def _run(config: str) -> int:
    import asyncio  # noqa: PLC0415 - the helpers have no event loop

    from wiped import app, logs  # noqa: PLC0415 - the helpers load nothing of the daemon

    settings = load(config)
    logs.configure()
    try:
        return asyncio.run(app.run(settings))
    except WipedError:
        raise
    except Exception:
        # The one place where an unexpected error is reported: redacted, in the log, never as a bare traceback.
        logs.get("daemon").critical("the daemon ended unexpectedly", exc_info=True)
        return 1


def _migrate(config: str, *, accepted: bool) -> int:
    import asyncio  # noqa: PLC0415 - as above

    from wiped import app, logs  # noqa: PLC0415 - as above

    settings = load(config)
    logs.configure()
    print(asyncio.run(app.migrate(settings, accepted=accepted)))
    return 0


def run(argv: Sequence[str]) -> int:
    """Do what `argv` (without the program's name) says; the exit code of docs/contract.md."""
    try:
        arguments = _parser().parse_args(list(argv))
    except SystemExit as end:  # argparse's own way to say --help, --version or usage
        return int(end.code or 0)
    try:
        match arguments.command:
            case "run":
                return _run(arguments.config)
            case "check-config":
                return _check(arguments.config)
            case "migrate":
                return _migrate(arguments.config, accepted=arguments.accept)
            case program:
                return _helper(program, arguments.config)
    except WipedError as error:
        print(f"wiped {arguments.command}: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
