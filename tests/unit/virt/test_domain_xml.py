"""libvirt's text into the model: what is kept, what is refused, and that nothing else ever happens."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import Work
from wiped.errors import InputError
from wiped.model.inventory import DiskSource, DomainState, JobKind
from wiped.virt.domain_xml import merge, parse_domain, paths_mentioned
from wiped.virt.places import auto_dump_matches, matches_dump, matches_memory_dir, short_names
from wiped.virt.pool_xml import parse_pool

UUID = "6f1f7a5e-53b1-4c6a-9d3b-0123456789ab"


OTHER = "7f1f7a5e-53b1-4c6a-9d3b-0123456789ab"


def domain(devices: str = "", head: str = "", uuid: str = UUID, tag: str = "domain") -> str:
    return f"<{tag} type='qemu'><name>phone-1</name><uuid>{uuid}</uuid>{head}<devices>{devices}</devices></{tag}>"


def only_disk(devices: str) -> DiskSource:
    (disk,) = parse_domain(domain(devices), origin="live").disks
    return disk


def test_plain_domain() -> None:
    """Name, UUID in lower case, and no more facts than the XML has."""
    facts = parse_domain(domain(uuid=UUID.upper()), origin="inactive")
    assert (facts.uuid, facts.name, facts.disks, facts.nvram, facts.tpm) == (UUID, "phone-1", (), "", False)


def test_file_disk_with_its_backing_chain_keeps_the_top_alone() -> None:
    """The chain that live XML states is not taken over: headers are walked instead."""
    disk = only_disk("""<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='/p/top.qcow2' index='1'/>
        <backingStore type='file'><format type='qcow2'/><source file='/p/golden.qcow2'/><backingStore/></backingStore>
        <target dev='vda' bus='virtio'/></disk>""")
    assert disk == DiskSource("vda", "file", "/p/top.qcow2", "qcow2", origin="live", discard=True)


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ("<disk type='block' device='lun'><driver type='raw'/><source dev='/dev/vg/a'/><target dev='sda'/></disk>",
         DiskSource("sda", "block", "/dev/vg/a", "raw", "lun", origin="live")),
        ("<disk type='file' device='cdrom'><target dev='hda'/><readonly/></disk>", DiskSource("hda", "file", "", "", "cdrom", readonly=True, origin="live")),
        ("<disk type='file'><source file='/p/s'/><target dev='vdb'/><shareable/></disk>", DiskSource("vdb", "file", "/p/s", "", shareable=True, origin="live")),
        ("<disk type='volume' device='disk'><driver type='qcow2'/><source pool='default' volume='v 1'/><target dev='vdc'/></disk>",
         DiskSource("vdc", "volume", "", "qcow2", pool="default", volume="v 1", origin="live")),
        ("<disk type='network'><driver type='raw'/><source protocol='rbd' name='pool/img'><host name='h'/></source><target dev='vdd'/></disk>",
         DiskSource("vdd", "network", "", "raw", origin="live")),
        ("<disk type='dir' device='floppy'><source dir='/p/d'/><target dev='fda'/></disk>", DiskSource("fda", "dir", "/p/d", "", "floppy", origin="live")),
        ("<disk type='from-the-future'><source file='/p/x'/><target dev='vde'/></disk>", DiskSource("vde", "from-the-future", "", "", origin="live")),
        ("<memory model='nvdimm'><source><path>/p/nv.img</path></source><target><size>1</size></target></memory>",
         DiskSource("memory0", "file", "/p/nv.img", "raw", "nvdimm", origin="live")),
        ("<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/></source></hostdev>",
         DiskSource("hostdev0", "hostdev", "", "raw", "lun", origin="live")),
    ],
)  # fmt: skip
def test_every_kind_of_source_is_seen(xml: str, expected: DiskSource) -> None:
    """No kind of storage is dropped, known or unknown."""
    assert only_disk(xml) == expected


def test_a_block_copy_is_a_second_disk_and_a_commit_is_not() -> None:
    """The destination of a copy holds the guest's data; the target of a commit is a member of the chain."""
    template = """<disk type='file'><driver type='qcow2'/><source file='/p/a'/><mirror type='file' job='{}'>
        <format type='raw'/><source file='/p/b'/></mirror><target dev='vda'/></disk>"""
    copy = parse_domain(domain(template.format("copy")), origin="live").disks
    assert [(disk.location, disk.format) for disk in copy] == [("/p/a", "qcow2"), ("/p/b", "raw")]
    commit = parse_domain(domain(template.format("active-commit")), origin="live").disks
    assert [disk.location for disk in commit] == ["/p/a"]


