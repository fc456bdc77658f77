"""The eraser's line: everything out of turn is answered with a failure, and nothing is done."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.host.eraser_stage import SEED, Stage, digest, map_digest, new_uuid, prove, random_file
from tests.lab.libvirtfiles import Disk
from tests.patience import PATIENCE
from wiped.errors import HelperError, RefusedError
from wiped.helpers.link import HelperEnd, Link, connect
from wiped.model.outcome import Evidence
from wiped.wire.framing import encode
from wiped.wire.messages import (
    VERSION,
    Erase,
    Erased,
    Failure,
    Hello,
    Leave,
    Left,
    Lock,
    Locked,
    Message,
    Progress,
    Ranges,
    Refused,
    Remove,
    Removed,
)


@pytest.fixture
def stage(scratch: Path) -> Stage:
    return Stage(scratch)


@pytest.fixture
def plan(stage: Stage) -> tuple[Lock, Path]:
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    return stage.request(uuid, "p", [disk]), disk


@pytest.fixture
async def link(stage: Stage) -> AsyncIterator[Link]:
    settings = {"rules": asdict(stage.rules), "directories": asdict(stage.files.directories)}
    child = (sys.executable, "-I", str(Path(__file__).with_name("eraser_child.py")), json.dumps(settings))
    found = await connect("eraser", socket_path="", config="", command=child, farewell=20)
    yield found
    await found.close()


async def ask(link: Link, message: Message) -> Message:
    await link.send(message)
    while isinstance(answer := await link.receive(30), Progress):
        pass
    return answer


def erase_of(request: Lock, disk: Path, **fields: object) -> Erase:
    values: dict[str, object] = {"artefact_id": request.steps[0].artefact_id, "seed": SEED.hex(), "map_digest": map_digest(disk)}
    return Erase(**(values | fields))  # type: ignore[arg-type]


def claim(request: Lock, disk: Path) -> Evidence:
    """Evidence that claims that the untouched file was read back."""
    return Evidence(request.steps[0].artefact_id, "file-odirect", 1 << 20, 0, map_digest(disk))


async def test_the_whole_conversation(link: Link, plan: tuple[Lock, Path]) -> None:
    """The control: hello, lock, erase, remove, in this order, is done."""
    request, disk = plan
    assert isinstance(await ask(link, request), Locked)
    erased = await ask(link, erase_of(request, disk))
    assert isinstance(erased, Erased)
    assert await ask(link, Remove(request.steps[0].artefact_id, prove(request.steps[0], erased.result))) == Removed(request.steps[0].artefact_id)
    assert not disk.exists()


async def test_nothing_is_done_before_the_lock(link: Link, plan: tuple[Lock, Path]) -> None:
    """Erase, remove and leave before lock are failures; the connection is good afterwards."""
    request, disk = plan
    before = digest(disk)
    for message in (erase_of(request, disk), Remove(request.steps[0].artefact_id, claim(request, disk)), Leave(request.steps[0].artefact_id)):
        assert isinstance(await ask(link, message), Failure)
    assert digest(disk) == before
    assert isinstance(await ask(link, request), Locked)


async def test_nothing_is_removed_before_it_was_erased(link: Link, plan: tuple[Lock, Path]) -> None:
    """I3: evidence from elsewhere does not remove what this connection only locked."""
    request, disk = plan
    before = digest(disk)
    knowing = replace(request, steps=(replace(request.steps[0], map_digest=map_digest(disk)),))
    assert isinstance(await ask(link, knowing), Locked)
    assert isinstance(await ask(link, Remove(request.steps[0].artefact_id, claim(request, disk))), Failure)
    assert digest(disk) == before


async def test_a_resumed_removal_needs_the_ledgers_ranges(link: Link, plan: tuple[Lock, Path]) -> None:
    """Resumed, evidence counts only about the ranges that the plan brought along."""
    request, disk = plan
    assert isinstance(await ask(link, replace(request, resumed=True)), Locked)
    assert isinstance(await ask(link, Remove(request.steps[0].artefact_id, claim(request, disk))), Failure)
    assert disk.exists()


async def test_each_thing_is_done_once(link: Link, plan: tuple[Lock, Path]) -> None:
    """A second lock, a second erase, anything after leave: failures."""
    request, disk = plan
    await ask(link, request)
    assert isinstance(await ask(link, request), Failure)
    assert isinstance(await ask(link, erase_of(request, disk)), Erased)
    assert isinstance(await ask(link, erase_of(request, disk)), Failure)
    assert isinstance(await ask(link, Leave(request.steps[0].artefact_id)), Left)
    before = digest(disk)
    for message in (erase_of(request, disk), Remove(request.steps[0].artefact_id, claim(request, disk)), Leave(request.steps[0].artefact_id)):
        assert isinstance(await ask(link, message), Failure)
    assert digest(disk) == before


async def test_an_order_of_the_wrong_form_writes_nothing(link: Link, plan: tuple[Lock, Path]) -> None:
    """Unknown artefact, short seed, short digest, no passes, too many, another helper's message: failures, and the file is whole."""
    request, disk = plan
    before = digest(disk)
    await ask(link, request)
    for fields in ({"artefact_id": "x"}, {"seed": "00"}, {"seed": "Z" * 64}, {"map_digest": ""}, {"passes": 0}, {"passes": 36}):
        assert isinstance(await ask(link, erase_of(request, disk, **fields)), Failure)
    assert isinstance(await ask(link, Ranges(str(disk), request.steps[0].identity)), Failure)
    assert isinstance(await ask(link, replace(request, uuid="../../x")), Failure)
    assert digest(disk) == before
    assert isinstance(await ask(link, erase_of(request, disk)), Erased)


