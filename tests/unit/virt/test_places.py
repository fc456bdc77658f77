"""Where libvirt leaves what, by name and UUID: rules only. That they are libvirt's: tests/host/test_virt_places.py."""

from __future__ import annotations

import contextlib

import pytest

from wiped.errors import InputError
from wiped.virt.places import (
    QemuConf,
    SecretFacts,
    absolute,
    auto_dump_matches,
    dump_names,
    is_log,
    matches_dump,
    matches_memory_dir,
    matches_nvram,
    memory_backing_directory,
    nvram_directory,
    parse_qemu_conf,
    parse_secret,
    qemu_log_names,
    rotated_from,
    secret_files,
    short_name,
    swtpm_log,
    transient_overlays,
)

UUID = "5f3c1f9e-0000-4000-8000-0000000000aa"
WHEN = "2026-11-23-23:31:12"


@pytest.mark.parametrize(
    ("entry", "name", "expected"),
    [
        (f"1-phone-{WHEN}", "phone", True),
        (f"17-phone-{WHEN}", "phone", True),
        (f"1-phone-with-a-very-lo-{WHEN}", "phone-with-a-very-long-name", True),
        (f"1-phone-with-a-very-long-name-{WHEN}", "phone-with-a-very-long-name", False),
        (f"phone-{WHEN}", "phone", False),
        (f"x-phone-{WHEN}", "phone", False),
        (f"1-5-phone-{WHEN}", "phone", False),
        (f"1-5-phone-{WHEN}", "5-phone", True),
        (f"1-phone-{WHEN}-{WHEN}", "phone", False),
        (f"1-phone-{WHEN}-{WHEN}", f"phone-{WHEN}", False),  # its short name is shorter
        (f"1-phone-{WHEN}.gz", "phone", False),
        (f"1-phone-{WHEN}\n", "phone", False),
        (f"1--{WHEN}", "", False),
        (f"1-*-{WHEN}", "*", True),
        (f"1-phone-{WHEN}", "*", False),
        (f"1-phone-{WHEN}", ".*", False),
        (f"1-PHONE-{WHEN}", "phone", False),
        (f"\u0661-phone-{WHEN}", "phone", False),
        (f"1-ünïcödé-phöne-nümber-{WHEN}", "ünïcödé-phöne-nümber-ïs-löng", True),  # 20 characters: a UTF-8 locale
        (f"1-ünïcödé-phöne-n-{WHEN}", "ünïcödé-phöne-nümber-ïs-löng", True),  # 20 bytes: the C locale
        (f"1-ünïcödé-phöne-nü-{WHEN}", "ünïcödé-phöne-nümber-ïs-löng", False),
        (b"1-" + b"x" * 19 + b"\xc3-" + WHEN.encode(), "x" * 19 + "üüü", True),  # cut within a character
    ],
)
def test_auto_dumps(entry: str | bytes, name: str, expected: bool) -> None:
    """Id, short name and time, and nothing before, between or after."""
    text = entry if isinstance(entry, str) else entry.decode("utf-8", "surrogateescape")
    assert auto_dump_matches(text, name) is expected


def test_short_name_counts_characters() -> None:
    """Twenty of them; a shorter name is its own."""
    assert (short_name("phone"), short_name("ü" * 30)) == ("phone", "ü" * 20)


@pytest.mark.parametrize("entry", ["phone", "phone.core", "phone.dump", "phone.elf", "phone.kdump", f"1-phone-{WHEN}", f"x{UUID}.gz", UUID.upper()])
def test_dumps_of_the_phone(entry: str) -> None:
    """libvirt's own name, a person's, and any that holds the UUID."""
    assert matches_dump(entry, "phone", UUID)


@pytest.mark.parametrize("entry", ["", "phon", "phone2", "phone.core.1", "phone.gz", ".core", "5f3c1f9e", f"1-phone2-{WHEN}"])
def test_dumps_of_others(entry: str) -> None:
    """A name that only begins like the phone's is not its own; nor is an empty one, whatever is unknown of the phone."""
    assert not matches_dump(entry, "phone", UUID)
    assert not matches_dump(entry, "", "")
    assert dump_names("") == ()


@pytest.mark.parametrize(("entry", "expected"), [
    ("p.log", True), ("p.log.0", True), ("p.log.17", True), ("p.log.01", False), ("p.log.", False), ("p.log.x", False), ("p.log0", False),
    ("p.log.0.1", False), ("pxlog", False), ("p.log.1\n", False), ("p.log.\u0661", False), ("P.log", False),
    ("p.log.2.gz", True), ("p.log-20260131", True), ("p.log-20260131.xz", True), ("p.log-20260131-1700000000.zst", True),
    ("p.log.gz", False), ("p.log.2.old", False), ("p.log-2026", False), ("p.log.2.gz.gz", False), ("p.log-", False),
])  # fmt: skip
def test_logs_and_their_rotations(entry: str, expected: bool) -> None:
    """The log itself and what virtlogd and logrotate made of it; asked the other way round, the same."""
    (log,) = qemu_log_names("p")
    assert is_log(entry, log) is expected
    assert (log in rotated_from(entry)) is (expected and entry != log)
    assert (f"/var/log/{log}" in rotated_from(f"/var/log/{entry}")) is (expected and entry != log)
    assert (qemu_log_names(""), swtpm_log("p")) == ((), "p-swtpm.log")


