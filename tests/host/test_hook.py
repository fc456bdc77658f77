"""The libvirt hook under a real libvirtd: what is fenced cannot start, and nothing else is harmed (docs/design.md, I6)."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.patience import Work

HOOK = Path(__file__).parents[2] / "config" / "libvirt-hook"
SEEN = "/run/wiped-hook-seen"


def domain(name: str, identity: str, sources: list[str], extra: str = "", managed: str = "") -> str:
    """A guest without a system; ``sources`` are the attributes of its disks' <source>."""
    kinds = {"f": "file", "d": "block", "p": "volume"}
    disks = "".join(
        f"<disk type='{kinds[source[0]]}' device='disk'><driver name='qemu' type='raw'/><source {source}/>"
        f"<target dev='vd{chr(97 + number)}' bus='virtio'/></disk>"
        for number, source in enumerate(sources)
    )
    return (
        f"<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>{name}</name>"
        f"<uuid>{identity}</uuid>{managed}<memory unit='MiB'>32</memory>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{disks}<serial type='pty'/></devices>{extra}</domain>"
    )


class Bench:
    """A private libvirt with the hook, and one image that may be fenced."""

    def __init__(self, libvirt: PrivateLibvirt) -> None:
        self.libvirt = libvirt
        self.uuid = str(uuid.uuid4())
        self.directory = libvirt.workdir / "images"
        self.directory.mkdir()
        self.image = self.new_image("phone.raw")

    def new_image(self, name: str) -> Path:
        """A sparse image of 1 MiB."""
        path = self.directory / name
        path.touch()
        os.truncate(path, 1 << 20)
        return path

    def fence(self, *lines: str, name: str = "", end: str = "end\n") -> Path:
        """Write a fence file with these lines between head and tail."""
        path = self.libvirt.path("/var/lib/wiped/fence") / (name or self.uuid)
        path.write_text("".join(f"{line}\n" for line in ("wiped-fence 1", *lines)) + end)
        return path

    def inode(self) -> str:
        """The inode line of the image."""
        found = self.image.stat()
        return f"inode {found.st_dev}:{found.st_ino}"

    def start(self, *sources: str | Path, identity: str = "", extra: str = "") -> subprocess.CompletedProcess[str]:
        """Try to create a transient guest with these sources (a path means file='path')."""
        xml = domain("guest", identity or str(uuid.uuid4()), [f"file='{s}'" if isinstance(s, Path) else s for s in sources], extra)
        return self.libvirt.create(xml, check=False)

    def vetoed(self, *sources: str | Path, identity: str = "", extra: str = "") -> bool:
        """Whether such a guest is refused, and by the hook; one that starts is destroyed."""
        done = self.start(*sources, identity=identity, extra=extra)
        if done.returncode == 0:
            self.libvirt.virsh("destroy", "guest")
            return False
        assert "phone is fenced" in done.stderr, done.stderr
        return True


def run_hook(libvirt: PrivateLibvirt, operation: str, xml: str) -> subprocess.CompletedProcess[str]:
    """Run the hook as libvirt would, inside the namespace."""
    return libvirt.run([HOOK, "guest", operation, "begin", "-"], stdin_text=xml, check=False)


@pytest.fixture(scope="module")
def hooked(module_libvirt: PrivateLibvirt) -> PrivateLibvirt:
    """A private libvirt that has loaded the hook."""
    module_libvirt.install_hook(HOOK)
    return module_libvirt


@pytest.fixture
def bench(hooked: PrivateLibvirt) -> Iterator[Bench]:
    """A bench of its own for each test: afterwards no domain, pool, fence or image of it is left."""
    bench = Bench(hooked)
    yield bench
    for name in hooked.virsh("list", "--all", "--name").stdout.split():
        hooked.virsh("destroy", name, check=False)
        hooked.virsh("undefine", name, "--managed-save", check=False)
    for name in hooked.virsh("pool-list", "--all", "--name").stdout.split():
        hooked.virsh("pool-destroy", name)
    shutil.rmtree(hooked.path("/var/lib/wiped/fence"))
    hooked.path("/var/lib/wiped/fence").mkdir()
    shutil.rmtree(bench.directory)


