"""A whole virtualization host in a virtual machine: systemd as process 1, libvirt, LVM, this checkout's program. Boots in about half a minute.

Software emulation (no /dev/kvm needed), so it runs wherever the other tests do. Commands go through a virtio serial port to an agent inside. Its
second disk is a raw file: once the machine is off, what that file holds is what a thief of the disk would find. Source: docs/lab.md, "A whole
virtualization host".
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.lab.hostimage import HostImage
from tests.lab.privatelibvirt import LabError
from tests.lab.rawdevice import BLOCK, Markers

#: MiB
MEMORY = 2048
KERNEL_WORDS = "console=ttyS0 root=/dev/vda rw panic=-1 loglevel=4 systemd.show_status=yes"
#: Seconds that a boot may take on a slow, shared machine.
BOOT = 240

WRITE_MARKERS = """
import os, sys
path, prefix, first, blocks = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])
with open(path, "r+b" if os.path.exists(path) else "xb") as file:
    file.seek(first * 4096)
    for number in range(first, first + blocks):
        file.write((prefix + b"%d-" % number).ljust(64, b"=") * 64)
    file.flush()
    os.fsync(file.fileno())
"""


class HostVM:
    """One machine over a copy-on-write root; a context manager that boots it, and kills what still runs of it.

    `directory` takes its files: ``root.qcow2``, ``disk.raw`` (`disk_size` bytes; /dev/vdb inside, serial ``phones``), ``console.log``. The same
    directory boots again with the same content.
    """

    def __init__(self, image: HostImage, directory: Path, *, disk_size: int = 2 << 30) -> None:
        self.image = image
        self.directory = directory
        self.root, self.disk, self.console = directory / "root.qcow2", directory / "disk.raw", directory / "console.log"
        self.boot_seconds = 0.0
        self._port = directory / "port"
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._pending = b""
        self._requests = 0
        if not self.root.exists():
            command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.root), "-F", "raw", str(self.root)]
            subprocess.run(command, check=True, capture_output=True)
        if not self.disk.exists():
            with self.disk.open("xb") as file:
                file.truncate(disk_size)

    def __enter__(self) -> HostVM:
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    # -- power
    def boot(self) -> None:
        """Switch on and wait until systemd has started everything; raises LabError with the console's end where that fails."""
        begun = time.monotonic()
        self._port.unlink(missing_ok=True)
        command = [
            # The emulator ends with the process that started it, however that comes about.
            "setpriv", "--pdeathsig", "KILL",
            "qemu-system-x86_64", "-name", "wiped-lab-host", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY),
            "-nodefaults", "-display", "none", "-no-reboot", "-nic", "none", "-serial", f"file:{self.console}",
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd), "-append", KERNEL_WORDS,
            "-drive", f"file={self.root},format=qcow2,if=none,id=root", "-device", "virtio-blk-pci,drive=root,serial=root",
            "-drive", f"file={self.disk},format=raw,if=none,id=phones", "-device", "virtio-blk-pci,drive=phones,serial=phones",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={self._port},server=on,wait=off", "-device", "virtserialport,chardev=agent,name=org.wiped.lab",
        ]  # fmt: skip
        with (self.directory / "emulator.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            self._connect()
            self.run("systemctl", "is-system-running", "--wait", check=False, timeout=BOOT)
        except BaseException:
            self.kill()
            raise
        self.boot_seconds = time.monotonic() - begun

    def power_off(self, seconds: float = 120) -> None:
        """Shut down as an operator would, and wait until the machine is off; raises LabError where it stays on."""
        self.run("systemctl", "--no-block", "poweroff")
        try:
            if self._process is not None:
                self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"the host VM does not switch off:\n{self.last_words()}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """Pull the plug: SIGKILL for the emulator, if it still runs. What it had written stays (the host keeps it)."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._port.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        """The emulator's process id; 0 while it is off."""
        return 0 if self._process is None else self._process.pid

    # -- inside
    def run(self, *argv: str, check: bool = True, timeout: float = 120, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program inside as root; raises LabError where it fails (unless told not to `check`) or the machine is gone."""
        self._requests += 1
        self._send({"id": self._requests, "argv": list(argv), "stdin": stdin, "timeout": timeout})
        while True:
            answer = self._receive(timeout + 60)
            if answer["id"] == self._requests:
                break
        done = subprocess.CompletedProcess(list(argv), int(answer["status"]), str(answer["stdout"]), str(answer["stderr"]))
        if check and done.returncode != 0:
            raise LabError(f"in the host VM: {' '.join(argv)[:500]}: exit {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    def sh(self, script: str, *arguments: str, check: bool = True, timeout: float = 120) -> str:
        """Run a bash script inside (``-euo pipefail``); its standard output."""
        return self.run("bash", "-euo", "pipefail", "-c", script, "sh", *arguments, check=check, timeout=timeout).stdout

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """A file inside, with its directories."""
        self.run("bash", "-euc", 'install -D -m "$2" /dev/stdin "$1"', "sh", path, mode, stdin=text)

    def write_markers(self, path: str, markers: Markers, blocks: int, *, at_block: int = 0) -> None:
        """Write marked blocks of 4 KiB into a file or device inside, and sync it: the same bytes as `Markers.write`."""
        self.run("python3", "-c", WRITE_MARKERS, path, markers.prefix.decode(), str(at_block), str(blocks))

    def digest(self, path: str, blocks: int = 0) -> str:
        """SHA-256 of a file or device inside (of its first `blocks` of 4 KiB where given), read past the page cache where it is a device."""
        count = f"count={blocks}" if blocks else ""
        return self.sh(
            f'flag=; [ ! -b "$1" ] || flag=iflag=direct; dd if="$1" bs={BLOCK} {count} $flag status=none | sha256sum | cut -d " " -f 1', path
        ).strip()

    def last_words(self) -> str:
        """The end of the console, for messages."""
        return self.console.read_text(errors="replace")[-3000:] if self.console.exists() else "no console"

    # -- the line
    def _connect(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            self._alive()
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self._port))
            except OSError:
                line.close()
                if time.monotonic() > deadline:
                    raise LabError("the emulator opens no port") from None
                time.sleep(0.05)
                continue
            self._line, self._pending = line, b""
            break
        # Bytes wait in the port until the agent comes up and opens it.
        self._requests += 1
        self._send({"id": self._requests, "argv": ["true"], "stdin": "", "timeout": 10})
        while self._receive(BOOT)["id"] != self._requests:
            pass

    def _send(self, request: dict[str, Any]) -> None:
        if self._line is None:
            raise LabError("the host VM is off")
        self._line.settimeout(120)
        try:
            self._line.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise LabError(f"the host VM takes no command ({error}):\n{self.last_words()}") from None

    def _receive(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._pending:
            self._alive()
            if self._line is None or time.monotonic() > deadline:
                raise LabError(f"the host VM does not answer within {seconds:.0f} s:\n{self.last_words()}")
            self._line.settimeout(1)
            try:
                chunk = self._line.recv(1 << 16)
            except TimeoutError:
                continue
            if not chunk:
                raise LabError(f"the host VM hung up:\n{self.last_words()}")
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _alive(self) -> None:
        if self._process is not None and (status := self._process.poll()) is not None:
            log = (self.directory / "emulator.log").read_text(errors="replace")[-2000:]
            raise LabError(f"the emulator ended with {status}: {log}\n{self.last_words()}")