def test_console_logs_from_every_device() -> None:
    """File back ends and nested logs of serial, console, parallel and channel devices, each path once."""
    facts = parse_domain(domain("""
        <serial type='file'><source path='/l/serial'/><target port='0'/></serial>
        <console type='file'><source path='/l/serial'/></console>
        <console type='pty'><log file='/l/console' append='on'/></console>
        <parallel type='file'><source path='/l/parallel'/></parallel>
        <channel type='unix'><source mode='bind' path='/run/sock'/><log file='/l/channel'/></channel>
        <audio id='1' type='file' path='/l/sound.wav'/>"""), origin="live")  # fmt: skip
    assert facts.console_logs == ("/l/serial", "/l/console", "/l/parallel", "/l/channel", "/l/sound.wav")


@pytest.mark.parametrize("nvram", ["<nvram template='/t'>/n/phone_VARS.fd</nvram>", "<nvram type='file'><source file='/n/phone_VARS.fd'/></nvram>"])
def test_nvram_in_both_forms(nvram: str) -> None:
    """The old and the 8.5 way to name the NVRAM file."""
    assert parse_domain(domain(head=f"<os><loader>/l</loader>{nvram}</os>"), origin="live").nvram == "/n/phone_VARS.fd"


def test_other_places_for_data() -> None:
    """TPM, shared directories, and memory that is a file."""
    facts = parse_domain(domain(
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm><filesystem type='mount'><source dir='/share'/><target dir='t'/></filesystem>",
        "<memoryBacking><source type='file'/></memoryBacking>"), origin="live")  # fmt: skip
    assert (facts.tpm, facts.shared_directories, facts.memory_backing_file) == (True, ("/share",), True)


SNAPSHOT = f"""<domainsnapshot><name>before update</name><state>running</state>
  <memory snapshot='external' file='/m/ram.1'/>
  <disks><disk name='vda' snapshot='external' type='file'><driver type='qcow2'/><source file='/p/overlay.qcow2'/></disk>
         <disk name='vdb' snapshot='no'/></disks>
  {domain("<disk type='file'><driver type='qcow2'/><source file='/p/old.qcow2'/><target dev='vda'/></disk>")}
  {domain("<disk type='file'><driver type='qcow2'/><source file='/p/cold.qcow2'/><target dev='vda'/></disk>", tag="inactiveDomain")}
</domainsnapshot>"""


SECRET = "0a1b2c3d-0000-4000-8000-00000000000"


def test_secrets_named_anywhere_in_the_devices() -> None:
    """Of a disk, of a layer beneath it, of a mirror, of network storage, of a TPM; once each, lower case; by usage where no UUID stands."""
    xml = domain(
        f"""<disk type='file'><source file='/a'><encryption format='luks'><secret type='passphrase' uuid='{SECRET}1'/></encryption></source>
          <backingStore type='file'><source file='/b'><encryption format='luks'><secret type='passphrase' uuid='{SECRET}2'/></encryption></source>
          </backingStore><mirror job='copy' type='file'>
          <source file='/c'><encryption><secret type='passphrase' usage='/c d:e'/></encryption></source></mirror></disk>
        <disk type='file'><source file='/d'/><encryption format='luks'><secret type='passphrase' uuid='{SECRET.upper().replace("-", "")}1'/></encryption></disk>
        <disk type='network'><source protocol='rbd' name='x'><auth username='u'><secret type='ceph' usage='pool one'/></auth></source></disk>
        <disk type='network'><source protocol='iscsi' name='y'><auth username='u'><secret type='iscsi' uuid='{SECRET}3'/></auth></source></disk>
        <tpm model='tpm-crb'><backend type='emulator'><encryption secret='{SECRET}4'/></backend></tpm><encryption/><secret type='x'/>""",
        head=f"<metadata><secret uuid='{SECRET}5'/></metadata>",
    )
    facts = parse_domain(xml, origin="inactive")
    assert facts.secrets == (f"{SECRET}1", f"{SECRET}2", "usage:volume:/c d:e", "usage:ceph:pool one", f"{SECRET}3", f"{SECRET}4")
    assert merge(facts, replace(facts, secrets=(f"{SECRET}9", f"{SECRET}1"))).secrets == (*facts.secrets, f"{SECRET}9")