def test_unfenced_starts_and_each_line_of_a_fence_vetoes_alone(bench):
    """UUID, path, inode: each line alone is enough, whatever the other lines say; without a fence it starts."""
    assert not bench.vetoed(bench.image, identity=bench.uuid)
    fence = bench.fence()
    assert bench.vetoed(identity=bench.uuid)  # by the file's name
    assert not bench.vetoed(bench.image)
    fence.unlink()
    bench.fence(f"uuid {bench.uuid}", name="other")
    assert bench.vetoed(identity=bench.uuid)
    bench.fence(f"path {bench.image}", name="other")
    assert bench.vetoed(bench.image)
    bench.fence(bench.inode(), name="other")
    assert bench.vetoed(bench.image)
    assert not bench.vetoed(bench.new_image("neighbour.raw"))


def test_symlink_and_hard_link_to_a_fenced_disk_are_vetoed(bench):
    """The same disk by another name, under another UUID, is the same disk; also as the second disk."""
    bench.fence(f"uuid {bench.uuid}", f"path {bench.image}", bench.inode())
    symlink, hard_link = bench.directory / "s", bench.directory / "h"
    symlink.symlink_to(bench.image)
    os.link(bench.image, hard_link)
    assert bench.vetoed(symlink)
    assert bench.vetoed(hard_link)
    assert bench.vetoed(bench.new_image("own.raw"), symlink)


def test_vanished_path_is_vetoed_by_its_text(bench):
    """A disk that cannot be looked at is still known by its path."""
    bench.fence(f"path {bench.directory}/gone.raw")
    assert bench.vetoed(bench.directory / "gone.raw")


def escaped(path: Path) -> str:
    """A <source> attribute as libvirt prints it."""
    text = str(path)
    for plain, code in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&apos;"), ('"', "&quot;")):
        text = text.replace(plain, code)
    return f"file='{text}'"


def awkward(bench: Bench, name: str) -> tuple[Path, str]:
    """An image of that name, and the inode line of it."""
    path = bench.directory / name
    shutil.copyfile(bench.image, path)
    return path, f"inode {path.stat().st_dev}:{path.stat().st_ino}"


@pytest.mark.parametrize(
    "name",
    [
        "söme näme.raw", "back\\slash\\n.raw", "&amp;lt;", "a=b,c;d|e",
        *(pytest.param(each, marks=pytest.mark.long) for each in ("-e.raw", "*", "100%s.raw", " x ", "\U0001f4f1", "ü" * 125 + ".raw")),
    ],
)  # fmt: skip
def test_awkward_names_are_recognised(bench, name):
    """Names that XML escapes, shells split, or printf reads: recognised by text and by inode alike."""
    path, inode = awkward(bench, name)
    xml = domain("guest", str(uuid.uuid4()), [escaped(path)])
    bench.fence(f"path {path}x", f"path {bench.directory}", bench.inode())
    assert run_hook(bench.libvirt, "prepare", xml).returncode == 0
    for line in (f"path {path}", inode):
        bench.fence(line)
        done = run_hook(bench.libvirt, "prepare", xml)
        assert (done.returncode, done.stdout) == (1, ""), line
        assert line in done.stderr


def test_libvirts_own_escaping_is_understood(bench):
    """The same through libvirtd, which writes the XML that the hook reads."""
    path, inode = awkward(bench, "a &'quoted\" <b>\\n ü.raw")
    assert not bench.vetoed(escaped(path))
    for line in (f"path {path}", inode):
        bench.fence(line)
        assert bench.vetoed(escaped(path)), line


