"""The product in the host VM: installed by the README's own lines, run by systemd from the shipped unit, asked through `wipectl` and its socket."""

from __future__ import annotations

import json
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.lab.hostimage import REPOSITORY
from tests.lab.hostvm import HostVM
from tests.lab.privatelibvirt import LabError
from tests.lab.stage import ACCOUNT, ENDS, instant

CONFIG = "/etc/wiped/wiped.toml"
SOCKET = "/run/wiped/wiped.sock"
UNIT = "wiped.service"
TOUR = re.compile(r"<!-- tour:begin -->(.*?)<!-- tour:end -->", re.DOTALL)
TOML = """
[host]
residency = "eu-lab"
[storage]
roots = {roots}
protected = {protected}
{storage}
[feed]
kind = "local"
interval = "5s"
[policy.default]
grace = "1s"
notice = ["60s"]
stop_timeout = "5s"
[safety]
settle = "1s"
breaker_max = 50
[api]
operator_group = "wiped-operators"
"""
# `wipectl` takes three seconds to start under software emulation; this takes a fraction of one.
GET = """
import socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.settimeout(60)
    line.connect(sys.argv[1])
    line.sendall(f"GET {sys.argv[2]} HTTP/1.0\\r\\nHost: wiped\\r\\n\\r\\n".encode())
    answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
head, _, body = answer.partition(b"\\r\\n\\r\\n")
sys.stdout.buffer.write(body)
sys.exit(0 if b" 200 " in head.splitlines()[0] else 1)
"""


def tour() -> list[str]:
    """The commands of the README's tour, each as it stands there: the ``sh`` blocks between its markers. A backslash at a line's end joins the next."""
    blocks = re.findall(r"^```sh\n(.*?)^```", "".join(TOUR.findall((REPOSITORY / "README.md").read_text())), re.DOTALL | re.MULTILINE)
    return [command for block in blocks for command in re.findall(r"(?:.*\\\n)*.+", block)]


def installing() -> list[str]:
    """The tour's commands that put the program's files in place and start it (the packages and /opt/wiped are in the image)."""
    lines = [line for line in tour() if re.match(r"(ln|install) ", line)]
    if len(lines) < 5 or "systemctl enable --now wiped" not in lines[-1]:
        raise LabError(f"the README's tour does not install as expected: {lines}")
    return lines


class HostProduct:
    """`wiped` on one host VM."""

    def __init__(self, vm: HostVM) -> None:
        self.vm = vm

    def install(self, roots: Sequence[str], protected: Sequence[str] = (), *, storage: str = "") -> None:
        """Install as the README says, configure (where it says ``sed``), enable and start. Returns when systemd has seen READY."""
        *files, start = installing()
        for line in files:
            self.vm.sh(f"cd /usr/src/wiped; {line}")
        self.configure(roots, protected, storage=storage)
        self.vm.sh("/opt/wiped/bin/wiped check-config")
        self.vm.sh(f"cd /usr/src/wiped; {start}", timeout=200)

    def configure(self, roots: Sequence[str], protected: Sequence[str] = (), *, storage: str = "") -> None:
        """Write the configuration; a running daemon does not read it."""
        self.vm.write(CONFIG, TOML.format(roots=json.dumps([*roots]), protected=json.dumps([*protected]), storage=storage))

    def property(self, name: str) -> str:
        """A property of the unit."""
        return self.vm.run("systemctl", "show", UNIT, "--value", "-p", name).stdout.strip()

    def journal(self, lines: int = 40) -> str:
        """What the daemon said last."""
        return self.vm.run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat", "-n", str(lines), check=False).stdout

    # -- its operator
    def ctl(self, *words: str, check: bool = True, stdin: str = "", user: str = "") -> subprocess.CompletedProcess[str]:
        """`wipectl WORDS`, as root or another user of the machine."""
        argv = ["/usr/local/bin/wipectl", *words]
        done = self.vm.run(*(["runuser", "-u", user, "--", *argv] if user else argv), check=False, stdin=stdin, timeout=180)
        if check and done.returncode != 0:
            raise AssertionError(f"wipectl {' '.join(words)} -> {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.journal()}")
        return done

    def ask(self, *words: str, check: bool = True) -> Any:
        """`wipectl --output json WORDS`, parsed."""
        return json.loads(self.ctl("--output", "json", *words, check=check).stdout)

    def get(self, path: str) -> Any:
        """One look through the API's socket."""
        done = self.vm.run("python3", "-I", "-c", GET, SOCKET, path, check=False)
        if done.returncode != 0:
            raise LabError(f"GET {path}: {done.stdout}{done.stderr[-500:]}")
        return json.loads(done.stdout)

    def bind(self, *phones: str, ends_in: float = 1.0, account: str = ACCOUNT) -> None:
        """Record terms that began an hour ago and end in `ends_in` seconds, by the host's own clock as it is (it is ours)."""
        now = datetime.now(UTC)
        rows = [
            {
                "phone": phone,
                "account": account,
                "subscription": f"sub-{uuid.uuid4().hex[:8]}",
                "starts": instant(now - timedelta(hours=1)),
                "expires": instant(now + timedelta(seconds=ends_in)),
            }
            for phone in phones
        ]
        self.vm.write("/tmp/terms.jsonl", "".join(json.dumps(row) + "\n" for row in rows), "600")
        self.ctl("subscriptions", "import", "/tmp/terms.jsonl")

    def plan(self, phone: str) -> Any:
        """What `wipectl plan` prints as JSON."""
        return self.get(f"/v1/phones/{phone}/plan")

    def explain(self, phone: str) -> Any:
        """What `wipectl explain` prints as JSON."""
        return self.get(f"/v1/phones/{phone}/explain")

    def wait_for_wipe(self, phone: str, steps: Sequence[str] = ENDS, seconds: float = 180) -> Any:
        """The phone's newest wipe with its artefacts, once it stands at one of `steps`."""

        def there() -> Any:
            found = self.get(f"/v1/wipes?phone={phone}")["items"]
            return found[0] if found and found[0]["state"] in steps else None

        found = self.wait(there, f"a wipe of {phone} to be {steps}", seconds)
        return self.get(f"/v1/wipes/{found['id']}")

    def wait(self, there: Callable[[], Any], what: str, seconds: float = 120) -> Any:
        """The first true answer of `there`; raises LabError with the daemon's last words after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            if answer := there():
                return answer
            if time.monotonic() > deadline:
                raise LabError(f"waited {seconds:.0f} s in vain for {what}; the daemon's last words:\n{self.journal()}")
            time.sleep(0.5)
