"""The README's five-minute tour, typed as it stands on a whole host in a container: it ends in a certificate, and the phone's data is gone."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.lab.container import Container
from tests.lab.guest import READY, Disk, Load, domain_xml
from tests.lab.hostimage import REPOSITORY
from tests.lab.hostproduct import CONFIG, tour
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import Markers, marked_blocks

#: Seconds: what its name promises.
FIVE_MINUTES = 300
CHECKOUT = "/root/wiped"
DISK = "/var/lib/libvirt/images/phone-7.qcow2"
CONSOLE = "/var/log/libvirt/qemu/phone-7-console.log"
MARKED = Load(Markers())


@pytest.fixture
def host(private_mounts: None) -> Iterator[Container]:
    """A libvirt host on which nothing of ours was ever installed, with a checkout."""
    with Container() as container:
        container.checkout(CHECKOUT)
        yield container


def start_phone(host: Container, phone: str) -> None:
    """Define and boot ``phone-7``, whose guest writes marked credentials into its disk and to its console, and wait until it has."""
    host.sh(f"truncate -s 64M /tmp/empty; mkfs.ext4 -q /tmp/empty; qemu-img convert -O qcow2 /tmp/empty {DISK}; rm /tmp/empty")
    xml = domain_xml("phone-7", phone, [Disk(DISK)], load=MARKED, boot=host.give_boot_files(), serial_file=CONSOLE)
    host.run("virsh", "-q", "define", "/dev/stdin", stdin=xml)
    host.run("virsh", "-q", "start", "phone-7")
    wait_for(lambda: READY in host.run("cat", CONSOLE, check=False).stdout, "a phone that has written its credentials", 60, 0.5)


def test_the_tour_says_no_date_and_needs_no_editor() -> None:
    """Whatever day it is typed on: dates are computed, nothing waits for a person's hand."""
    commands = "\n".join(tour())
    assert commands.count("\n") > 15
    assert re.findall(r"\b20\d\d\b|EDITOR|\b(?:nano|vim?|emacs|sudoedit)\b", commands) == []


def test_the_tour_ends_in_a_certificate_within_five_minutes(host: Container, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the tour succeeds; its certificate is `clear`, verified by OpenSSL, and no marker of the phone is left on the raw device."""
    phone = str(uuid.uuid4())
    start_phone(host, phone)
    host.run("sync")
    assert marked_blocks(host.device, MARKED.markers.prefix) >= MARKED.files

    begun, printed = time.monotonic(), {}
    with host.shell(CHECKOUT) as shell:
        for command in tour():
            before = time.monotonic()
            status, printed[command] = shell.type(command)
            print(f"{time.monotonic() - before:6.1f} s  {command}")
            assert status == 0, f"{command}\n{printed[command]}\n{host.last_words()}"
    seconds = time.monotonic() - begun
    with capsys.disabled():
        print(f"\nthe tour took {seconds:.0f} s")

    assert "unbound" in printed["wipectl status"]
    assert DISK in printed["wipectl plan phone-7"]
    assert "in-grace" in printed["wipectl explain phone-7"]
    assert "Signature Verified Successfully" in next(text for command, text in printed.items() if command.startswith("openssl"))
    said = json.loads(next(text for command, text in printed.items() if command.startswith("jq '.predicate")))
    assert (said["phone"]["uuid"], said["overall"]["outcome"]) == (phone, "clear")
    proven = json.loads(host.run("cat", f"{CHECKOUT}/payload").stdout)["predicate"]["artefacts"]
    assert {(found["kind"], found["outcome"]) for found in proven} == {("disk-image", "clear"), ("console-log", "clear")}

    assert host.run("virsh", "-q", "list", "--all").stdout.strip() == ""
    assert host.run("ls", DISK, CONSOLE, check=False).stdout == ""
    assert host.run("systemctl", "is-active", "wiped").stdout == "active\n"
    assert host.run("cat", CONFIG).stdout == (REPOSITORY / "config/wiped.toml").read_text()
    host.run("sync")
    host.stop()
    assert marked_blocks(host.device, MARKED.markers.prefix) == 0
    assert seconds < FIVE_MINUTES