def test_newline_in_a_path_is_recognised_by_inode(bench):
    """A path with a newline has no path line; its inode speaks for it."""
    path = bench.directory / "two\nlines.raw"
    shutil.copyfile(bench.image, path)
    source = "file='" + str(path).replace("\n", "&#10;") + "'"
    assert not bench.vetoed(source)
    bench.fence(f"inode {path.stat().st_dev}:{path.stat().st_ino}")
    assert bench.vetoed(source)


def test_volume_of_a_pool_is_recognised_by_name_path_and_inode(bench):
    """A disk given as pool and volume is the fenced file, whichever line names it."""
    bench.libvirt.virsh("pool-create-as", "phones", "dir", "--target", bench.directory)
    source = "pool='phones' volume='phone.raw'"
    assert not bench.vetoed(source)
    for line in ("volume phones phone.raw", f"path {bench.image}", bench.inode()):
        bench.fence(line)
        assert bench.vetoed(source), line
    bench.fence("volume phones phone", "volume other phone.raw", "path /phone.raw")
    assert not bench.vetoed(source)


def test_loop_device_node_is_recognised_by_inode(bench):
    """A block device is fenced by its node, under any link to it."""
    device = Path(subprocess.run(["losetup", "--find", "--show", bench.image], capture_output=True, text=True, check=True).stdout.strip())
    try:
        link = bench.directory / "mapper"
        link.symlink_to(device)
        assert not bench.vetoed(f"dev='{link}'")
        bench.fence(f"inode {device.stat().st_dev}:{device.stat().st_ino}")
        assert bench.vetoed(f"dev='{link}'")
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_disk_on_the_emulators_command_line_is_vetoed(bench):
    """A fenced path in <qemu:commandline> is no way around the fence."""
    argument = f"<qemu:commandline><qemu:arg value='-drive'/><qemu:arg value='file={bench.image},format=raw,if=none,id=x'/></qemu:commandline>"
    assert not bench.vetoed(extra=argument)
    bench.fence(f"path {bench.image}")
    assert bench.vetoed(extra=argument)


def test_metadata_and_description_fence_nobody(bench):
    """Free text of a domain that mentions a fenced path is not a disk."""
    bench.fence(f"path {bench.image}", bench.inode(), f"uuid {bench.uuid}")
    free = (
        f"<metadata><x:devices xmlns:x='urn:x'><x:source file='{bench.image}'/><uuid xmlns='urn:y'>{bench.uuid}</uuid></x:devices></metadata>"
        f"<description>&lt;source file='{bench.image}'/&gt; &lt;uuid&gt;{bench.uuid}</description>"
    )
    assert not bench.vetoed(extra=free)


def test_damaged_fence_stops_its_phone_and_no_other(bench):
    """An empty, foreign or cut fence file vetoes the phone it is named after, and what its whole lines name."""
    neighbour = bench.new_image("neighbour.raw")
    fence = bench.fence()

    def statuses(*sources: Path) -> list[int]:
        xmls = [domain("guest", bench.uuid, [])]
        xmls += [domain("guest", str(uuid.uuid4()), [f"file='{source}'"]) for source in sources]
        return [run_hook(bench.libvirt, "prepare", xml).returncode for xml in xmls]

    for text in ("", "\0\0\0", "garbage\n", "wiped-fence 1\n", "wiped-fence 2\nend\n"):
        fence.write_text(text)
        assert statuses(neighbour) == [1, 0], text
    fence.write_text(f"wiped-fence 1\npath {bench.image}\npath {neighbour}")  # cut within its last line
    assert statuses(bench.image, neighbour) == [1, 1, 0]
    fence.unlink()
    fence.mkdir()
    assert statuses(neighbour) == [1, 0]
    assert bench.vetoed(identity=bench.uuid)
    assert not bench.vetoed(neighbour)


