"""Who is asking: roles from the kernel's word, never from the request."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import subprocess

import pytest

from tests.fakes.service import UUID_ONE
from tests.patience import PATIENCE
from tests.unit.api.conftest import Face
from wiped.api.http.identity import Access, Caller, Role
from wiped.errors import NotAuthorisedError

ALL = Access(viewer_group="daemon", operator_group="bin", approver_group="sys", auditor_group="adm")


def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid


@pytest.mark.parametrize(
    ("access", "uid", "groups", "roles"),
    [
        (ALL, 1000, ("daemon",), {Role.VIEWER}),
        (ALL, 1000, ("bin",), {Role.VIEWER, Role.OPERATOR}),
        (ALL, 1000, ("sys",), {Role.VIEWER, Role.APPROVER}),
        (ALL, 1000, ("adm", "bin"), {Role.VIEWER, Role.AUDITOR, Role.OPERATOR}),
        (ALL, 1000, (), set()),
        (ALL, 0, ("sys",), {Role.VIEWER, Role.OPERATOR, Role.AUDITOR}),
        (Access(), 1000, (), {Role.VIEWER}),
        (Access(operator_group="no-such-group-here"), 1000, ("bin",), {Role.VIEWER}),
    ],
)
def test_roles_come_from_groups(access: Access, uid: int, groups: tuple[str, ...], roles: set[Role]) -> None:
    """A role for a group; root operates and never approves; an unknown group gives nothing."""
    assert access.roles(uid, [_gid(name) for name in groups]) == roles


def test_a_missing_group_is_not_the_group_minus_one() -> None:
    """A gid of -1 in the credentials never matches a group that is not there."""
    assert Role.OPERATOR not in Access(operator_group="no-such-group-here").roles(1000, [2**32 - 1])


def test_a_caller_without_the_role_is_refused() -> None:
    """The name is in the error, so that the operator knows who the daemon takes them for."""
    with pytest.raises(NotAuthorisedError, match="alice has not the role operator"):
        Caller("alice", 1000, frozenset({Role.VIEWER})).require(Role.OPERATOR)


_ASK = """
import json, socket, sys
body = sys.argv[4].encode()
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
head = f"{sys.argv[2]} {sys.argv[3]} HTTP/1.1\\r\\nHost: w\\r\\nConnection: close\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
line.sendall(head.encode() + body)
data = b""
while piece := line.recv(65536):
    data += piece
head, _, rest = data.partition(b"\\r\\n\\r\\n")
print(json.dumps({"status": int(head.split()[1]), "body": rest.decode()}))
"""


def _ask_as(face: Face, uid: int, groups: list[int], method: str, path: str, body: str = "") -> dict[str, object]:
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _ASK, face.path, method, path, body],
        user=uid, group=65_534, extra_groups=groups, capture_output=True, text=True, timeout=PATIENCE, check=True, cwd="/",
    )  # fmt: skip
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_supplementary_groups_of_a_real_peer_count(face: Face) -> None:
    """A real process of another user: refused without the group, an operator by a supplementary one; its name reaches the service."""
    os.chmod(face.path, 0o666)
    uid = pwd.getpwnam("nobody").pw_uid
    operators = os.getgid()
    body = json.dumps({"phone": UUID_ONE, "reason": "r", "confirm": "phone-one"})
    refused = await asyncio.to_thread(_ask_as, face, uid, [], "POST", "/v1/wipes", body)
    assert (refused["status"], json.loads(str(refused["body"]))["code"]) == (403, "not-authorised")
    assert face.service.asked == []
    assert (await asyncio.to_thread(_ask_as, face, uid, [], "GET", "/v1/status"))["status"] == 200
    assert (await asyncio.to_thread(_ask_as, face, uid, [], "GET", "/v1/audit"))["status"] == 403
    many = [operators, *range(70_000, 70_300)]
    accepted = await asyncio.to_thread(_ask_as, face, uid, many, "POST", "/v1/wipes", body)
    assert accepted["status"] == 202
    assert face.service.asked[-1][1][-1] == "nobody"