@pytest.mark.parametrize("uuid", ["x", "../../etc", SECRET, SECRET + "1\n2", "g" * 32])
def test_a_secret_by_no_uuid_is_bad_input(uuid: str) -> None:
    """The UUID becomes a file name: it has the form of one, or nothing is concluded."""
    for part in (f"<secret uuid='{uuid}'/>", f"<encryption secret='{uuid}'/>"):
        with pytest.raises(InputError):
            parse_domain(domain(f"<disk type='file'><source file='/a'>{part}</source></disk>"), origin="live")


def test_directories_that_the_guest_may_only_read() -> None:
    """Read-only only where no share, of no version of the XML, lets the guest write."""
    both = "<filesystem type='mount'><source dir='/rw'/></filesystem><filesystem type='mount'><source dir='/ro'/><readonly/></filesystem>"
    facts = parse_domain(domain(both), origin="inactive")
    assert (facts.shared_directories, facts.shared_readonly) == (("/rw", "/ro"), ("/ro",))
    twice = parse_domain(domain(both + "<filesystem><source dir='/ro'/></filesystem>"), origin="inactive")
    assert (twice.shared_directories, twice.shared_readonly) == (("/rw", "/ro"), ())
    assert merge(facts, facts).shared_readonly == ("/ro",)
    for documents in ((facts, twice), (twice, facts)):
        assert merge(*documents).shared_readonly == ()


def test_former_names_are_those_of_other_versions() -> None:
    """Live name first; what snapshots call the phone otherwise is kept, once each, also through two merges."""
    live = parse_domain(domain(), origin="live")
    old = domain().replace("phone-1", "phone-0")
    snapshot = parse_domain(f"<domainsnapshot><name>s</name>{old}{old.replace('domain', 'inactiveDomain')}</domainsnapshot>", origin="snapshot")
    mixed = parse_domain(f"<domainsnapshot><name>t</name>{domain()}{old.replace('domain', 'inactiveDomain')}</domainsnapshot>", origin="snapshot")
    assert (snapshot.name, snapshot.former_names) == ("phone-0", ())
    assert (mixed.name, mixed.former_names) == ("phone-1", ("phone-0",))
    assert live.former_names == merge(live, live).former_names == ()
    for facts in (merge(live, snapshot), merge(live, mixed), merge(live, snapshot, mixed), merge(merge(live, snapshot), mixed)):
        assert (facts.name, facts.former_names) == ("phone-1", ("phone-0",))


def test_tpm_state_at_a_place_of_its_own() -> None:
    """Newer libvirt can put it anywhere: a file that is seen, a directory that is seen too."""
    devices = "".join(f"<tpm><backend type='emulator'><source type='{kind}' path='/t/{kind}'/></backend></tpm>" for kind in ("file", "dir"))
    facts = parse_domain(domain(devices), origin="inactive")
    assert [(disk.type, disk.location) for disk in facts.disks] == [("file", "/t/file"), ("dir", "/t/dir")]


def test_snapshot_names_its_overlays_its_ram_and_the_disks_of_then() -> None:
    """Former sources, overlay files and the RAM file of a snapshot."""
    facts = parse_domain(SNAPSHOT, origin="snapshot")
    assert [(disk.location, disk.target, disk.origin) for disk in facts.disks] == [
        ("/p/old.qcow2", "vda", "snapshot"), ("/p/cold.qcow2", "vda", "snapshot"), ("/p/overlay.qcow2", "vda", "snapshot")]  # fmt: skip
    assert (facts.uuid, facts.snapshots, facts.has_snapshot_memory, facts.snapshot_memory_files) == (UUID, ("before update",), True, ("/m/ram.1",))


def test_internal_snapshot_has_no_files_of_its_own() -> None:
    """RAM and blocks of an internal snapshot live in the qcow2."""
    facts = parse_domain(f"<domainsnapshot><name>s</name><memory snapshot='internal'/><disks><disk name='vda' snapshot='internal'/></disks>{domain()}"
                         "</domainsnapshot>", origin="snapshot")  # fmt: skip
    assert (facts.disks, facts.has_snapshot_memory) == ((), False)


