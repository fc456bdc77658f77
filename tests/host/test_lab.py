"""The lab itself: what it starts is private and real, and what it ends is gone."""

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import libvirt as libvirt_python
import pytest

from tests.lab import forks, images
from tests.lab.guest import Disk, Load, domain_xml, wait_ready
from tests.lab.mounts import SCRATCH_BASE, mount_points, sweep_stale
from tests.lab.privatelibvirt import LabError, PrivateLibvirt, alive, wait_for
from tests.lab.rawdevice import KINDS, Markers, marked_blocks, occurrences
from tests.patience import PATIENCE

TINY = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><serial type='pty'/></devices></domain>"""


@pytest.mark.parametrize("kind", KINDS)
def test_deleted_markers_are_still_on_the_raw_device(raw_fs, markers, kind):
    """Without this, every 'no marker after the wipe' would prove nothing."""
    filesystem = raw_fs(kind)
    file = filesystem.mount_point / "data"
    markers.write(file, 500)
    os.sync()
    file.unlink()
    filesystem.unmount()
    assert filesystem.count(markers.prefix) >= 500
    assert filesystem.count(Markers().prefix) == 0


def test_filesystem_over_libvirts_save_directory(private_libvirt, raw_fs, markers):
    """A filesystem mounted over libvirt's own directory keeps owner and mode, and is seen on both sides."""
    save = private_libvirt.path("/var/lib/libvirt/qemu/save")
    before = save.stat()
    filesystem = raw_fs(at=save)
    after = save.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
    assert before.st_dev != after.st_dev
    private_libvirt.run(["sh", "-c", "cat > /var/lib/libvirt/qemu/save/x"], stdin_text=markers.one(7).decode())
    assert (save / "x").read_bytes() == markers.one(7)
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 1
    assert private_libvirt.run(["ls", "/var/lib/libvirt/qemu/save"]).stdout == ""


def test_guest_outlives_libvirtd_and_not_the_lab(private_libvirt):
    """A guest survives a restart and a SIGKILL of libvirtd, and ends with the lab."""
    private_libvirt.create(TINY.format(name="a"))
    private_libvirt.restart()
    assert private_libvirt.state("a") == "running"
    private_libvirt.stop_libvirtd(signal.SIGKILL)
    private_libvirt.start_libvirtd()
    assert private_libvirt.state("a") == "running"
    pids = private_libvirt.pids()
    private_libvirt.stop()
    assert [pid for pid in pids if alive(pid)] == []


def test_lab_ends_while_its_libvirtd_is_frozen(private_libvirt):
    """A hanging libvirtd does not keep the lab from ending."""
    private_libvirt.sigstop()
    pids = private_libvirt.pids()
    private_libvirt.stop()
    assert [pid for pid in pids if alive(pid)] == []


def test_two_labs_at_once_know_nothing_of_each_other(private_libvirt):
    """Two labs run guests of the same name side by side; libvirt-python reaches one from outside."""
    with PrivateLibvirt() as other:
        private_libvirt.create(TINY.format(name="a"))
        other.create(TINY.format(name="a"))
        private_libvirt.virsh("destroy", "a")
        connection = libvirt_python.open(other.connect_uri)
        try:
            assert [domain.name() for domain in connection.listAllDomains()] == ["a"]
        finally:
            connection.close()
        assert private_libvirt.state("a") == "undefined"


def test_processes_inside_have_their_real_ids_and_exit_statuses(private_libvirt):
    """A process started inside is signalled by its own id, and its end is seen."""
    process = private_libvirt.popen(["sleep", "60"])
    wait_for(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes() == b"sleep\x0060\x00", "the process to be what was started")
    process.kill()
    assert process.poll() == -signal.SIGKILL
    assert private_libvirt.run(["sh", "-c", "exit 4"], check=False).returncode == 4


def test_killed_maker_leaves_nothing_but_a_directory_that_is_swept(private_mounts):
    """SIGKILL of the process that made a lab ends all of it; the next start removes the directory."""
    script = (
        "import sys, time; from tests.lab.mounts import enter_private_mounts; enter_private_mounts()\n"
        "from tests.lab.privatelibvirt import PrivateLibvirt; from tests.lab.rawdevice import RawFilesystem\n"
        "lab = PrivateLibvirt(); lab.start(); fs = RawFilesystem('ext4', lab.workdir / 'd.img')\n"
        "fs.mount(lab.path('/var/lib/libvirt/qemu/save'))\n"
        f"lab.create('''{TINY.format(name='a')}''')\n"
        "print(lab.workdir, fs.device, *lab.pids(), flush=True); time.sleep(60)\n"
    )
    maker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert maker.stdout is not None
    workdir, device, *pids = maker.stdout.readline().split()
    assert len(pids) >= 4
    maker.kill()
    maker.wait()
    maker.stdout.close()
    wait_for(lambda: not any(alive(int(pid)) for pid in pids), "the lab's processes gone")

    def released() -> bool:
        backing = Path(f"/sys/block/{Path(device).name}/loop/backing_file")
        return not (backing.exists() and workdir in backing.read_text())

    wait_for(released, f"{device} released")
    wait_for(lambda: sweep_stale() or not Path(workdir).exists(), "the directory swept")
    assert not Path(workdir).exists()
    assert mount_points(SCRATCH_BASE) == []


