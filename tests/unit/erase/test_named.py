"""Files that libvirt keys by a domain's name: a present or former name claims them, unless another domain's does too."""

from __future__ import annotations

import pytest

from tests.lab.libvirtfiles import saved_state
from tests.unit.erase.host import DUMPED, KEY, MINE, THEIRS, Host, both
from wiped.errors import RefusedError


def test_logs_and_dumps_by_name(host: Host) -> None:
    """QEMU's log and swtpm's with their rotations, dumps of libvirt's own and of people's making: the phone's; a neighbour's are the neighbour's."""
    both(host)
    logs, swtpm_logs, state = (host.files.logs, host.files.base / "var/log/swtpm/libvirt/qemu", host.files.state)
    own = [f"{logs}/mine.log", f"{logs}/mine.log.0", f"{swtpm_logs}/mine-swtpm.log", f"{state}/dump/7-mine{DUMPED}", f"{state}/dump/mine.core"]
    own.append(f"{state}/dump/before-{MINE}")
    stray = [f"{logs}/mine.log.x", f"{logs}/minee.log", f"{state}/dump/7-mine", f"{state}/dump/sub/mine.core", f"{swtpm_logs}/mine.log"]
    for path in [*own, *stray]:
        host.file(path)
    assert {path: host.codes(path) for path in own} == {path: [] for path in own}
    assert {path: host.codes(path) for path in stray} == {path: ["ambiguous-base"] for path in stray}
    assert {path: host.codes(path, THEIRS) for path in own} == {path: ["ambiguous-base", "shared-by-domain"] for path in own}


@pytest.mark.parametrize("whose", ["present", "snapshot", "saved"])
def test_a_name_that_two_domains_had_is_nobodys_evidence(host: Host, whose: str) -> None:
    """A dump or log under a name that another domain bears, bore by its snapshots, or is saved under, may be either's."""
    both(host)
    paths = [host.file(f"{host.files.state}/dump/3-mine{DUMPED}"), host.file(f"{host.files.logs}/mine.log.1")]
    assert [host.codes(path) for path in paths] == [[], []]
    match whose:
        case "present":
            host.files.status("mine", THEIRS)
        case "snapshot":
            host.files.snapshot("mine", THEIRS, [])
        case "saved":
            (host.files.state / "save/old.save").write_bytes(saved_state("mine", THEIRS))
    assert [host.codes(path) for path in paths] == [["shared-by-domain"]] * 2


def test_truncated_names_that_collide_are_shared(host: Host) -> None:
    """libvirt cuts names in dumps and memory directories: two phones with the same beginning cannot be told apart by them."""
    long = "a-very-long-name-of-a-phone"
    host.files.define(f"{long}-1", uuid=MINE)
    dump, ram = host.file(f"{host.files.state}/dump/1-{long[:20]}{DUMPED}"), host.file(f"{host.files.state}/ram/1-{long[:20]}/pc.ram")
    assert (host.codes(dump), host.codes(ram)) == ([], [])
    host.files.define(f"{long}-2", uuid=THEIRS)
    assert (host.codes(dump), host.codes(ram)) == (["shared-by-domain"], ["shared-by-domain"])


def test_former_names_of_snapshots_count(host: Host) -> None:
    """What stands under a name that only a snapshot still tells of is the phone's, as long as nobody else claims that name."""
    both(host)
    host.files.snapshot("before", MINE, [])
    log = host.file(f"{host.files.logs}/before.log")
    assert host.codes(log) == []
    host.files.define("before", uuid=THEIRS)
    assert host.codes(log) == ["shared-by-domain"]


def test_a_name_never_becomes_a_pattern(host: Host) -> None:
    """A phone called `*` has no other's dumps."""
    host.files.define("*", uuid=MINE)
    (host.files.config / "mine.xml").unlink(missing_ok=True)
    assert host.codes(host.file(f"{host.files.state}/dump/1-other{DUMPED}")) == ["ambiguous-base"]
    assert host.codes(host.file(f"{host.files.state}/dump/1-*{DUMPED}")) == []


def test_places_follow_qemu_conf(host: Host) -> None:
    """Dumps and memory directories are where qemu.conf says; what stands at the compiled-in places then is nobody's."""
    both(host)
    (host.files.base / "etc/libvirt/qemu.conf").write_text(f'auto_dump_path = "{host.files.base}/dumps"\nmemory_backing_dir = "{host.files.base}/mem"\n')
    moved = [host.file(f"dumps/1-mine{DUMPED}"), host.file("mem/libvirt/qemu/4-mine/ram-node0")]
    assert [host.codes(path) for path in moved] == [[], []]
    assert host.codes(host.file(f"{host.files.state}/dump/1-mine{DUMPED}")) == ["ambiguous-base"]
    (host.files.base / "etc/libvirt/qemu.conf").write_text("memory_backing_dir = 7\n")
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)


def test_firmware_variables_by_name(host: Host) -> None:
    """libvirt makes them for a definition that names no place: this name's are the phone's, another's are not, and what both had is nobody's evidence."""
    own, theirs, former = (host.file(f"{host.files.state}/nvram/{name}_VARS.fd") for name in ("mine", "theirs", "before"))
    both(host)
    host.files.snapshot("before", MINE, [])
    assert [host.codes(path) for path in (own, theirs, former)] == [[], ["ambiguous-base", "shared-by-domain"], []]
    host.files.define("before", uuid=KEY)
    assert host.codes(former) == ["shared-by-domain"]
    host.files.define("mine", uuid=MINE, nvram=theirs)
    assert host.codes(theirs) == ["shared-by-domain"]