def test_fence_outlives_a_restart_of_libvirtd(bench):
    """Fenced before the restart, fenced after it; a phone without a fence starts."""
    bench.fence(f"path {bench.image}")
    bench.libvirt.restart()
    assert bench.vetoed(bench.image)
    assert not bench.vetoed(bench.new_image("neighbour.raw"))


def test_running_fenced_guest_survives_a_restart_of_libvirtd(bench):
    """The veto is never given on reconnect: that would kill a running guest."""
    bench.libvirt.create(domain("guest", bench.uuid, [f"file='{bench.image}'"]))
    bench.fence(f"uuid {bench.uuid}", f"path {bench.image}", bench.inode())
    bench.libvirt.restart()
    # An answer of the emulator: libvirtd has taken it over again. Its state is told before that, and a stop would then race with the taking over.
    assert "running" in bench.libvirt.virsh("qemu-monitor-command", "guest", "--hmp", "info status").stdout
    bench.libvirt.virsh("destroy", "guest")
    assert bench.vetoed(bench.image, identity=bench.uuid)


def test_managed_saved_guest_is_not_restored(bench):
    """Starting a phone whose memory was saved is a restore; it is vetoed, and the saved memory is not unlinked."""
    bench.libvirt.define(domain("guest", bench.uuid, [f"file='{bench.image}'"]))
    bench.libvirt.virsh("start", "guest")
    bench.libvirt.virsh("managedsave", "guest")
    saved = bench.libvirt.path("/var/lib/libvirt/qemu/save/guest.save")
    fence = bench.fence(f"path {bench.image}")
    done = bench.libvirt.virsh("start", "guest", check=False)
    assert done.returncode != 0
    assert "phone is fenced" in done.stderr
    assert saved.exists()
    fence.unlink()
    bench.libvirt.virsh("start", "guest")
    assert bench.libvirt.state("guest") == "running"


def test_proof_of_loading_names_the_running_libvirtd(bench):
    """The first call after libvirtd has started leaves its process id and start time; a new libvirtd leaves its own."""
    seen = bench.libvirt.path(SEEN)
    bench.libvirt.create(domain("guest", bench.uuid, []))

    def running() -> str:
        pid = bench.libvirt.run(["cat", "/run/libvirtd.pid"]).stdout.strip()
        fields = Path(f"/proc/{bench.libvirt.libvirtd_pid}/stat").read_text()
        return f"{pid} {fields.rpartition(')')[2].split()[19]}\n"

    first = running()
    assert seen.read_text() == first
    bench.libvirt.restart()  # the guest that runs is a `reconnect`
    second = running()
    assert second != first
    wait_for(lambda: seen.read_text() == second, "the hook's reconnect")
    assert seen.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("operation", ["start", "started", "stopped", "release", "reconnect", "attach", "unknown", ""])
def test_other_operations_exit_zero_and_stdout_stays_empty(bench, operation):
    """Nothing but prepare, restore and migrate is ever vetoed; libvirt would take stdout as XML."""
    bench.fence()
    xml = domain("guest", bench.uuid, [])
    done = run_hook(bench.libvirt, operation, xml)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("operation", ["prepare", "restore", "migrate"])
def test_unreadable_xml_is_vetoed_only_while_something_is_fenced(bench, operation):
    """Who cannot be identified cannot be told from a fenced phone; where nothing is fenced, nothing is stopped."""
    texts = ("", "garbage", "<domain><name>x</name></domain>", f"<domain><uuid>{uuid.uuid4()}</uuid><devices><disk><source file='")
    for text in texts:
        assert run_hook(bench.libvirt, operation, text).returncode == 0
    bench.fence()
    for text in texts:
        done = run_hook(bench.libvirt, operation, text)
        assert (done.returncode, done.stdout) == (1, ""), text
    assert run_hook(bench.libvirt, operation, domain("guest", str(uuid.uuid4()), [])).returncode == 0