def test_a_forked_program_is_the_program(private_libvirt, tmp_path):
    """Exit status, arguments, directory, environment, user, descriptors and process namespace are those asked for; a killed one tells its signal."""
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        options = {"cwd": tmp_path, "stdout": stdout, "stderr": stderr, "env": {"ONE": "1"}, "person": ("games", "sys", "users")}
        done = private_libvirt.fork("tests.host.test_lab:tell", ["tell", "a b"], **options)
        assert done.wait() == 7
        killed = private_libvirt.fork("tests.host.test_lab:wait_long", ["wait"], **options)
        assert killed.pid in private_libvirt.pids()
        killed.kill()
        assert killed.poll() == -9
    groups = sorted(grp.getgrnam(name).gr_gid for name in ("sys", "users"))
    assert json.loads(out.read_text()) == [["tell", "a b"], str(tmp_path), {"ONE": "1"}, pwd.getpwnam("games").pw_uid, groups]
    assert err.read_text() == "no\n"
    missing = forks.server().start("tests.host.test_lab:absent", ["x"], (0, 1, os.open(os.devnull, os.O_WRONLY)), cwd=tmp_path, env={})
    assert missing.wait() == 1


def tell() -> int:
    """A forked program."""
    print(json.dumps([sys.argv, os.getcwd(), dict(os.environ), os.getuid(), sorted(os.getgroups())]))
    print("no", file=sys.stderr)
    return 7


def wait_long() -> None:
    """A forked program that does not end by itself."""
    time.sleep(PATIENCE)


@pytest.mark.long
def test_guest_leaves_its_secrets_everywhere(private_libvirt, markers):
    """A real guest over a golden image leaves markers in overlay, saved memory, NVRAM and console log, none in the golden image."""
    lab, work = private_libvirt, private_libvirt.workdir
    golden = images.golden(work / "golden.qcow2")
    before = images.digest(golden)
    overlay = images.overlay(work / "phone.qcow2", golden)
    nvram, log = "/var/lib/libvirt/qemu/nvram/phone_VARS.fd", "/var/log/libvirt/qemu/phone-console.log"
    load = Load(markers, files=200, ram=200, console=5, efi=3)
    lab.define(domain_xml("phone", disks=[Disk(overlay)], load=load, nvram=nvram, console_log=log))
    assert markers.prefix.decode() not in lab.virsh("dumpxml", "phone").stdout
    lab.virsh("start", "phone")
    wait_ready(lab, log)
    lab.virsh("managedsave", "phone")
    assert marked_blocks(overlay, markers.prefix) >= 200
    assert marked_blocks(lab.path("/var/lib/libvirt/qemu/save/phone.save"), markers.prefix) >= 400
    assert occurrences(lab.path(nvram), markers.prefix) == 3
    assert occurrences(lab.path(log), markers.prefix) == 5
    assert images.digest(golden) == before
    lab.virsh("start", "phone")
    lab.virsh("shutdown", "phone")
    wait_for(lambda: lab.state("phone") == "shut off", "a graceful shutdown")


@pytest.mark.long
def test_guest_may_ignore_its_power_button(private_libvirt, markers):
    """The hard stop has something to be tested on."""
    log = "/var/log/libvirt/qemu/phone-console.log"
    private_libvirt.create(domain_xml("phone", load=Load(markers, files=0, ram=0, console=0, ignore_shutdown=True), serial_file=log))
    wait_ready(private_libvirt, log)

    def ignored() -> bool:
        private_libvirt.virsh("shutdown", "phone")
        return "IGNORED" in private_libvirt.path(log).read_text()

    wait_for(ignored, "the guest to see its power button", interval=0.3)
    assert private_libvirt.state("phone") == "running"


def test_images_hold_what_they_are_told_to(private_libvirt, markers):
    """Offline markers reach qcow2 and raw, sparse and full; snapshots and chains are what they are called."""
    work = private_libvirt.workdir
    for name, fmt, options in (("a", "qcow2", ""), ("b", "raw", ""), ("c", "raw", "preallocation=full")):
        path = images.create(work / name, 8 << 20, fmt, options=options)
        images.write_markers(path, markers, 100, fmt, at_block=50)
        assert marked_blocks(path, markers.prefix) == 100
        assert (images.allocated(path) >= 8 << 20) == bool(options)
    images.internal_snapshot(work / "a", "s")
    images.write_markers(work / "a", Markers(), 100, at_block=50)
    assert marked_blocks(work / "a", markers.prefix) == 100
    private_libvirt.define(domain_xml("phone", disks=[Disk(work / "a")]))
    chain = images.external_snapshots(private_libvirt, "phone", work, 3)
    assert [path.exists() for path in chain] == [True] * 3
    assert str(chain[-1]) in private_libvirt.virsh("domblklist", "phone").stdout
    with pytest.raises(LabError):
        images.write_markers(work / "a", markers, 1, at_block=1 << 20)
