"""The rules of `wiped.virt.places`, asked of a real libvirt: where it really puts a domain's files, and how it really names them."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.phones import BarePhone
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.patience import PATIENCE
from wiped.errors import InputError
from wiped.model.inventory import DomainFacts
from wiped.virt.connection import LibvirtHypervisor
from wiped.virt.domain_xml import parse_domain
from wiped.virt.places import (
    auto_dump_matches,
    is_log,
    matches_dump,
    matches_memory_dir,
    memory_backing_directory,
    parse_qemu_conf,
    parse_secret,
    qemu_log_names,
    secret_files,
    short_names,
)
from wiped.virt.saved_state import HEADER_BYTES, head_bytes, parse_saved_state

LONG = "ünïcödé-phöne-nümber-ïs löng"
FILE_MEMORY = "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>"


@pytest.fixture(params=["C", "C.UTF-8"])
def in_locale(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateLibvirt]:
    """A libvirt that runs in a locale."""
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", request.param)
    with PrivateLibvirt() as libvirt:
        yield libvirt


def fragile(libvirt: PrivateLibvirt, name: str) -> BarePhone:
    """A phone whose memory is a file and which is dumped when it panics; defined."""
    phone = BarePhone(libvirt, name, devices="<panic model='isa'/>")
    libvirt.define(phone.xml.replace("<devices>", f"{FILE_MEMORY}<on_crash>coredump-destroy</on_crash><devices>", 1))
    return phone


def crash(libvirt: PrivateLibvirt, phone: BarePhone) -> None:
    """The guest panics: a write to the panic device's port, made through the monitor."""
    libvirt.virsh("qemu-monitor-command", phone.uuid, "--hmp", "o/b 0x505 1")


def test_dump_memory_and_log_names_in_two_locales(in_locale: PrivateLibvirt) -> None:
    """A guest that crashes is dumped under id, short name and time; the short name is of 20 characters, or of 20 bytes in the C locale."""
    phone = fragile(in_locale, LONG)
    in_locale.virsh("start", phone.uuid)
    state = in_locale.path("/var/lib/libvirt/qemu")
    conf = parse_qemu_conf(in_locale.path("/etc/libvirt/qemu.conf").read_text())
    (memory,) = os.listdir(in_locale.path(memory_backing_directory(conf)))
    assert matches_memory_dir(memory, LONG)
    assert memory.partition("-")[2] in short_names(LONG)
    assert os.listdir(state / "ram" / memory) == ["pc.ram"]
    crash(in_locale, phone)
    wait_for(lambda: in_locale.state(phone.uuid) == "shut off", "the crash")
    (dump,) = os.listdir(in_locale.path(conf.auto_dump_path))
    assert auto_dump_matches(dump, LONG)
    assert matches_dump(dump, LONG, "")
    assert not auto_dump_matches(dump, LONG[1:])
    assert [is_log(entry, *qemu_log_names(LONG)) for entry in os.listdir(in_locale.path("/var/log/libvirt/qemu"))] == [True]
    assert os.listdir(state / "ram") == []  # libvirt unlinked the guest's memory at the stop: nothing to erase is left, and nothing was erased


def test_places_that_qemu_conf_moves() -> None:
    """The first of two settings counts, `libvirt/qemu` is added to a stated memory directory, and libvirtd reads lists and long texts as we do."""
    text = (
        'memory_backing_dir = "/var/lib/libvirt/mem/" ; # moved\nauto_dump_path = """/var/lib/libvirt/first"""\nauto_dump_path = "/var/lib/libvirt/second"\n'
        "nvram = [ \"/a:/b\",\n  '/c:/d' ]\nmax_files = 4096\n"
    )
    with PrivateLibvirt(qemu_conf=text) as libvirt:
        conf = parse_qemu_conf(libvirt.path("/etc/libvirt/qemu.conf").read_text())
        phone = fragile(libvirt, "phone")
        libvirt.virsh("start", phone.uuid)
        (memory,) = os.listdir(libvirt.path(memory_backing_directory(conf)))
        assert matches_memory_dir(memory, "phone")
        crash(libvirt, phone)
        (dump,) = wait_for(lambda: libvirt.path(conf.auto_dump_path).exists() and os.listdir(libvirt.path(conf.auto_dump_path)), "the dump")
        assert auto_dump_matches(dump, "phone")
        assert libvirt.state("phone") != "undefined"


def test_what_we_do_not_understand_libvirtd_does_not_either(private_libvirt: PrivateLibvirt) -> None:
    """No libvirtd runs with a text that our reading refuses for its form: it ends, and says so."""
    private_libvirt.stop_libvirtd()
    conf = private_libvirt.path("/etc/libvirt/qemu.conf")
    before = conf.read_text()
    for text in ("auto_dump_path = /x", 'auto_dump_path = "/x', "garbage", 'auto_dump_path = ["/x"]'):
        with pytest.raises(InputError):
            parse_qemu_conf(text)
        conf.write_text(f"{before}{text}\n")
        said = private_libvirt.run(["libvirtd"], check=False, timeout=PATIENCE).stderr
        assert "Driver state initialization failed" in said, text
        assert "syntax error" in said or "expected a string" in said, text