async def test_a_uuid_of_another_form_is_refused(link: Link, plan: tuple[Lock, Path]) -> None:
    """The UUID is compared as libvirt writes it; nothing else gets as far."""
    request, _ = plan
    assert isinstance(await ask(link, replace(request, uuid=request.uuid.upper())), Failure)
    assert isinstance(await ask(link, replace(request, uuid="")), Failure)


async def test_an_empty_plan_locks_nothing(link: Link, plan: tuple[Lock, Path]) -> None:
    """A phone without artefacts has nothing to lock, which is no error."""
    request, _ = plan
    assert await ask(link, replace(request, steps=())) == Locked(())


async def test_nonsense_ends_the_connection(link: Link, plan: tuple[Lock, Path]) -> None:
    """A line that is no message: a failure, and the eraser ends with status 1."""
    request, disk = plan
    await ask(link, request)
    link._writer.write(b'{"type":"erase","artefact_id":1}\n')
    assert isinstance(await link.receive(10), Failure)
    with pytest.raises(HelperError, match="exit status 1"):
        await link.receive(10)
    assert disk.exists()


async def test_a_refusal_says_no_word_of_the_locked_state(link: Link, plan: tuple[Lock, Path]) -> None:
    """After a refusal nothing is locked: erase is out of turn, and a better plan may be locked on the same line."""
    request, disk = plan
    assert isinstance(await ask(link, replace(request, uuid=new_uuid())), Refused)
    assert isinstance(await ask(link, erase_of(request, disk)), Failure)
    assert isinstance(await ask(link, request), Locked)


async def test_a_request_cut_off_spoils_the_session(stage: Stage, plan: tuple[Lock, Path]) -> None:
    """After a cancelled request the next answer would be the last one's: the session refuses to be used."""
    request, _ = plan
    async with stage.eraser().session() as session:
        asking = asyncio.create_task(session.lock(request))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        with pytest.raises(HelperError, match="never finished"):
            await session.leave(request.steps[0].artefact_id)


async def test_the_session_tells_refusals_as_errors(stage: Stage, plan: tuple[Lock, Path]) -> None:
    """RefusedError with the codes of the eraser's own refusals."""
    request, disk = plan
    os.link(disk, stage.outside / "x")
    async with stage.eraser().session() as session:
        assert session.pid != os.getpid()
        with pytest.raises(RefusedError) as caught:
            await session.lock(request)
    assert caught.value.codes == ("hard-link",)


STRANGER = """
import os, socket, sys
sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1])
try:
    sock.sendall(sys.stdin.buffer.read())
except BrokenPipeError:
    pass
print(sock.recv(65536).decode())
"""


def test_a_stranger_is_not_served(scratch: Path) -> None:
    """The peer's uid decides, before any message: only root and the daemon's user."""
    scratch.chmod(0o755)
    path = scratch / "s"
    stranger = ("setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", STRANGER, str(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()
        listener.settimeout(20)
        (scratch / "hello").write_bytes(encode(Hello(version=VERSION, role="daemon")))
        with (scratch / "hello").open("rb") as hello, subprocess.Popen(stranger, stdin=hello, stdout=subprocess.PIPE) as child:
            sock, _ = listener.accept()
            with sock, pytest.raises(HelperError, match="uid 65534"):
                HelperEnd(sock).greet("eraser")
            output, _ = child.communicate(timeout=PATIENCE)
    assert b'"failure"' in output
