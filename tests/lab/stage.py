"""The whole product on a private libvirt: the daemon as production runs it, `wipectl`, phones with marked storage, raw devices to search.

Everything runs inside the private namespace, where `/etc/libvirt`, `/etc/wiped`, `/var/lib/libvirt` and `/var/lib/wiped` are the private ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.lab import images
from tests.lab.privatelibvirt import LabProcess, PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.patience import PATIENCE

REPOSITORY = Path(__file__).resolve().parents[2]
SOCKET = "/run/wiped/api.sock"
ACCOUNT = "alice.liddell@example.org"
#: Steps at which a wipe stands still.
ENDS = ("released", "quarantined", "cancelled")
#: So that many phones at once do not open the breaker where it is not what is tried.
MANY = "breaker_max = 1000"
LOCAL_FEED = 'kind = "local"\ninterval = "5s"'

#: Staff of the lab: users and groups that every Debian has. All of them may connect; one operates, two may approve.
STAFF = 'group = "users"\noperator_group = "sys"\napprover_group = "games"'


#: User, group, further groups.
OPERATOR, APPROVER, OTHER_APPROVER = ("sys", "sys", "users"), ("games", "games", "users"), ("mail", "games", "users")

CONFIG = """
[host]
name = "lab-host"
residency = "eu-lab"
[libvirt]
uri = "qemu:///system"
[storage]
roots = {roots}
protected = {protected}
{storage}
[feed]
{feed}
[policy.default]
grace = "{grace}"
notice = ["60s"]
stop_timeout = "{stop_timeout}"
minor_grace = "0s"
deadline = "72h"
[safety]
settle = "1s"
{safety}
[api]
socket = "{socket}"
{api}
[metrics]
listen = "127.0.0.1:{port}"
"""


def instant(at: datetime) -> str:
    """RFC 3339 UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unmeasured() -> dict[str, str]:
    """This process's environment without coverage's: measured, a daemon takes twice the processor time, and what it runs is measured in this process by the
    unit tests, and in the helpers by the tests of `eraser_stage` and `observer_stage`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


class Product:
    """The daemon with its configuration; a context manager that stops it. `hook` installs the libvirt hook first.

    `roots` and `protected` must exist and be visible inside the namespace (beneath the libvirt's workdir). `forked` False: daemon and `wipectl` are started
    as installed, not by `tests.lab.forks`.
    """

    def __init__(self, libvirt: PrivateLibvirt, roots: Sequence[Path], protected: Sequence[Path] = (), *, grace: str = "1s", stop_timeout: str = "10s",
                 hook: bool = True, storage: str = "", safety: str = MANY, api: str = "", feed: str = LOCAL_FEED, more: str = "",
                 forked: bool = True) -> None:  # fmt: skip
        self.libvirt = libvirt
        self._forked = forked
        self.port = free_port()
        self.process: LabProcess | None = None
        self.log = libvirt.workdir / "daemon.log"
        beside = [path for path in protected if not any(path.is_relative_to(root) for root in roots)]
        text = CONFIG.format(
            roots=json.dumps([str(root) for root in dict.fromkeys([*roots, *beside])]),
            protected=json.dumps([str(root) for root in protected]),
            storage=storage,
            safety=safety,
            api=api,
            feed=feed,
            grace=grace,
            stop_timeout=stop_timeout,
            socket=SOCKET,
            port=self.port,
        )
        config = libvirt.path("/etc/wiped/wiped.toml")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(text + more)
        config.chmod(0o644)
        if hook:
            libvirt.install_hook(REPOSITORY / "config" / "libvirt-hook")

    def __enter__(self) -> Product:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- the daemon
    def start(self, module: str = "wiped.__main__", *words: str, ready: bool = True) -> None:
        """Start the daemon (or the `main` of another module, with `words`, in its stead) and wait until it answers on its socket."""
        argv = [module, *words] if words else ["wiped", "run"]
        # What kills a helper, or looks for one, finds it as the product starts it: as a child of the daemon.
        with self.log.open("ab") as log:
            if not self._forked:
                self.process = self.libvirt.popen([sys.executable, "-m", "wiped", "run"], cwd=REPOSITORY, stdout=log, stderr=log, env=unmeasured())
            else:
                self.process = self.libvirt.fork(f"{module}:main", argv, cwd=REPOSITORY, stdout=log, stderr=log, env=unmeasured(), helpers=not words)
        if ready:
            wait_for(self._answers, f"the daemon to answer; its log ends:\n{self.log.read_text()[-3000:]}")
            self._look_around()

    def _look_around(self) -> None:
        """Let it see its phones, so that it knows their names; where libvirt does not answer it, that is the test's business."""
        patient_until = time.monotonic() + 10
        while not self.get("/v1/status")["last_sweep_at"] and time.monotonic() < patient_until:
            time.sleep(0.05)

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{self.log.read_text()[-3000:]}")
        try:
            self.get("/v1/status")
        except OSError:
            return False
        return True

    def stop(self) -> int:
        """SIGTERM, as systemd does; its exit status."""
        if self.process is None:
            return 0
        status, self.process = self.process.terminate(), None
        return status

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    # -- its operator
    def ctl(
        self, *words: str, check: bool = True, timeout: float = PATIENCE, stdin: str = "", person: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """`wipectl WORDS`, inside the namespace; as `person` (one of `OPERATOR`, `APPROVER`...), root where none is given."""
        argv = ["wipectl", "--socket", SOCKET, *words]
        if self._forked:
            done = self.libvirt.run_forked("wiped.cli.main:main", argv, cwd=REPOSITORY, env=unmeasured(), stdin_text=stdin, timeout=timeout, person=person)
        else:
            installed = [str(Path(sys.executable).parent / "wipectl"), *argv[1:]]
            done = self.libvirt.run(installed, check=False, cwd=REPOSITORY, timeout=timeout, stdin_text=stdin, env=unmeasured())
        if check and done.returncode != 0:
            raise AssertionError(f"wipectl {' '.join(words)} -> {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log.read_text()[-3000:]}")
        return done

    def ask(self, *words: str, check: bool = True, **options: Any) -> Any:
        """`wipectl --output json WORDS`, parsed."""
        return json.loads(self.ctl("--output", "json", *words, check=check, **options).stdout)

    def agreed(self, *words: str, **options: Any) -> None:
        """What takes two people, done by two: the operator's `wipectl WORDS` is recorded (exit code 3), one with the approver's role agrees. Needs `STAFF`."""
        done = self.ctl("--output", "json", *words, person=OPERATOR, check=False, **options)
        if done.returncode != 3:
            raise AssertionError(f"wipectl {' '.join(words)} -> {done.returncode}, not 3\n{done.stdout}\n{done.stderr}")
        self.ctl("approvals", "approve", json.loads(done.stdout)["approval"], person=APPROVER)

    def get(self, path: str) -> Any:
        """One look through the API's socket, without starting a program for it (the waiting loops)."""
        answer = self.said(f"GET {path} HTTP/1.0\r\nHost: wiped\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.splitlines()[0]:
            raise AssertionError(f"GET {path}: {answer!r}")
        return json.loads(body)

    def said(self, request: bytes) -> bytes:
        """The answer to these bytes at the API's socket, whatever it is."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE)
            line.connect(str(self.libvirt.path(SOCKET)))
            line.sendall(request)
            return b"".join(iter(lambda: line.recv(1 << 16), b""))

    def bind(self, phone: str, *, ends_in: float = 1.0, account: str = ACCOUNT, subscription: str = "") -> None:
        """Record a term that began an hour ago and ends in `ends_in` seconds."""
        now = datetime.now(UTC)
        self.ctl(
            "subscriptions", "set", phone, "--account", account, "--subscription", subscription or f"sub-{uuid.uuid4().hex[:8]}",
            "--starts", instant(now - timedelta(hours=1)), "--expires", instant(now + timedelta(seconds=ends_in)),
        )  # fmt: skip

    def explain(self, phone: str) -> Any:
        """What `wipectl explain` prints as JSON."""
        return self.get(f"/v1/phones/{phone}/explain")

    def wipes(self, phone: str) -> list[Any]:
        """The wipes of a phone, newest first."""
        return list(self.get(f"/v1/wipes?phone={phone}")["items"])

    def wait_for_wipe(self, phone: str, steps: Sequence[str] = ENDS, seconds: float = PATIENCE) -> Any:
        """The phone's newest wipe, once it stands at one of `steps`."""

        def there() -> Any:
            found = self.wipes(phone)
            return found[0] if found and found[0]["state"] in steps else None

        try:
            return wait_for(there, f"a wipe of {phone} to be {steps}", seconds, slowest=0.3 if tuple(steps) == ENDS else 0.1)
        except BaseException:
            print(self.log.read_text()[-6000:])
            with contextlib.suppress(Exception):
                print(json.dumps({"explain": self.explain(phone), "status": self.get("/v1/status"), "wipes": self.wipes(phone)}, indent=1))
            raise

    def wait_for_state(self, phone: str, *states: str) -> Any:
        """`explain` of the phone, once its state is one of `states`."""

        def there() -> Any:
            found = self.explain(phone)
            return found if found["state"] in states else None

        return wait_for(there, f"{phone} to be {states}")

    def metrics(self) -> dict[str, float]:
        """All samples of /metrics by name with labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and not line.startswith("#")}

    @property
    def state_dir(self) -> Path:
        """The daemon's state directory, as seen from outside."""
        return self.libvirt.path("/var/lib/wiped")


@dataclass
class StagedPhone:
    """A domain over `disks` ({target: (path, format)}), without a guest that boots (it runs the firmware and stops there)."""

    libvirt: PrivateLibvirt
    name: str
    disks: dict[str, tuple[Path, str]]
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    console_log: Path | None = None
    nvram: Path | None = None

    @property
    def xml(self) -> str:
        """Its definition."""
        return self.xml_as(self.uuid, self.name)

    def xml_as(self, phone: str, name: str) -> str:
        """The same disks under another UUID and name."""
        disks = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='{fmt}'/><source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"
            for target, (path, fmt) in self.disks.items()
        )
        serial = f"<serial type='file'><source path='{self.console_log}'/></serial>" if self.console_log else ""
        firmware = ""
        if self.nvram:
            firmware = f"<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram>{self.nvram}</nvram>"
        return f"""<domain type='qemu'><name>{name}</name><uuid>{phone}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type>{firmware}</os><features><acpi/></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}{serial}<memballoon model='none'/></devices></domain>"""

    def define(self) -> StagedPhone:
        """Define it; returns itself."""
        self.libvirt.define(self.xml)
        return self

    @property
    def state(self) -> str:
        """libvirt's word for its state."""
        return self.libvirt.state(self.uuid)

    def exists(self) -> bool:
        """Whether libvirt still has a domain with this UUID."""
        return self.libvirt.virsh("domstate", self.uuid, check=False).returncode == 0


def phone_with_disk(libvirt: PrivateLibvirt, directory: Path, *, name: str = "phone-1", fmt: str = "qcow2", markers: Markers | None = None,
                    blocks: int = 512, base: Path | None = None, preallocate: bool = False, size: int = 64 * images.MIB) -> StagedPhone:  # fmt: skip
    """A defined phone with one disk in `directory`, `blocks` marked blocks of 4 KiB written into it, over a golden `base` if given."""
    directory.mkdir(parents=True, exist_ok=True)
    disk = directory / f"{name}.{fmt}"
    if base is not None:
        images.overlay(disk, base)
    else:
        images.create(disk, size, fmt, options="preallocation=falloc" if preallocate else "")
    if markers is not None:
        images.write_markers(disk, markers, blocks, fmt)
    return StagedPhone(libvirt, name, {"vda": (disk, fmt)}).define()


def settle(seconds: float) -> None:
    """Let the daemon make a few sweeps, where a test shows that something does *not* happen."""
    time.sleep(seconds)
