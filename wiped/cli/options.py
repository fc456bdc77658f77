"""Parameters that several commands of `wipectl` share, and how a group of commands is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from cyclopts import App, Parameter

from wiped.cli.context import Context

#: What the file of a noun offers on the first level of `wipectl`: commands of their own, and a group whose name is the noun.
Commands = tuple[App | Callable[..., Awaitable[int]], ...]

Ctx = Annotated[Context, Parameter(parse=False)]
Phone = Annotated[
    str, Parameter(help="UUID or name of the phone; where several phones have this name, the command fails and lists them", allow_leading_hyphen=True)
]
MaybePhone = Annotated[str, Parameter(name="PHONE", help="UUID or name of the phone; or name an account with --account", allow_leading_hyphen=True)]
Account = Annotated[
    str,
    Parameter(
        help="the account reference, for every phone of the account; - reads it from standard input; stored only as a pseudonym", allow_leading_hyphen=True
    ),
]
Identifier = Annotated[str, Parameter(name="ID")]
Reason = Annotated[str, Parameter(help="the reason, in words; stored encrypted in the ledger, never written to a log")]
Out = Annotated[str, Parameter(name=("--output-file", "-o"), help="write to this file instead of standard output")]


def group(name: str, what: str) -> App:
    """Make the group of a noun; the verbs become its commands."""
    return App(name=name, help=what, version_flags=[], help_flags=["--help", "-h"], help_format="plaintext", sort_key=None)