def test_saved_states_of_three_kinds_have_one_head(module_libvirt: PrivateLibvirt) -> None:
    """Managed save, `virsh save` and the memory of an external snapshot: the UUID stands inside each."""
    phone = BarePhone(module_libvirt, "saved one").define(start=True)
    memory, plain = phone.directory / "snapshot.mem", phone.directory / "plain.save"
    module_libvirt.virsh("snapshot-create-as", phone.uuid, "s1", "--live", "--memspec", str(memory), "--diskspec", f"vda,file={phone.directory}/s1.qcow2")
    facts = parse_domain(module_libvirt.virsh("snapshot-dumpxml", phone.uuid, "s1").stdout, origin="snapshot")
    assert facts.snapshot_memory_files == (str(memory),)
    module_libvirt.virsh("managedsave", phone.uuid)
    saved = module_libvirt.path("/var/lib/libvirt/qemu/save/saved one.save")
    heads = [read_head(saved), read_head(memory)]
    module_libvirt.virsh("start", phone.uuid)
    module_libvirt.virsh("save", phone.uuid, str(plain))
    heads.append(read_head(plain))
    assert [head.uuid for head in heads] == [phone.uuid] * 3
    assert [head.name for head in heads] == ["saved one"] * 3
    assert {disk.location for disk in heads[1].disks} == {str(phone.disk)}
    assert {disk.location for disk in heads[2].disks} == {f"{phone.directory}/s1.qcow2"}
    phone.forget()


async def test_secrets_by_uuid_and_by_usage(module_libvirt: PrivateLibvirt) -> None:
    """Defined, bound to a volume, named by the phone's XML either way; undefined it is gone from libvirt and from its directory, once and again."""
    phone = BarePhone(module_libvirt, "encrypted")
    image = phone.directory / "luks é.qcow2"
    secret, other = define_secret(module_libvirt, f"<usage type='volume'><volume>{image}</volume></usage>"), define_secret(module_libvirt, "")
    luks(image)
    element = "<encryption format='luks'><secret type='passphrase' {}/></encryption>"
    directory = module_libvirt.path("/etc/libvirt/secrets")
    async with LibvirtHypervisor(module_libvirt.connect_uri) as door:
        for named in (f"usage='{image}'", f"uuid='{secret}'"):
            encrypted = f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{image}'>{element.format(named)}</source><target dev='vdb'/></disk>"
            module_libvirt.define(phone.xml.replace("<serial", encrypted + "<serial", 1))
            facts = await door.domain(phone.uuid)
            assert facts is not None
            assert facts.secrets == (secret,)
            raw = parse_domain(module_libvirt.path(f"/etc/libvirt/qemu/{phone.name}.xml").read_text(), origin="inactive").secrets
            files = parse_secret((directory / secret_files(secret)[0]).read_text())
            assert raw in ((secret,), (files.reference,))
        module_libvirt.virsh("start", phone.uuid)  # the emulator opens it: the secret is the right one
        module_libvirt.virsh("destroy", phone.uuid)
        assert (files.uuid, files.ephemeral, files.usage_type, files.usage) == (secret, False, "volume", str(image))
        definition, value = (directory / name for name in secret_files(secret))
        assert base64.b64decode(value.read_text()) == b"correct horse"
        await door.undefine_secret(secret)
        assert not definition.exists()
        assert not value.exists()
        await door.undefine_secret(secret)
        (directory / secret_files(other)[1]).unlink()  # as the eraser leaves it: the value gone, the definition not yet
        await door.undefine_secret(other)
        assert module_libvirt.virsh("secret-list").stdout.strip() == ""
        assert os.listdir(directory) == []
        facts = await door.domain(phone.uuid)  # the XML still names it: no error
        assert facts is not None
        assert facts.secrets == (secret,)
    phone.forget()


def define_secret(libvirt: PrivateLibvirt, usage: str) -> str:
    """A secret with a value; returns its UUID."""
    identity = str(uuid.uuid4())
    libvirt.run(["virsh", "-q", "secret-define", "/dev/stdin"], stdin_text=f"<secret ephemeral='no' private='yes'><uuid>{identity}</uuid>{usage}</secret>")
    libvirt.virsh("secret-set-value", identity, "--base64", base64.b64encode(b"correct horse").decode())
    return identity


def luks(image: Path) -> None:
    """A qcow2 encrypted with that value. `qemu-img` fails at random here (docs/physics.md 6): tried again."""
    command = ["qemu-img", "create", "-q", "--object", "secret,id=s,data=correct horse", "-f", "qcow2",
               "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", str(image), "4M"]  # fmt: skip
    wait_for(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0, "an encrypted image")


def read_head(path: Path) -> DomainFacts:
    """The domain whose state is in a file."""
    with path.open("rb") as file:
        wanted = head_bytes(file.read(HEADER_BYTES))
        file.seek(0)
        return parse_saved_state(file.read(wanted))
