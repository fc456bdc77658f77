"""The daemon as one piece: started, ready, at work, stopped; alone on its state directory; its key, its clock, its tasks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost
from tests.fakes.ports import FakeEraser, FakeFences, FakeHypervisor, FakeObserver, RecordingMilestones
from tests.fakes.sheets import FakeSheets
from tests.patience import PATIENCE
from wiped import app
from wiped.attest.signing import generate_key
from wiped.config import Settings, load
from wiped.errors import ConfigError
from wiped.machine.clock import SystemClock
from wiped.machine.state_dir import sole_instance
from wiped.model.images import GOLDEN, PRIVATE, ClassifiedImage
from wiped.model.inventory import DomainFacts, FileIdentity
from wiped.model.sightings import Memory

CONFIG = """
[host]
name = "host-1"
residency = "eu-test"
state_dir = "{directory}/state"
runtime_dir = "{directory}/run"
[storage]
roots = ["/phones", "/golden"]
protected = ["/golden"]
[feed]
interval = "1s"
[policy.default]
grace = "0s"
notice = []
[safety]
settle = "0s"
[api]
group = ""
[metrics]
listen = ""
"""


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A configuration whose directories are this test's alone."""
    with tempfile.TemporaryDirectory(prefix="wa-") as directory:
        path = Path(directory) / "wiped.toml"
        path.write_text(CONFIG.format(directory=directory))
        yield load(str(path), {})


def parts(host: FakeHost, **more: Any) -> app.Parts:
    """A daemon whose host is a fake."""
    return app.Parts(
        hypervisor=FakeHypervisor(host),
        fences=FakeFences(host),
        observer=FakeObserver(host),
        eraser=FakeEraser(host),
        sheets=more.pop("sheets", None) or FakeSheets(),
        stop=asyncio.Event(),
        **more,
    )


@contextlib.asynccontextmanager
async def running(settings: Settings, given: app.Parts) -> AsyncIterator[aiohttp.ClientSession]:
    """The daemon in this loop; a client of its API once it answers. Stopped at the end, which must be a clean end."""
    daemon = asyncio.create_task(app.run(settings, parts=given), name="daemon")
    async with aiohttp.ClientSession("http://wiped", connector=aiohttp.UnixConnector(settings.socket_path)) as client:
        try:
            async with asyncio.timeout(PATIENCE):
                while not os.path.exists(settings.socket_path) and not daemon.done():
                    await asyncio.sleep(0.02)
            if daemon.done():
                await daemon
            yield client
        finally:
            assert given.stop is not None
            given.stop.set()
            async with asyncio.timeout(PATIENCE):
                status = await daemon
    assert status == 0
    assert not os.path.exists(settings.socket_path)


async def ask(client: aiohttp.ClientSession, path: str, body: Any = None, method: str = "GET") -> Any:
    """One call of the API, which must be good."""
    async with client.request(method, path, json=body) as answer:
        assert answer.status < 300, await answer.text()
        return await answer.json()


def term(seconds: float) -> dict[str, Any]:
    """A subscription that ends `seconds` from now."""
    now = datetime.now(UTC)
    return {
        "account": "acct-secret-1",
        "subscription": "s-1",
        "starts": (now - timedelta(days=1)).isoformat(),
        "expires": (now + timedelta(seconds=seconds)).isoformat(),
    }


async def test_the_daemon_wipes_a_phone_whose_term_ends(settings: Settings) -> None:
    """From the API to the certificate, by time alone; then a clean stop. The account reference is in no file of the daemon's."""
    host = FakeHost(SystemClock().boottime)
    phone = host.add_phone(1)
    async with running(settings, parts(host)) as client:
        async with asyncio.timeout(PATIENCE):
            while not (await ask(client, "/v1/phones"))["items"]:
                await asyncio.sleep(0.05)
            await ask(client, f"/v1/phones/{phone}/subscription", term(0.5), "PUT")
            while not host.events or "undefine" not in host.events[-1]:
                await asyncio.sleep(0.05)
            while not (wipes := [w for w in (await ask(client, "/v1/wipes"))["items"] if w["state"] == "released"]):
                await asyncio.sleep(0.05)
        assert wipes[0]["outcome"] == "clear"
        certificate = await ask(client, f"/v1/certificates/{wipes[0]['certificate_id']}")
        assert certificate["payloadType"] == "application/vnd.in-toto+json"
    assert host.remains("SECRET") == 0
    for file in Path(settings.host.state_dir).rglob("*"):
        assert b"acct-secret-1" not in (file.read_bytes() if file.is_file() else b"")


