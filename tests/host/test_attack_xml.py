"""Attack: libvirt's own text. A domain of 10 MB, one with entities, one with a thousand disks, names that a terminal would obey."""

from __future__ import annotations

import json
import os
import pty
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.attacks import SMALL, Host, bind_all, refusals, wait_refused, wait_seen
from tests.host.eraser_stage import Stage, digest, new_uuid, random_file
from tests.lab.libvirtfiles import Disk, domain_xml, saved_state
from tests.lab.privatelibvirt import PrivateLibvirt
from tests.lab.stage import REPOSITORY, SOCKET, StagedPhone

TEN_MB = 10 * 1024 * 1024
ENTITIES = '<!DOCTYPE domain [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY path "/etc/shadow">]>'


def long_comment(xml: str, size: int = TEN_MB) -> str:
    """The same domain, `size` bytes longer."""
    return xml.replace("<devices>", f"<metadata><x:x xmlns:x='urn:x'>{'x' * size}</x:x></metadata><devices>")


NEIGHBOURS: dict[str, tuple[Callable[[Path, str], str], set[str]]] = {
    "ten megabytes, which are read, and the disk is seen": (
        lambda disk, uuid: long_comment(domain_xml("theirs", uuid, [Disk(str(disk), "raw")])), {"shared-by-domain"}),
    "seventeen megabytes": (lambda disk, uuid: long_comment(domain_xml("theirs", uuid, [Disk(str(disk), "raw")]), 17 << 20), {"unreadable"}),
    "entities": (lambda disk, uuid: ENTITIES + domain_xml("theirs", uuid, [Disk(str(disk), "raw")]).replace("theirs", "&b;"), {"unreadable"}),
    "an entity for the path": (lambda disk, uuid: ENTITIES + domain_xml("theirs", uuid, [Disk("PATH", "raw")]).replace("PATH", "&path;"), {"unreadable"}),
    "a billion laughs": (lambda disk, uuid: (
        "<!DOCTYPE domain [" + '<!ENTITY x0 "ha">' + "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 10)) + "]>"
        + domain_xml("theirs", uuid, [Disk(str(disk), "raw")]).replace("theirs", "&x9;")), {"unreadable"}),
    "a thousand disks, the victim the last": (
        lambda disk, uuid: domain_xml("theirs", uuid, [*(Disk(f"/srv/no/{n}", "raw") for n in range(999)), Disk(str(disk), "raw")]), {"shared-by-domain"}),
    "six hundred elements deep": (lambda disk, uuid: "<domain>" * 600 + "</domain>" * 600, {"unreadable"}),
}  # fmt: skip


@pytest.mark.parametrize("what", NEIGHBOURS)
async def test_a_monstrous_neighbour_against_the_eraser(scratch: Path, what: str) -> None:
    """The neighbour's document is understood and its disk protected, or nothing at all is erased; within seconds, and the disk keeps every byte."""
    stage = Stage(scratch)
    disk = random_file(stage.images / "disk.raw", SMALL)
    uuid = stage.files.define("mine", [Disk(str(disk), "raw")])
    make, codes = NEIGHBOURS[what]
    (stage.files.config / "theirs.xml").write_text(make(disk, new_uuid()))
    before = digest(disk)
    assert set(await stage.wipe(stage.request(uuid, "mine", [disk]))) == codes
    assert digest(disk) == before


async def test_a_phone_of_a_thousand_disks_of_which_one_is_golden(scratch: Path) -> None:
    """A plan of a thousand steps with one golden image in it is refused as a whole: no disk of the thousand is touched."""
    stage = Stage(scratch)
    disks = [random_file(stage.images / f"{number:04}.raw", 4096) for number in range(999)]
    golden = random_file(stage.golden / "base.raw", 4096)
    disks.insert(500, golden)
    uuid = stage.files.define("mine", [Disk(str(disk), "raw") for disk in disks])
    before = {disk: digest(disk) for disk in disks}
    assert set(await stage.wipe(stage.request(uuid, "mine", disks))) == {"protected-root"}
    assert {disk: digest(disk) for disk in disks} == before


def test_monstrous_neighbours_of_the_whole_product(private_libvirt: PrivateLibvirt) -> None:
    """Beside a domain of 10 MB that libvirt cannot hand out, and one whose file has entities: the phone is refused or wiped, never more; then it is wiped."""
    host = Host(private_libvirt)
    config = private_libvirt.path("/etc/libvirt/qemu")
    mine = host.phone("mine", host.phones / "mine.raw")
    theirs = host.victim(host.phones / "theirs.raw")
    fed = host.phone("fed", host.phones / "fed.raw", victim=True)
    big = StagedPhone(private_libvirt, "big", {"vda": (theirs, "raw"), "vdb": (fed.disks["vda"][0], "raw")})
    (config / "big.xml").write_text(long_comment(big.xml))
    private_libvirt.restart()
    entities = config / "entities.xml"
    entities.write_text(ENTITIES + big.xml_as(new_uuid(), "entities"))
    with host.product() as product:
        bind_all(product, [mine, fed])
        wait_refused(product, mine, {"unreadable"})
        wait_refused(product, fed, {"shared-by-domain", "unreadable"})
        host.unharmed()
        entities.unlink()
        product.stop()
        product.start()
        assert refusals(product, fed) & {"shared-by-domain", "unreadable"}
    host.unharmed()