def test_snapshot_of_two_domains_is_refused() -> None:
    """A snapshot file that mixes two UUIDs says nothing."""
    with pytest.raises(InputError):
        parse_domain(f"<domainsnapshot>{domain()}{domain(uuid=OTHER, tag='inactiveDomain')}</domainsnapshot>", origin="snapshot")


def test_status_file_tells_state_and_job() -> None:
    """/run/libvirt/qemu/NAME.xml: state, the job that runs, the live disks, where a backup writes."""
    disk = "<disk type='file'><source file='/p/a'/><target dev='vda'/></disk>"
    facts = parse_domain(f"""<!-- WARNING --><domstatus state='paused' reason='saving' pid='7'><job type='none' async='save'/>
        <domainbackup mode='push'><disks><disk name='vda' type='file'><driver type='raw'/><target file='/b/full.img'/></disk></disks></domainbackup>
        {domain(disk)}</domstatus>""", origin="status")  # fmt: skip
    assert (facts.state, facts.job) == (DomainState.PAUSED, JobKind.SAVE)
    assert [(each.location, each.origin) for each in facts.disks] == [("/p/a", "live"), ("/b/full.img", "live")]


def test_checkpoint_and_backup_are_tolerated() -> None:
    """A checkpoint is its domain; a backup names none."""
    assert parse_domain(f"<domaincheckpoint><name>c</name>{domain()}</domaincheckpoint>", origin="snapshot").uuid == UUID
    assert parse_domain("<domainbackup><disks/></domainbackup>", origin="live").uuid == ""


@pytest.mark.parametrize("xml", [
    "", "phone", "<domain>", "<domain/>", "<network><uuid>" + UUID + "</uuid></network>", domain(uuid="6f1f7a5e53b14c6a9d3b0123456789ab"),
    domain(uuid="*"), "<!DOCTYPE domain [<!ENTITY a 'b'>]>" + domain(), "<!DOCTYPE domain SYSTEM '/etc/passwd'>" + domain(), domain(head="&lol;"),
    "<domstatus state='running'/>", "<domainsnapshot><name>s</name></domainsnapshot>", b"\xff\xfe", "<domain>\ud800</domain>", "<a>" * 600 + "</a>" * 600,
    b"<?xml version='1.0' encoding='rot13'?><a/>", b"<?xml version='1.0' encoding='utf-7'?><a/>",
])  # fmt: skip
def test_what_libvirt_never_writes_is_bad_input(xml: str | bytes) -> None:
    """Broken, foreign, entity-laden, deep or odd documents are an InputError."""
    with pytest.raises(InputError):
        parse_domain(xml, origin="live")


def test_too_large_is_bad_input() -> None:
    """More than 16 MiB is refused before it is parsed."""
    with pytest.raises(InputError, match="larger"):
        parse_domain(domain(head=" " * (16 * 1024 * 1024)), origin="live")


def test_bytes_and_text_are_the_same() -> None:
    """A declared encoding does not fool a text, and bytes are read as they declare."""
    body = domain().replace("phone-1", "電話")
    expected = parse_domain(body, origin="live")
    assert parse_domain(body.encode(), origin="live") == expected
    assert parse_domain("<?xml version='1.0' encoding='latin-1'?>" + body, origin="live") == expected
    assert parse_domain(("<?xml version='1.0' encoding='utf-16'?>" + body).encode("utf-16"), origin="live") == expected


def test_merge_is_the_union() -> None:
    """Disks, logs and NVRAM of live, inactive and snapshot, equal ones once, the live ones first."""
    disk = "<disk type='file'><source file='/p/{}'/><target dev='vda'/></disk>"
    live = replace(parse_domain(domain(disk.format("new"), "<os><nvram>/n/1</nvram></os>"), origin="live"), state=DomainState.RUNNING)
    inactive = parse_domain(domain(disk.format("new"), "<os><nvram>/n/2</nvram></os>"), origin="inactive")
    snapshot = parse_domain(SNAPSHOT, origin="snapshot")
    facts = merge(live, inactive, snapshot, snapshot)
    assert [(each.location, each.origin) for each in facts.disks] == [
        ("/p/new", "live"), ("/p/new", "inactive"), ("/p/old.qcow2", "snapshot"), ("/p/cold.qcow2", "snapshot"), ("/p/overlay.qcow2", "snapshot")]  # fmt: skip
    assert (facts.nvram, facts.former_nvram, facts.state, facts.snapshots) == ("/n/1", ("/n/2",), DomainState.RUNNING, ("before update",))