async def test_a_stop_in_the_middle_is_clean_and_the_next_start_finishes(settings: Settings) -> None:
    """Stopped while bytes are being written: the session is ended, exit status 0; the next daemon finishes, with one certificate."""
    host = FakeHost(SystemClock().boottime)
    phone = host.add_phone(1)
    reached = asyncio.Event()
    milestones = RecordingMilestones()

    async def stand_still() -> None:
        reached.set()
        await asyncio.Event().wait()

    milestones.when["erase-progress"] = stand_still
    async with running(settings, parts(host, milestones=milestones)) as client, asyncio.timeout(PATIENCE):
        while not (await ask(client, "/v1/phones"))["items"]:
            await asyncio.sleep(0.05)
        await ask(client, f"/v1/phones/{phone}/subscription", term(0.2), "PUT")
        await reached.wait()
    assert all(inode.locked_by is None for inode in host.inodes), "the eraser's session has ended"
    assert phone in host.fences
    async with running(settings, parts(host)) as client, asyncio.timeout(PATIENCE):
        while (await ask(client, "/v1/wipes"))["items"][0]["state"] != "released":
            await asyncio.sleep(0.05)
    assert host.remains("SECRET") == 0


async def test_systemd_is_told_ready_and_stopping(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY=1 once the socket answers, WATCHDOG=1 meanwhile, STOPPING=1 at the end."""
    address = settings.host.runtime_dir + ".notify"
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)

        async def listen() -> None:
            while True:
                told.append((await asyncio.get_running_loop().sock_recv(systemd, 4096)).decode())

        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "40000")
        listening = asyncio.create_task(listen(), name="systemd")
        async with running(settings, parts(FakeHost(SystemClock().boottime))):
            await asyncio.sleep(0.3)
        await asyncio.sleep(0.1)
        listening.cancel()
        await asyncio.wait([listening])
    assert [line.split("\n")[0] for line in told if not line.startswith("WATCHDOG")] == ["READY=1", "STOPPING=1"]
    assert told.count("WATCHDOG=1") >= 3
    Path(address).unlink()


async def test_sigterm_ends_it_cleanly(settings: Settings) -> None:
    """As systemd stops it."""
    given = replace(parts(FakeHost(SystemClock().boottime)), stop=None)
    daemon = asyncio.create_task(app.run(settings, parts=given), name="daemon")
    async with asyncio.timeout(PATIENCE):
        while not os.path.exists(settings.socket_path):
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await daemon == 0


async def test_two_daemons_do_not_share_a_state_directory(settings: Settings) -> None:
    """The second one says so and ends; the first goes on."""
    host = FakeHost(SystemClock().boottime)
    async with running(settings, parts(host)) as client:
        with pytest.raises(ConfigError, match="runs already"):
            await app.run(settings, parts=parts(host))
        await ask(client, "/v1/status")


async def test_a_socket_path_that_is_taken_is_a_fault_and_stays(settings: Settings) -> None:
    """A file where the socket should be: ConfigError (78) with its reason, and the file is still there: what is not ours is not removed."""
    there = Path(settings.socket_path)
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text("somebody's")
    with pytest.raises(ConfigError, match=r"api\.socket"):
        await asyncio.wait_for(app.run(settings, parts=parts(FakeHost(SystemClock().boottime))), PATIENCE)
    assert there.read_text() == "somebody's"


async def test_a_task_that_ends_by_itself_is_an_error(settings: Settings) -> None:
    """Hints that come to an end leave a daemon that looks alive and is deaf: it ends instead, and says which task it was."""
    host = FakeHost(SystemClock().boottime)

    class Deaf(FakeHypervisor):
        async def hints(self) -> AsyncIterator[str]:
            return
            yield ""

    with pytest.raises(ExceptionGroup) as caught:
        await app.run(settings, parts=replace(parts(host), hypervisor=Deaf(host)))
    assert "the task hints ended by itself" in [str(error) for error in caught.value.exceptions]
    assert not os.path.exists(settings.socket_path)


async def test_the_signing_key_is_made_once(settings: Settings) -> None:
    """0600, and the same after a restart: certificates of before stay verifiable."""
    with sole_instance(settings.host.state_dir):
        first = app.load_signer(settings)
        second = app.load_signer(settings)
    assert first.key_id == second.key_id
    mode = os.stat(os.path.join(settings.host.state_dir, "signing-key.pem")).st_mode
    assert stat.S_IMODE(mode) == 0o600


async def test_the_systemd_credential_comes_before_a_key_of_our_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the configured file before both; a configured file that is not there is a configuration error."""
    with tempfile.TemporaryDirectory() as directory, sole_instance(settings.host.state_dir):
        own = app.load_signer(settings)
        Path(directory, "signing-key").write_bytes(generate_key())
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", directory)
        credential = app.load_signer(settings)
        assert credential.key_id != own.key_id
        Path(directory, "mine.pem").write_bytes(generate_key())
        configured = replace(settings, attest=settings.attest.model_copy(update={"signing_key_file": directory + "/mine.pem"}))
        assert app.load_signer(configured).key_id not in {credential.key_id, own.key_id}
        absent = replace(settings, attest=settings.attest.model_copy(update={"signing_key_file": directory + "/none.pem"}))
        with pytest.raises(ConfigError, match="cannot be read"):
            app.load_signer(absent)


async def test_a_clock_before_the_last_audit_entry_is_suspect(settings: Settings) -> None:
    """The host's clock went back while the daemon was down: nothing is concluded from time."""
    host = FakeHost(SystemClock().boottime)
    async with running(settings, parts(host)):
        await asyncio.sleep(0)
    back = FakeClock(datetime.now(UTC) - timedelta(days=2))
    async with running(settings, parts(host, clock=back)) as client, asyncio.timeout(PATIENCE):
        while not (await ask(client, "/v1/status"))["last_sweep_at"]:
            await asyncio.sleep(0.05)
        assert (await ask(client, "/v1/status"))["clock_suspect"] is True


async def test_migrate_says_so_and_can_be_repeated(settings: Settings) -> None:
    """The ledger's schema is brought to the current version, or is there already."""
    given = parts(FakeHost(SystemClock().boottime))
    assert "current" in await app.migrate(settings, parts=given)
    assert "current" in await app.migrate(settings, parts=given)


async def test_a_new_state_directory_is_no_first_run_where_phones_are_remembered(settings: Settings) -> None:
    """Records have their fixed place: another `host.state_dir` must not make a host with held phones a new one. A person's word makes it."""
    sheets = FakeSheets()
    sheets.phones["0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"] = (Memory("0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11", 1, datetime.now(UTC), ""), ())
    given = parts(FakeHost(SystemClock().boottime), sheets=sheets)
    with pytest.raises(ConfigError, match="has a past: 1 records of phones and images") as caught:
        await app.run(settings, parts=given)
    assert "migrate --accept" in caught.value.hint
    assert "gone on with" in await app.migrate(settings, accepted=True, parts=given)


async def test_a_second_daemon_with_another_state_directory_does_not_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would know no hold of the first one's, and wipe the same phones."""
    home = os.path.join(os.path.dirname(settings.host.state_dir), "home")
    monkeypatch.setattr(app, "FENCE_DIRECTORY", home + "/fence")
    with sole_instance(home), pytest.raises(ConfigError, match="runs already"):
        await app.run(settings, parts=replace(parts(FakeHost(SystemClock().boottime)), fences=None))


async def test_what_a_person_accepted_is_in_the_audit_log_before_its_head_is_noted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed right then, the next start either has the entry or refuses again."""
    given = parts(FakeHost(SystemClock().boottime))
    await app.migrate(settings, parts=given)
    seen = []

    async def look(state_dir: str, *_: object, **__: object) -> None:
        with contextlib.closing(sqlite3.connect(os.path.join(state_dir, "ledger.db"))) as connection:
            seen.extend(kind for (kind,) in connection.execute("SELECT kind FROM audit ORDER BY seq"))

    monkeypatch.setattr(app, "_note_head", look)
    await app.migrate(settings, accepted=True, parts=given)
    assert seen[0] == "memory-accepted"


async def test_records_of_images_and_fences_of_another_day_are_whole_before_anybody_is_answered(settings: Settings) -> None:
    """A golden image whose record was lost, or calls it private as it did once, is golden again before the first plan; and a lost fence stands."""
    host, sheets = FakeHost(SystemClock().boottime), FakeSheets()
    image = ClassifiedImage("/golden/base.qcow2", FileIdentity(1, 2), GOLDEN, datetime.now(UTC), "anna")
    async with app._ledger_of(settings, SystemClock(), parts(host, sheets=sheets)) as ledger:
        await ledger.images.classify(image, reason="the base of all")
        uuid = host.add_phone(1)
        await ledger.phones.see(host.all_domains(), datetime.now(UTC))
        await ledger.phones.mark(uuid, fenced=True, reason="kept")
    sheets.images[image.path] = replace(image, meaning=PRIVATE)
    host.fences.clear()
    seen: list[object] = []
    given = parts(host, sheets=sheets)

    class Asked(FakeHypervisor):
        async def domains(self) -> tuple[DomainFacts, ...]:
            seen.append((set(host.fences), {path: kept.meaning for path, kept in sheets.images.items()}))
            return await super().domains()

    async with running(settings, replace(given, hypervisor=Asked(host))), asyncio.timeout(PATIENCE):
        while not seen:
            await asyncio.sleep(0.02)
    assert seen[0] == ({uuid}, {image.path: GOLDEN})


async def test_the_state_directory_of_another_host_is_not_this_hosts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back whole, from the wrong host: all of it fits together, and it knows no hold of this host's phones. A person's word goes on with it, once."""
    host = FakeHost(SystemClock().boottime)
    monkeypatch.setattr(app, "machine_digest", lambda: "a" * 32)
    async with running(settings, parts(host)):
        pass
    monkeypatch.setattr(app, "machine_digest", lambda: "b" * 32)
    with pytest.raises(ConfigError, match="was written on another machine") as caught:
        await app.run(settings, parts=parts(host))
    assert "migrate --accept" in caught.value.hint
    await app.migrate(settings, accepted=True, parts=parts(host))
    monkeypatch.setattr(app, "machine_digest", lambda: "")
    async with running(settings, parts(host)):
        pass
    monkeypatch.setattr(app, "machine_digest", lambda: "b" * 32)
    async with running(settings, parts(host)):
        pass
    monkeypatch.setattr(app, "machine_digest", lambda: "a" * 32)
    with pytest.raises(ConfigError, match="was written on another machine"):
        await app.run(settings, parts=parts(host))
