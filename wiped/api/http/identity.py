"""Who is asking: peer credentials of the Unix socket, supplementary groups included, and the roles that they give (R14).

uid 0 is a shared account (sudo merges people): it may operate and audit, never approve.
"""

from __future__ import annotations

import ctypes
import errno
import grp
import os
import pwd
import socket
import struct
from asyncio.trsock import TransportSocket
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web

from wiped.errors import NotAuthorisedError

#: getsockopt(SOL_SOCKET, 59): the peer's supplementary groups (Linux 4.13); Python 3.11 does not name it.
SO_PEERGROUPS = 59
_LIBC = ctypes.CDLL(None, use_errno=True)


class Role(StrEnum):
    """What a caller may do. Every role includes VIEWER."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `name` goes into the audit log."""

    name: str
    uid: int
    roles: frozenset[Role] = field(default_factory=frozenset)

    def require(self, *roles: Role) -> None:
        """Raises NotAuthorisedError unless the caller has one of `roles`."""
        if self.roles.isdisjoint(roles):
            hint = "the groups of the roles are configured in the section [api]; a new member of a group must log in again"
            raise NotAuthorisedError(f"{self.name} has not the role {' or '.join(roles)}", hint=hint)


@dataclass(frozen=True, slots=True)
class Access:
    """The name of each role's group. An empty viewer group lets everyone view who can connect; any other empty group gives its role to nobody (but root)."""

    viewer_group: str = ""
    operator_group: str = ""
    approver_group: str = ""
    auditor_group: str = ""

    def roles(self, uid: int, gids: Iterable[int]) -> frozenset[Role]:
        """The roles of a process with these credentials. Groups are looked up each time: membership and gids may change under us."""
        if uid == 0:
            return frozenset({Role.VIEWER, Role.OPERATOR, Role.AUDITOR})
        held = set(gids)
        named = {
            Role.VIEWER: self.viewer_group,
            Role.OPERATOR: self.operator_group,
            Role.APPROVER: self.approver_group,
            Role.AUDITOR: self.auditor_group,
        }
        roles = {role for role, group in named.items() if group and _gid(group) in held}
        if roles or not self.viewer_group:
            roles.add(Role.VIEWER)
        return frozenset(roles)


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return -1


def _peer_groups(sock: socket.socket | TransportSocket) -> tuple[int, ...]:
    """The peer's supplementary groups. Through libc, since Python's getsockopt gives at most 1,024 bytes and so 256 groups. Raises OSError."""
    room = 64
    while True:
        groups = (ctypes.c_uint32 * room)()
        length = ctypes.c_uint32(ctypes.sizeof(groups))
        if _LIBC.getsockopt(sock.fileno(), socket.SOL_SOCKET, SO_PEERGROUPS, groups, ctypes.byref(length)) == 0:
            return tuple(groups[: length.value // 4])
        code = ctypes.get_errno()
        # The kernel allows 65,536 groups (NGROUPS_MAX) and says how much room it wants.
        if code != errno.ERANGE or room > 65_536:
            raise OSError(code, os.strerror(code))
        room = max(room * 2, length.value // 4)


def caller_of(sock: socket.socket | TransportSocket, access: Access) -> Caller:
    """The process that connected, as the kernel vouches for it. Raises NotAuthorisedError when the kernel does not say."""
    try:
        _, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        groups = _peer_groups(sock)
    except OSError as error:
        raise NotAuthorisedError("the kernel does not say who is asking") from error
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    return Caller(name=name, uid=uid, roles=access.roles(uid, (gid, *groups)))


def caller_of_request(request: web.Request, access: Access) -> Caller:
    """The caller of one request."""
    sock = request.transport.get_extra_info("socket") if request.transport is not None else None
    if sock is None or sock.family != socket.AF_UNIX:
        raise NotAuthorisedError("only the Unix socket knows who is asking")
    return caller_of(sock, access)