def test_merge_refuses_two_domains() -> None:
    """Facts of different UUIDs are never one phone."""
    with pytest.raises(InputError):
        merge(parse_domain(domain(), origin="live"), parse_domain(domain(uuid=OTHER), origin="live"))
    with pytest.raises(InputError):
        merge()


def test_paths_mentioned_anywhere() -> None:
    """Paths in QEMU's own arguments, in text and attributes: all count as mentioned."""
    xml = """<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><os><kernel>/k</kernel></os><devices/>
      <qemu:commandline><qemu:arg value='-drive'/><qemu:arg value='file=/p/a b.img,if=virtio'/><qemu:arg value='{"filename":"/p/j.img"}'/>
      <qemu:arg value='file:/p/f.img'/></qemu:commandline></domain>"""
    assert {"/k", "/p/a b.img", "/p/j.img", "/p/f.img"} <= paths_mentioned(xml)


@given(st.one_of(st.text(), st.binary()))
def test_arbitrary_input_never_crashes(xml: str | bytes) -> None:
    """Anything at all is facts or an InputError."""
    for origin in ("live", "inactive", "snapshot", "status"):
        with contextlib.suppress(InputError):
            parse_domain(xml, origin=origin)  # type: ignore[arg-type]
    with contextlib.suppress(InputError):
        parse_pool(xml)


TAGS = st.sampled_from(
    ["domain", "domstatus", "domainsnapshot", "inactiveDomain", "uuid", "name", "devices", "disk", "source", "target", "mirror", "memory", "os", "nvram",
     "disks", "driver", "format", "serial", "log", "backend", "tpm", "filesystem", "job", "domainbackup", "hostdev", "memoryBacking", "path"])  # fmt: skip


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["type", "dev", "file", "dir", "path", "pool", "volume", "snapshot", "name", "state", "async", "job", "device"]),
    st.sampled_from(["file", "block", "volume", "copy", "/p/x", "external", "", "scsi"]),
    max_size=4,
)


TREES = st.recursive(
    st.sampled_from(["", UUID, "x", "/p/y"]),
    lambda inner: st.tuples(TAGS, ATTRIBUTES, st.lists(inner, max_size=5)).map(
        lambda node: f"<{node[0]} {' '.join(f'{key}={value!r}' for key, value in node[1].items())}>{''.join(node[2])}</{node[0]}>"),
    max_leaves=40,
)  # fmt: skip


@given(TREES)
def test_arbitrary_trees_of_libvirts_words_never_crash(tree: str) -> None:
    """libvirt's own elements in any order and nesting are facts or an InputError."""
    for wrapped in (tree, f"<domain><uuid>{UUID}</uuid><devices>{tree}</devices>{tree}</domain>"):
        with contextlib.suppress(InputError):
            parse_domain(wrapped, origin="live")


HUGE = {
    "one word": "<description>/" + "x" * 2_000_000 + "</description>",
    "words": "<description>/" + "x " * 500_000 + "</description>",
    "keys": "<description>/" + "a=" * 500_000 + "</description>",
    "commas": "<description>/" + "," * 2_000_000 + "</description>",
    "spaces": "<description>" + " " * 2_000_000 + "/</description>",
    "attribute": "<a b='/" + "x" * 2_000_000 + "'/>",
    "disks": "<devices>" + "".join(f"<disk type='file'><source file='/a/{n}'/></disk>" for n in range(10_000)) + "</devices>",
    "shares": "<devices>" + "".join(f"<filesystem><source dir='/a/{n}'/>{'<readonly/>' * (n % 2)}</filesystem>" for n in range(20_000)) + "</devices>",
    "secrets": "<devices>" + "".join(f"<secret usage='/a/{n}'/>" for n in range(30_000)) + "</devices>",
    "references": "<description>" + "&#47;" * 300_000 + "</description>",
}


@pytest.mark.parametrize("body", HUGE.values(), ids=HUGE.keys())
def test_huge_documents_are_little_work(body: str) -> None:
    """No document within the limit makes a helper think for minutes, in whichever way it is large."""
    with Work() as work:
        facts = parse_domain(domain(head=body), origin="inactive")
        merge(facts, facts, facts)
        assert paths_mentioned(domain(head=body))
    assert work.units < 250