def overlay(path: Path, base: Path | str, base_format: str = "raw") -> str:
    """A new qcow2 over `base`; the source's attributes."""
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(base), "-F", base_format, str(path), "1M"], check=True)
    return escaped(path)


def over(source: str, form: str = "qcow2", identity: str = "") -> str:
    """A guest with one such disk."""
    return domain("guest", identity or str(uuid.uuid4()), [source]).replace("type='raw'", f"type='{form}'")


def create(bench: Bench, xml: str) -> str:
    """Try to start it; "" if it started (and was destroyed), else libvirt's words."""
    done = bench.libvirt.create(xml, check=False)
    if done.returncode == 0:
        bench.libvirt.virsh("destroy", "guest")
    return done.stderr if done.returncode else ""


@pytest.mark.long
def test_new_overlay_over_a_fenced_disk_does_not_start(bench):
    """Under another UUID, at once or two levels down, by a relative name, a link or a hard link; an unrelated overlay starts."""
    relative, deep, linked, hard = (bench.directory / name for name in ("relative.qcow2", "deep.qcow2", "linked.qcow2", "hard.qcow2"))
    (bench.directory / "link").symlink_to(bench.image)
    os.link(bench.image, bench.directory / "second name")
    sources = [
        overlay(bench.directory / "plain.qcow2", bench.image),
        overlay(relative, "phone.raw"),
        overlay(deep, relative, "qcow2"),
        overlay(linked, bench.directory / "link"),
        overlay(hard, bench.directory / "second name"),
    ]
    unrelated = overlay(bench.directory / "unrelated.qcow2", bench.new_image("golden.raw"))
    assert [create(bench, over(source)) for source in (*sources, unrelated)] == [""] * 6
    for line in (f"path {bench.image}", bench.inode()):
        bench.fence(line)
        vetoed = sources if line.startswith("inode") else sources[:3]  # the text of the path says nothing of links
        for source in vetoed:
            assert "phone is fenced" in create(bench, over(source)), (line, source)
        assert create(bench, over(unrelated)) == ""


@pytest.mark.parametrize(
    "name",
    [
        'quo"te\\u0041\\.raw', "two\nlines.raw", "a:b,c",
        *(pytest.param(each, marks=pytest.mark.long) for each in ("söme \U0001f4f1.raw", "*", "\x1b[31mred", "tab\there", " x ", "ü" * 125 + ".raw")),
    ],
)  # fmt: skip
def test_awkward_names_beneath_an_overlay_are_recognised(bench, name):
    """Whatever a header can name, qemu-img says as JSON, and the hook reads as it is."""
    path, inode = awkward(bench, name)
    xml = over(overlay(bench.directory / "over.qcow2", path))
    bench.fence(f"path {path}x".replace("\n", ""), bench.inode())
    assert run_hook(bench.libvirt, "prepare", xml).returncode == 0
    for line in (f"path {path}", inode):
        if "\n" not in line:
            bench.fence(line)
            done = run_hook(bench.libvirt, "prepare", xml)
            assert (done.returncode, done.stdout) == (1, ""), line
            assert "\033" not in done.stderr
            assert done.stderr.count("\n") == 1


def test_json_and_external_data_beneath_an_overlay(bench):
    """A backing file named as `json:`, and a file that holds an image's data, are beneath it too."""
    described = "json:" + json.dumps({"driver": "raw", "file": {"driver": "file", "filename": str(bench.image)}})
    xmls = [over(overlay(bench.directory / "described.qcow2", described))]
    data = bench.directory / "data.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file=elsewhere.raw", str(data), "1M"], check=True, cwd=bench.directory)
    xmls.append(over(escaped(data)))
    assert [run_hook(bench.libvirt, "prepare", xml).returncode for xml in xmls] == [0, 0]
    bench.fence(f"path {bench.image}", f"path {bench.directory}/elsewhere.raw")
    assert [run_hook(bench.libvirt, "prepare", xml).returncode for xml in xmls] == [1, 1]