@pytest.mark.long
def test_shareable_disks_and_two_phones_that_had_one_name(private_libvirt: PrivateLibvirt) -> None:
    """A shareable disk is refused. After a rename another phone has the first one's name: what stands under that name is not the first one's to erase."""
    host = Host(private_libvirt)
    first = host.phone("twin", host.phones / "first.raw")
    private_libvirt.virsh("domrename", first.uuid, "former-twin")
    second = host.phone("twin", host.phones / "second.raw", victim=True)
    assert first.uuid != second.uuid
    log = private_libvirt.path("/var/log/libvirt/qemu/twin.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    host.victim(log)
    shared = StagedPhone(private_libvirt, "shared", {"vda": (host.victim(host.phones / "shared.raw"), "raw")})
    private_libvirt.define(shared.xml.replace("<target dev='vda'", "<shareable/><target dev='vda'"))
    with host.product() as product:
        bind_all(product, [first, shared])
        wait_refused(product, shared, {"shareable-disk"})
        assert product.wait_for_wipe(first.uuid)["outcome"] == "clear"
        refused = product.ctl("wipe", second.uuid, "--reason", "test", "--confirm", "former-twin", check=False)
        assert refused.returncode == 3
        assert product.ask("explain", "twin")["phone"]["uuid"] == second.uuid
    host.unharmed()


# -- names in logs and on the screen

CSI = "\x9b31m"  # the one-letter form of ESC [ : XML 1.0 allows it, ESC itself it does not
STRANGE = {
    "quotes": 'it\'s "quoted" $(id) `id` ;& <b>',
    "csi": f"red{CSI}alert",
    "bidi": "gnp.\u202eexe\u2066",
    "long": "電" * 60,
    "option": "--output=json",
    "markup": "[bold red]alarm[bold] :boom:",
    "zero-width": "a\u200bb\ufeffc",
}


def on_a_terminal(libvirt: PrivateLibvirt, *words: str) -> bytes:
    """What `wipectl WORDS` writes to a terminal."""
    leader, follower = pty.openpty()
    pieces: list[bytes] = []

    def drain() -> None:
        try:
            while piece := os.read(leader, 65536):
                pieces.append(piece)
        except OSError:
            return  # the other side is closed

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "200"}
        with os.fdopen(follower, "wb", closefd=False) as screen:
            argv = ["wipectl", "--socket", SOCKET, *words]
            libvirt.fork("wiped.cli.main:main", argv, cwd=REPOSITORY, stdout=screen, stderr=screen, env=environment).wait()
    finally:
        os.close(follower)
        reader.join()
        os.close(leader)
    return b"".join(pieces)


def harmless(screen: bytes) -> None:
    """No control sequence but colours of our own, nothing that reorders or hides, and no broken text."""
    text = screen.decode("utf-8")
    for number in range(108):
        text = text.replace(f"\x1b[{number}m", "")
    for colour in ("1;31", "1;32", "1;33", "1;36", "0;31"):
        text = text.replace(f"\x1b[{colour}m", "")
    bad = {letter for letter in text if letter not in "\r\n" and not letter.isprintable()}
    assert bad == set(), (bad, text[:2000])


@pytest.mark.long
def test_names_that_a_terminal_would_obey(private_libvirt: PrivateLibvirt) -> None:
    """Domains, disks and stray files with newlines, quotes, escapes, bidirectional marks, 255 bytes of UTF-8: shown escaped, one line each in the log."""
    host = Host(private_libvirt)
    phones = []
    for kind, name in STRANGE.items():
        disk = random_file(host.phones / f"{kind}.raw", SMALL)
        phone = StagedPhone(private_libvirt, "placeholder", {"vda": (disk, "raw")})
        escaped = name.replace("&", "&amp;").replace("<", "&lt;")
        private_libvirt.define(phone.xml.replace("placeholder", escaped))
        phones.append(phone)
    # Paths may have what names may not: a newline, and 255 bytes.
    paths = [host.phones / f"line\none {CSI}.raw", host.phones / ("ü" * 125 + ".raw"), host.phones / "\"quoted'.raw"]
    for number, path in enumerate(paths):
        random_file(path, SMALL)
        phone = StagedPhone(private_libvirt, f"path-{number}", {"vda": (path, "raw")})
        escaped = str(path).replace("'", "&apos;").replace('"', "&quot;").replace("\n", "&#10;")
        private_libvirt.define(phone.xml.replace(f"'{path}'", f"'{escaped}'"))
        phones.append(phone)
    # And names of files may have anything: a saved state of the last phone under a name with ESC, a newline and bytes that are no text.
    saves = private_libvirt.path("/var/lib/libvirt/qemu/save")
    saves.mkdir(parents=True, exist_ok=True)
    stray = os.fsencode(saves) + b"/\x1b[2J\x1b]0;owned\x07\n\xff.save"
    with open(stray, "wb") as file:
        file.write(saved_state(phones[-1].name, phones[-1].uuid))
    with host.product() as product:
        wait_seen(product, phones)
        for words in (["phones", "list"], *(["plan", phone.uuid] for phone in (phones[-3], phones[-1]))):
            shown = on_a_terminal(private_libvirt, *words)
            assert shown
            harmless(shown)
        json.loads(product.ctl("--output", "json", "plan", phones[-1].uuid).stdout)
        bind_all(product, phones)
        for phone in phones[:-3]:
            assert product.wait_for_wipe(phone.uuid)["outcome"] == "clear"
        wait_refused(product, phones[-1], {"unsupported-artefact", "untrusted-format", "identity-changed"})
        for words in (
            ["phones", "list"],
            ["subscriptions", "list"],
            ["wipes", "list"],
            ["audit", "tail"],
            *(["explain", phone.uuid] for phone in (phones[1], phones[-1])),
        ):
            harmless(on_a_terminal(private_libvirt, *words))
        assert os.path.exists(stray)
    log = product.log.read_bytes()
    assert CSI.encode() not in log
    assert b"\x1b" not in log
    for line in log.decode("utf-8").splitlines():
        json.loads(line)
