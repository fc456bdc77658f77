"""The shipped systemd unit on a real host: installed by the README's lines, started, asked, stopped, killed; and a whole wipe behind its outer wall."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.hostimage import HostImage
from tests.lab.hostproduct import CONFIG, UNIT, HostProduct
from tests.lab.hostvm import HostVM
from tests.lab.privatelibvirt import LabError
from tests.lab.rawdevice import Markers, marked_blocks

#: systemd's own measure of what a unit's process could reach; the shipped unit must not get worse.
EXPOSURE = 4.4
IMAGES, GOLDEN = "/srv/phones", "/srv/phones/golden"


@pytest.fixture(scope="module")
def vm(image: HostImage, directory: Path) -> Iterator[HostVM]:
    """A host whose second disk carries the phones' images and libvirt's own state."""
    with HostVM(image, directory) as vm:
        vm.sh("""
            mkfs.ext4 -q /dev/vdb
            mkdir -p /srv/phones
            mount /dev/vdb /srv/phones
            echo '/dev/vdb /srv/phones ext4 rw 0 0' >>/etc/fstab
            systemctl stop libvirtd libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
            for place in save nvram; do
                mkdir -p /srv/phones/libvirt/$place
                chown --reference=/var/lib/libvirt/qemu/$place /srv/phones/libvirt/$place
                mount --bind /srv/phones/libvirt/$place /var/lib/libvirt/qemu/$place
            done
            systemctl start libvirtd
            mkdir -p /srv/phones/golden
        """)
        yield vm


@pytest.fixture(scope="module")
def product(vm: HostVM) -> HostProduct:
    """The product, installed and started once."""
    product = HostProduct(vm)
    product.install([IMAGES], [GOLDEN])
    return product


@pytest.fixture(autouse=True)
def running(product: HostProduct) -> None:
    """Every test begins with the service running, whatever the one before did."""
    product.vm.sh(f"systemctl reset-failed {UNIT}; systemctl start {UNIT}", timeout=200)


def test_it_tells_systemd_that_it_is_ready(product: HostProduct) -> None:
    """Type=notify: started means ready, with words for `systemctl status`, and everything answers at once."""
    assert (product.property("Type"), product.property("ActiveState"), product.property("SubState")) == ("notify", "active", "running")
    assert product.property("StatusText") != ""
    assert product.property("WatchdogUSec") == "1min"
    assert product.get("/healthz") == {"alive": True}
    ready = product.get("/readyz")
    assert ready["ready"], ready
    assert product.ask("status")["host"] == "lab-host"


def test_systemd_finds_no_fault_in_the_unit(product: HostProduct) -> None:
    """systemd-analyze verify is silent, and the exposure is what the unit's comments promise."""
    checked = product.vm.run("systemd-analyze", "verify", f"/etc/systemd/system/{UNIT}")
    assert checked.stdout + checked.stderr == ""
    words = product.vm.run("systemd-analyze", "security", UNIT, "--no-pager", check=False).stdout
    found = re.search(r"Overall exposure level for wiped\.service: ([\d.]+)", words)
    assert found is not None, words[-500:]
    assert float(found[1]) <= EXPOSURE


def test_the_outer_wall_lets_through_what_a_wipe_needs(product: HostProduct) -> None:
    """Behind it libvirt's secrets can be written and the rest of /etc cannot; the capabilities of lease, descriptors of others and FITRIM are there."""
    main = product.property("MainPID")
    there, elsewhere = "/etc/libvirt/secrets/.try", "/etc/.try"
    mounts = product.vm.sh(f"nsenter -t {main} -m sh -c 'touch {there} && rm {there} && ! touch {elsewhere} 2>/dev/null && echo so'")
    assert mounts.strip() == "so"
    held = int(product.vm.sh(f"sed -n 's/^CapBnd:[[:space:]]*//p' /proc/{main}/status").strip(), 16)
    lease, ptrace, admin = 28, 19, 21
    assert [bool(held >> bit & 1) for bit in (lease, ptrace, admin)] == [True, True, True]


def test_the_documents_that_the_unit_names_are_there(product: HostProduct) -> None:
    """Documentation= leads to a file."""
    for address in product.property("Documentation").split():
        product.vm.run("test", "-s", address.removeprefix("file://"))


def test_it_stops_clean_and_starts_again(product: HostProduct) -> None:
    """SIGTERM: result success, no process left, the socket gone; then it starts again by the same ledger."""
    product.vm.run("systemctl", "stop", UNIT, timeout=200)
    assert (product.property("Result"), product.property("ExecMainStatus"), product.property("MainPID")) == ("success", "0", "0")
    assert product.vm.run("test", "-e", "/run/wiped/wiped.sock", check=False).returncode == 1
    assert product.vm.sh("test ! -d /sys/fs/cgroup/system.slice/wiped.service || cat /sys/fs/cgroup/system.slice/wiped.service/cgroup.procs").strip() == ""
    product.vm.run("systemctl", "start", UNIT, timeout=200)
    assert product.ask("audit", "verify")["verified"]


def test_it_comes_back_when_it_is_killed(product: HostProduct) -> None:
    """SIGKILL: systemd starts it again, with another process."""
    killed = product.property("MainPID")
    product.vm.sh(f"kill -KILL {killed}")
    product.wait(lambda: product.property("ActiveState") == "active" and product.property("MainPID") not in ("0", killed), "a new daemon")
    assert product.get("/healthz") == {"alive": True}