def test_a_header_inside_a_raw_disk_is_not_looked_at(bench):
    """A guest that writes a header into its raw disk can neither stop itself nor learn anything; nor is a format ever guessed."""
    forged = bench.directory / "forged.raw"
    overlay(forged, bench.image)
    bench.fence(f"path {bench.image}", bench.inode())
    for form in ("raw", ""):
        assert run_hook(bench.libvirt, "prepare", over(escaped(forged), form)).returncode == 0
    assert run_hook(bench.libvirt, "prepare", over(escaped(forged))).returncode == 1
    below = over(overlay(bench.directory / "below.qcow2", forged, "raw"))
    assert run_hook(bench.libvirt, "prepare", below).returncode == 0


def test_a_chain_that_cannot_be_looked_through_stops_nobody(bench):
    """A missing file, a loop of headers, no image at all: not a match, and not the hook's to judge."""
    one, two = bench.directory / "one.qcow2", bench.directory / "two.qcow2"
    overlay(one, two, "qcow2")
    overlay(two, one, "qcow2")
    missing = overlay(bench.directory / "missing.qcow2", bench.directory / "nothing")
    bench.fence(f"path {bench.image}", bench.inode())
    neighbour = bench.new_image("neighbour.raw")
    for source in (escaped(one), missing, escaped(neighbour), escaped(bench.directory), escaped(bench.directory / "gone")):
        done = run_hook(bench.libvirt, "prepare", over(source))
        assert (done.returncode, done.stdout) == (0, ""), source
    bench.fence(f"path {bench.image}", f"path {missing[6:-1]}")
    assert run_hook(bench.libvirt, "prepare", over(missing)).returncode == 1


def test_a_chain_that_hangs_is_given_up(bench):
    """A FIFO that nobody writes stands where an image should be: the hook ends within its bound, and the disk itself is still checked."""
    fifo = bench.directory / "fifo"
    os.mkfifo(fifo)
    quick = HOOK.read_text().replace("CHAINS=20", "CHAINS=2")
    assert quick != HOOK.read_text()
    hook = bench.directory / "quick-hook"
    hook.write_text(quick)
    hook.chmod(0o755)
    bench.fence(f"path {bench.image}")
    for sources, expected in (([f"file='{fifo}'"], 0), ([f"file='{fifo}'", f"file='{bench.image}'"], 1)):
        xml = domain("guest", str(uuid.uuid4()), sources).replace("type='raw'", "type='qcow2'")
        done = bench.libvirt.run([hook, "guest", "prepare", "begin", "-"], stdin_text=xml, check=False)  # one that waits for the FIFO never ends
        assert (done.returncode, done.stdout) == (expected, "")


def test_without_qemu_img_the_disk_itself_is_still_checked(bench):
    """A host that has none loses the look beneath, and nothing else."""
    hook = bench.directory / "poor-hook"
    hook.write_text(HOOK.read_text().replace("qemu-img", "no-such-program"))
    hook.chmod(0o755)
    bench.fence(f"path {bench.image}", bench.inode())
    xmls = [over(overlay(bench.directory / "over.qcow2", bench.image)), over(escaped(bench.image))]
    assert [bench.libvirt.run([hook, "guest", "prepare", "begin", "-"], stdin_text=xml, check=False).returncode for xml in xmls] == [0, 1]