NAMES = ["ü" * 127 + "x", "\U0001f4f1" * 63, "quo'te\"d", "two\nlines", "tab\there", "\x9b31mred", "\u202egnp", "*", "..", "a;b$(c)`d`", " x ", "&amp;", "%s{}"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept_as_they_are_and_match_themselves_alone(name: str) -> None:
    """Whatever XML can hold may be a name; it is a text, never a pattern, a path or a format."""
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "&#10;").replace("\t", "&#9;")
    facts = parse_domain(domain().replace("phone-1", escaped), origin="inactive")
    assert facts.name == name
    when = "2026-11-23-23:31:12"
    for short in short_names(name):
        assert auto_dump_matches(f"1-{short}-{when}", name)
        assert matches_memory_dir(f"1-{short}", name)
    for other in ("phone", "x", "", "two", "lines"):
        assert not auto_dump_matches(f"1-{other}-{when}", name)
        assert not matches_dump(other, name, UUID)


@pytest.mark.parametrize("name", ["\x1b[31m", "\x00", "&#27;[31m", "&#0;", "&unknown;", "\ud800"])
def test_names_that_no_xml_can_hold_are_bad_input(name: str) -> None:
    """A terminal's escape character among them."""
    with pytest.raises(InputError):
        parse_domain(domain().replace("phone-1", name), origin="inactive")


CHAIN = """<domain type='qemu'><name>p</name><uuid>11111111-2222-3333-4444-555555555555</uuid><devices>
<disk type='file'><driver type='qcow2'/><source file='/p/top.qcow2'/><backingStore type='file'><format type='qcow2'/><source file='/p/mid.qcow2'/>
<backingStore type='volume'><format type='raw'/><source pool='g' volume='base.img'><slices><slice type='storage' offset='512' size='9'/></slices></source>
<backingStore/></backingStore></backingStore><mirror type='file' job='copy'><source file='/p/copy.qcow2'/><format type='qcow2'/>
<backingStore type='block'><format type='raw'/><source dev='/dev/vg/b'/></backingStore></mirror><target dev='vda'/></disk>
<disk type='file'><source file='/p/b.raw'/><backingStore/><transient shareBacking='yes'/><target dev='vdb'/></disk>
<disk type='file'><source file='/p/c.raw'/><transient/><target dev='vdc'/></disk></devices></domain>"""


def test_the_chain_that_a_definition_states_is_told() -> None:
    """At every level, of a copy's destination too; what only says that the chain ends is none of it."""
    facts = parse_domain(CHAIN, origin="live")
    told = [(disk.target, disk.type, disk.location or f"{disk.pool}/{disk.volume}", disk.format, disk.part) for disk in facts.stated_chain]
    assert told == [
        ("vda", "file", "/p/mid.qcow2", "qcow2", False),
        ("vda", "volume", "g/base.img", "raw", True),
        ("vda", "block", "/dev/vg/b", "raw", False),
    ]
    assert merge(facts, parse_domain(CHAIN, origin="live")).stated_chain == facts.stated_chain
    assert [disk.shareable for disk in facts.disks] == [False, False, True, False]


@pytest.mark.parametrize(
    ("inside", "in_files"),
    [
        ("", False),
        ("<memoryBacking><source type='anonymous'/></memoryBacking>", False),
        ("<memoryBacking><source type='file'/></memoryBacking>", True),
        ("<memoryBacking><access mode='shared'/></memoryBacking>", True),
        ("<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>", False),
        ("<memoryBacking><hugepages/><access mode='shared'/></memoryBacking>", False),
        ("<memoryBacking><hugepages><page size='2' unit='M' nodeset='0'/></hugepages><access mode='shared'/></memoryBacking>", True),
        ("<cpu><numa><cell id='0' cpus='0' memory='1' memAccess='private'/></numa></cpu>", True),
        ("<devices><memory model='dimm' access='shared'><target><size>1</size></target></memory></devices>", True),
    ],
)
def test_ram_in_files(inside: str, in_files: bool) -> None:
    """By the source, or by an access mode of the whole, a cell or a module; not in huge pages or a memfd."""
    xml = f"<domain type='qemu'><name>p</name><uuid>11111111-2222-3333-4444-555555555555</uuid>{inside}</domain>"
    assert parse_domain(xml, origin="inactive").memory_backing_file is in_files
