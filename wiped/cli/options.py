"""Parameters that many commands of `wipectl` share, and how a group of commands is made."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from wiped.cli.commands import Context

Ctx = Annotated[Context, Parameter(parse=False)]
Phone = Annotated[str, Parameter(help="UUID or name; a name that several phones have is an error which lists them", allow_leading_hyphen=True)]
Out = Annotated[str, Parameter(name=("--output-file", "-o"), help="write to this file instead of standard output")]


def group(name: str, what: str) -> App:
    """A noun whose verbs are its commands."""
    return App(name=name, help=what, version_flags=[], help_flags=["--help", "-h"], help_format="plaintext", sort_key=None)