@pytest.mark.parametrize(("entry", "expected"), [("3-phone", True), ("3-phone-2", False), ("phone", False), ("-phone", False), ("3-phone\n", False)])
def test_memory_directories(entry: str, expected: bool) -> None:
    """Id and short name."""
    assert matches_memory_dir(entry, "phone") is expected


@pytest.mark.parametrize(("text", "expected"), [
    ("", QemuConf("/s/dump", "/s/ram")),
    ("# auto_dump_path = \"/x\"\n\n   # more\nuser = 'root'", QemuConf("/s/dump", "/s/ram")),
    ('auto_dump_path = "/a b"\nauto_dump_path = "/second"\n', QemuConf("/a b", "/s/ram")),
    ("memory_backing_dir='/dev/shm/'  # fast\n", QemuConf("/s/dump", "/dev/shm/libvirt/qemu")),
    ('memory_backing_dir = "/"', QemuConf("/s/dump", "/libvirt/qemu")),
    ('memory_backing_dir = """/m"""\nx = 1 ;\n', QemuConf("/s/dump", "/m/libvirt/qemu")),
    ('nvram = [\n "/a:/b",\n\t"#c]" \n]\nauto_dump_path\t=\t"/#d"', QemuConf("/#d", "/s/ram")),
])  # fmt: skip
def test_qemu_conf(text: str, expected: QemuConf) -> None:
    """libvirt's grammar: comments, three kinds of quotes, lists, the first of two."""
    assert parse_qemu_conf(text, state="/s") == expected
    assert memory_backing_directory(expected) == expected.memory_backing_dir


@pytest.mark.parametrize("text", [
    "auto_dump_path = /x", "auto_dump_path = 1", 'auto_dump_path = "x"', 'auto_dump_path = ""', 'auto_dump_path = ["/x"]', 'auto_dump_path = "/x',
    "garbage", "x = [\n", '"a" = "b"', "x = 'a' 'b'", 'memory_backing_dir = "relative"', "\0", "x =",
])  # fmt: skip
def test_qemu_conf_that_is_not_understood(text: str) -> None:
    """What may be somewhere else is an error, not the default."""
    with pytest.raises(InputError):
        parse_qemu_conf(f"user = 'root'\n{text}\n")


def test_a_long_qemu_conf_is_read_in_time() -> None:
    """No text of a megabyte makes the pattern wander."""
    for text in ("#" * 1_000_000, " " * 1_000_000, "x = [" + '"a",' * 200_000, "\n" * 500_000, "x = 1\n" * 100_000, 'x = """' + '"' * 500_000):
        with contextlib.suppress(InputError):
            assert parse_qemu_conf(text) == QemuConf()


@pytest.mark.parametrize(("body", "expected"), [
    (f"<secret ephemeral='no' private='yes'><uuid>{UUID}</uuid></secret>", SecretFacts(UUID)),
    (f"<secret><uuid>{UUID.upper()}</uuid><usage type='volume'><volume>/a b</volume></usage></secret>", SecretFacts(UUID, False, "volume", "/a b")),
    (f"<secret ephemeral='yes'><uuid>{UUID}</uuid><usage type='ceph'><name>n</name></usage></secret>", SecretFacts(UUID, True, "ceph", "n")),
    (f"<secret><uuid>{UUID}</uuid><usage type='iscsi'><target>t</target></usage></secret>", SecretFacts(UUID, False, "iscsi", "t")),
    (f"<secret><uuid>{UUID}</uuid><usage type='vtpm'><name>v</name></usage></secret>", SecretFacts(UUID, False, "vtpm", "v")),
])  # fmt: skip
def test_secrets(body: str, expected: SecretFacts) -> None:
    """UUID, whether it is on disk at all, and what it is for."""
    assert parse_secret(body) == expected
    assert expected.reference == (f"usage:{expected.usage_type}:{expected.usage}" if expected.usage else "")
    assert secret_files(UUID) == (f"{UUID}.xml", f"{UUID}.base64")


@pytest.mark.parametrize("body", ["", "<secret/>", f"<domain><uuid>{UUID}</uuid></domain>", "<secret><uuid>../x</uuid></secret>", "<!DOCTYPE x><secret/>"])
def test_what_is_no_secret(body: str) -> None:
    """Its UUID becomes a file name: nothing else may."""
    with pytest.raises(InputError):
        parse_secret(body)


def test_firmware_variables_by_name() -> None:
    """`NAME_VARS` with whatever one ending; nothing else that begins so."""
    assert all(matches_nvram(f"p.1{end}", "p.1") for end in ("_VARS", "_VARS.fd", "_VARS.raw", "_VARS.qcow2"))
    assert not any(matches_nvram(entry, "p.1") for entry in ("p.1_VARS.fd.bak", "p01_VARS.fd", "xp.1_VARS.fd", "p.1_vars.fd", "p.1_VARS.", "_VARS.fd"))
    assert not matches_nvram("_VARS.fd", "")
    assert nvram_directory("/state/") == "/state/nvram"


def test_overlays_of_transient_disks() -> None:
    """As each version of libvirt names them; a name that cannot be part of a file name gives none."""
    assert transient_overlays("/p/a", ("x", "", "../y")) == ("/p/a.TRANSIENT", "/p/a.TRANSIENT-x")


def test_libvirt_runs_in_the_root_directory() -> None:
    """A relative path is beneath it; nothing stays nothing."""
    assert [absolute(path) for path in ("a/b", "/a", "")] == ["/a/b", "/a", ""]