def test_it_lives_through_a_restart_of_libvirt(product: HostProduct) -> None:
    """libvirtd restarts: the same daemon goes on, and soon sees it again."""
    before = product.property("MainPID")
    product.vm.run("systemctl", "restart", "libvirtd")
    product.wait(lambda: product.get("/v1/status")["libvirt_up"], "libvirt to be seen again")
    assert product.property("MainPID") == before


def test_a_wrong_configuration_is_not_tried_again(product: HostProduct) -> None:
    """Exit 78 stays failed: starting again would not make it right."""
    good = product.vm.run("cat", CONFIG).stdout
    try:
        product.vm.write(CONFIG, good + "\n[nonsense]\nkey = 1\n")
        assert product.vm.run("systemctl", "restart", UNIT, check=False, timeout=200).returncode != 0
        product.vm.run("sleep", "6")
        assert (product.property("ActiveState"), product.property("ExecMainStatus"), product.property("NRestarts")) == ("failed", "78", "0")
    finally:
        product.vm.write(CONFIG, good)


def test_members_of_the_group_may_look_and_operators_may_act(product: HostProduct) -> None:
    """Peer credentials with supplementary groups, as the kernel gives them to a unit's socket; strangers cannot connect."""
    product.vm.sh("""
        getent passwd looker >/dev/null || useradd -G wiped looker
        getent passwd operator >/dev/null || useradd -N -G wiped,wiped-operators operator
        getent passwd stranger >/dev/null || useradd stranger
    """)
    assert product.ctl("status", user="looker").returncode == 0
    assert product.ctl("status", user="stranger", check=False).returncode in (69, 77)
    release = ("breaker", "release", "--reason", "x")
    assert product.ctl(*release, user="looker", check=False).returncode == 77
    assert product.ctl(*release, user="operator", check=False).returncode == 2  # it is not open


def test_a_wipe_behind_the_units_wall(product: HostProduct) -> None:
    """Disk, saved memory and console log of a phone: overwritten, read back from the block device, removed; the golden image stays. All of it from
    within the capabilities, the system-call filter and the read-only directories of the unit."""
    vm, markers, phone, name = product.vm, Markers(), str(uuid.uuid4()), "phone-7"
    vm.sh(f"""
        qemu-img create -q -f qcow2 {GOLDEN}/golden.qcow2 64M
        chmod 444 {GOLDEN}/golden.qcow2
        qemu-img create -q -f qcow2 -b {GOLDEN}/golden.qcow2 -F qcow2 {IMAGES}/{name}.qcow2
        mkdir -p {IMAGES}/logs
    """)
    vm.write_markers("/tmp/marked", markers, 1024)
    vm.run("qemu-io", "-f", "qcow2", "-t", "none", "-c", "write -s /tmp/marked 0 4M", "-c", "flush", f"{IMAGES}/{name}.qcow2")
    vm.write(
        "/tmp/phone.xml",
        f"""<domain type='qemu'><name>{name}</name><uuid>{phone}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='{IMAGES}/{name}.qcow2'/><target dev='vda' bus='virtio'/></disk>
<serial type='file'><source path='{IMAGES}/logs/{name}.log'/></serial><memballoon model='none'/></devices></domain>""",
    )
    vm.run("virsh", "-q", "define", "/tmp/phone.xml")
    vm.run("virsh", "-q", "start", "--paused", name)
    vm.run("virsh", "-q", "managedsave", name)
    vm.write_markers(f"{IMAGES}/logs/{name}.log", markers, 64, at_block=2000)
    vm.sh("sync; echo 3 >/proc/sys/vm/drop_caches")
    golden = vm.digest(f"{GOLDEN}/golden.qcow2")
    assert marked_blocks(vm.disk, markers.prefix) >= 1024 + 64

    product.bind(phone)
    wipe = product.wait_for_wipe(phone)
    assert (wipe["outcome"], wipe["reasons"]) == ("clear", []), json.dumps(wipe, indent=1)
    seen = {a["kind"]: (a["outcome"], a["mismatches"], a["verified_via"]) for a in wipe["artefacts"] if a["bytes_overwritten"]}
    assert seen == dict.fromkeys(("disk-image", "memory-image", "console-log"), ("clear", 0, "block-odirect"))
    assert vm.digest(f"{GOLDEN}/golden.qcow2") == golden
    assert vm.run("virsh", "-q", "domstate", phone, check=False).returncode != 0
    assert vm.sh(f"ls {IMAGES} {IMAGES}/logs /var/lib/libvirt/qemu/save | grep {name} || true").strip() == ""
    vm.sh("sync")
    assert marked_blocks(vm.disk, markers.prefix) == 0
    assert "Operation not permitted" not in product.journal(200)


def test_a_fence_outlives_the_host(product: HostProduct) -> None:
    """The hook and the fence directory are there at a boot before any guest could start: a fenced phone does not start after it."""
    vm, phone = product.vm, str(uuid.uuid4())
    vm.write(f"/var/lib/wiped/fence/{phone}", f"wiped-fence 1\nuuid {phone}\nend\n", "600")
    vm.write(
        "/tmp/fenced.xml",
        f"<domain type='qemu'><name>fenced</name><uuid>{phone}</uuid><memory unit='MiB'>32</memory>"
        "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>",
    )
    vm.run("virsh", "-q", "define", "/tmp/fenced.xml")
    try:
        vm.run("systemctl", "restart", "libvirtd")
        with pytest.raises(LabError, match="fenced"):
            vm.run("virsh", "-q", "start", "--paused", "fenced")
    finally:
        vm.sh(f"virsh -q undefine fenced; rm -f /var/lib/wiped/fence/{phone}")
