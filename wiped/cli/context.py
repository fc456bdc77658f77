"""What every command gets: the connection to the daemon, the screen, standard input, and the files that commands read and write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TextIO

from wiped.cli.client import Client
from wiped.cli.render import Screen
from wiped.errors import InputError
from wiped.machine import durable_file

#: An envelope or a key is some kilobytes.
_MAX_FILE = 16 * 1024 * 1024
#: A reference is at most 256 characters.
_MAX_LINE = 4_096


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

    def line(self, value: str) -> str:
        """Return `value`, or for `-` the next line of standard input: an argument is visible in the process list, standard input is not."""
        return self.stdin.readline(_MAX_LINE).rstrip("\r\n") if value == "-" else value

    async def about(self, client: Client, name: str, account: str) -> dict[str, str]:
        """Build {"phone": uuid} or {"account": reference}. Raises InputError unless exactly one was named."""
        if bool(name) == bool(account):
            what = "both a PHONE and an --account are named" if name else "neither a PHONE nor an --account is named"
            raise InputError(what, hint="name exactly one of them: a PHONE, or an --account for every phone of the account")
        return {"account": self.line(account)} if account else {"phone": (await client.phone(name))["uuid"]}

    def hand_out(self, data: bytes, to: str, *, private: bool = False) -> None:
        """Write `data` into the file `to` (`private`: mode 0600), or to standard output where no file was named. Raises InputError."""
        if to:
            write_file(to, data, private=private)
            self.screen.warn(f"{to}: {len(data)} bytes")
        else:
            self.screen.raw(data)


def read_file(path: str, limit: int = _MAX_FILE) -> bytes:
    """Read a file of at most `limit` bytes. Raises InputError."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    if len(data) > limit:
        raise InputError(f"is larger than {limit} bytes", where=path)
    return data


def write_file(path: str, data: bytes, *, private: bool = False) -> None:
    """Write `data` to a file and sync the file. `private`: mode 0600, also where the file existed with another mode. Raises InputError."""
    try:
        durable_file.overwrite(path, data, mode=0o600 if private else None)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=path) from error