def test_block_devices_by_number_partition_and_loop(bench):
    """A fenced file is reached through its loop device and its partitions, a fenced device by another node; a sibling partition is another's."""
    os.truncate(bench.image, 8 << 20)
    device = Path(subprocess.run(["losetup", "--find", "--show", bench.image], capture_output=True, text=True, check=True).stdout.strip())
    try:
        for number in (1, 2):
            subprocess.run(["addpart", device, str(number), str(2048 * number), "2048"], check=True)
        whole = device.stat().st_rdev
        first, second = (numbered(device, number) for number in (1, 2))
        nodes = {name: bench.directory / name for name in ("whole", "first", "second")}
        for name, number in (("whole", whole), ("first", first), ("second", second)):
            os.mknod(nodes[name], 0o600 | stat.S_IFBLK, number)
        neighbour = bench.new_image("neighbour.raw")

        def vetoed(line: str) -> list[bool]:
            bench.fence(line)
            sources = [*(f"dev='{node}'" for node in nodes.values()), f"file='{bench.image}'", f"file='{neighbour}'"]
            return [run_hook(bench.libvirt, "prepare", domain("guest", str(uuid.uuid4()), [source])).returncode == 1 for source in sources]

        assert vetoed(bench.inode()) == [True, True, True, True, False]
        assert vetoed(f"inode {whole}:0") == [True, True, True, True, False]
        assert vetoed(f"inode {first}:0") == [True, True, False, True, False]
        assert vetoed(f"inode {second}:0") == [True, False, True, True, False]
        assert vetoed(f"inode {whole + 1}:0") == [False] * 5
        bench.fence(f"inode {first}:0")
        assert bench.vetoed(f"dev='{nodes['first']}'")
        assert not bench.vetoed(f"dev='{nodes['second']}'")
    finally:
        subprocess.run(["partx", "--delete", device], check=True)
        subprocess.run(["losetup", "--detach", device], check=True)


def numbered(device: Path, partition: int) -> int:
    """The device number of a partition, from sysfs (nobody makes nodes here)."""
    major, minor = Path(f"/sys/block/{device.name}/{device.name}p{partition}/dev").read_text().split(":")
    return os.makedev(int(major), int(minor))


SELDOM = [pytest.param(each, marks=pytest.mark.long) for each in ("description", "tags", "attribute", "metadata")]


@pytest.mark.parametrize("kind", ["disks", "comment", *SELDOM])
def test_huge_xml_is_read_in_time(bench, kind):
    """Ten megabytes, or a thousand disks, with a fenced disk at the end: found, within seconds."""
    filler = {
        "disks": "".join(f"<disk type='file'><driver type='raw'/><source file='/nowhere/{n}'/></disk>" for n in range(1000)),
        "description": f"<description>{'x' * 10_000_000}</description>",
        "tags": "<a b='c'/>" * 300_000,
        "comment": "<!--" + "<disk><source file='/x'/>" * 100_000 + "-->",
        "attribute": f"<a b='{'&amp;' * 500_000}'/>",
        "metadata": "<metadata><![CDATA[" + "<source file='/x'/></metadata>" * 50_000 + "]]></metadata>",
    }[kind]
    bench.fence(f"path {bench.image}")
    xml = domain("guest", str(uuid.uuid4()), [f"file='{bench.image}'"]).replace("<disk", f"{filler}<disk", 1)
    for text, expected in ((xml, 1), (xml.replace(str(bench.image), "/other"), 0)):
        with Work() as work:
            done = run_hook(bench.libvirt, "prepare", text)
        assert (done.returncode, done.stdout) == (expected, "")
        assert work.units < 500


def test_comment_and_character_data_hide_nothing_and_invent_nothing(bench):
    """What stands in them is text; what follows them is read."""
    bench.fence(f"path {bench.image}")
    hidden = f"<!-- <disk><source file='{bench.image}'/></disk> --><![CDATA[<source file='{bench.image}'/>]]>"
    other = bench.new_image("other.raw")
    xml = domain("guest", str(uuid.uuid4()), [f"file='{other}'"])
    assert run_hook(bench.libvirt, "prepare", xml.replace("<devices>", f"<devices>{hidden}")).returncode == 0
    xml = domain("guest", str(uuid.uuid4()), [f"file='{bench.image}'"])
    assert run_hook(bench.libvirt, "prepare", xml.replace("<devices>", "<devices><!-- > ' \" -- ><![CDATA[>]] >]]>-->")).returncode == 1
