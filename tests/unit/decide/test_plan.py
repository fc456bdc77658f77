"""Planning and guards: each test would lose a file without its guard; drift; properties over random hosts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decide.nouns import NEIGHBOUR, PHONE, found, inventory
from wiped.decide.plan import drift, forgotten, make_plan
from wiped.model.inventory import ArtefactKind, BlockFacts, ExtentFacts, FilesystemFacts
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules

RULES = StorageRules(roots=("/srv/phones",))


TOP = found("/srv/phones/a", 1)


GOLDEN = found("/srv/golden/base", 2, depth=1, owners=(PHONE, NEIGHBOUR), under_root="", under_protected="")


def codes(*artefacts, **changes):
    """The refusal codes of a plan over `artefacts`."""
    return {refusal.code for refusal in make_plan(inventory(*artefacts, **changes), 1, RULES).refusals}


def test_an_ordinary_phone_over_a_golden_image():
    """The disk is a step, the shared base is retained, nothing is refused."""
    plan = make_plan(inventory(TOP, GOLDEN), 1, RULES)
    assert [step.location for step in plan.steps] == ["/srv/phones/a"]
    assert [(kept.location, kept.reason) for kept in plan.retained] == [("/srv/golden/base", "shared-by-domain")]
    assert (plan.refusals, plan.expected_outcome) == ((), "clear")


def test_the_last_phone_over_an_unprotected_base_is_ambiguous():
    """A base that nobody else reaches any more is neither golden nor private: refuse (the golden image's last phone)."""
    base = replace(GOLDEN, owners=(PHONE,))
    plan = make_plan(inventory(TOP, base), 1, RULES)
    assert {refusal.code for refusal in plan.refusals} == {RefusalCode.AMBIGUOUS_BASE}
    assert "/srv/golden/base" not in [step.location for step in plan.steps]


def test_the_last_phone_over_a_protected_base_is_wiped_and_the_base_kept():
    """A base under a protected root is golden even when this is its last phone."""
    base = found("/srv/golden/base", 2, depth=1, under_root="", under_protected="/srv/golden")
    plan = make_plan(inventory(TOP, base), 1, RULES)
    assert plan.refusals == ()
    assert [kept.reason for kept in plan.retained] == ["protected-root"]


def test_what_lies_beneath_a_golden_image_is_golden():
    """The base of a protected base is kept even if only this phone's chain reaches it."""
    base = found("/srv/golden/base", 2, depth=1, under_root="", under_protected="/srv/golden")
    below = found("/srv/phones/old-base", 3, depth=2)
    plan = make_plan(inventory(TOP, base, below), 1, RULES)
    assert (plan.refusals, [step.location for step in plan.steps]) == ((), ["/srv/phones/a"])
    assert [kept.reason for kept in plan.retained] == ["protected-root", "beneath-golden"]


def test_snapshot_layers_are_private_unless_shared():
    """A layer that libvirt's snapshot made is erased, unless another domain reaches it: then it is kept."""
    middle = found("/srv/phones/b", 3, depth=1, snapshot_made=True)
    plan = make_plan(inventory(TOP, middle, replace(GOLDEN, depth=2)), 1, RULES)
    assert {(step.location, step.kind) for step in plan.steps} == {
        ("/srv/phones/a", ArtefactKind.DISK_IMAGE),
        ("/srv/phones/b", ArtefactKind.BACKING_PRIVATE),
    }
    shared = replace(middle, owners=(PHONE, NEIGHBOUR))
    plan = make_plan(inventory(TOP, shared), 1, RULES)
    assert [step.location for step in plan.steps] == ["/srv/phones/a"]


def test_a_missing_golden_base_refuses():
    """A chain that cannot be walked to its end is not planned."""
    gone = found("/srv/golden/base", 2, depth=1, owners=(PHONE, NEIGHBOUR), problem="missing", identity=None)
    assert RefusalCode.MISSING in codes(TOP, gone)


def test_an_inode_that_is_kept_is_never_a_step():
    """The same file as disk and as retained media is refused."""
    media = found("/mnt/again/a", 1, kind=ArtefactKind.INSTALL_MEDIA, retain_reason="read-only-media")
    assert RefusalCode.SHARED_BY_DOMAIN in codes(TOP, media)


def test_memory_goes_before_disks_and_logs_come_last():
    """The order of erasing is keys, memory, disks, the rest (docs/design.md, step 6)."""
    log = found("/var/log/console", 5, kind=ArtefactKind.CONSOLE_LOG)
    save = found("/var/lib/save", 6, kind=ArtefactKind.MEMORY_IMAGE)
    plan = make_plan(inventory(log, TOP, save), 1, RULES)
    assert [step.kind for step in plan.steps] == ["memory-image", "disk-image", "console-log"]


@pytest.mark.parametrize(
    ("filesystem", "reason"),
    [
        (FilesystemFacts("btrfs", cow=True), "cow-filesystem"),
        (FilesystemFacts("ext4", data_journal=True), "journaled-data"),
        (FilesystemFacts("nfs", local=False), "opaque-storage"),
        (FilesystemFacts("zfs"), "opaque-storage"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_proven_is_foretold(filesystem, reason):
    """The plan says before the first byte that the outcome will be not-sanitized, and why."""
    plan = make_plan(inventory(found("/srv/phones/a", 1, filesystem=filesystem)), 1, RULES)
    assert (plan.expected_outcome, plan.expected_reasons) == ("not-sanitized", (reason,))


def test_drift_names_every_difference():
    """Another inode, another format, a new or a lost artefact, and a changed base are each drift."""
    plan = make_plan(inventory(TOP, GOLDEN), 1, RULES)
    assert drift(plan, plan) == ()

    def seen(*artefacts):
        return {(refusal.code, refusal.location) for refusal in drift(plan, make_plan(inventory(*artefacts), 1, RULES))}

    assert seen(found("/srv/phones/a", 9), GOLDEN) == {("identity-changed", "/srv/phones/a")}
    assert ("drift", "/srv/phones/a") in seen(found("/srv/phones/a", 1, format="raw"), GOLDEN)
    assert ("drift", "/srv/phones/a") in seen(found("/srv/phones/z", 4), GOLDEN)
    assert ("drift", "/srv/phones/z") in seen(TOP, GOLDEN, found("/srv/phones/z", 4))
    assert ("drift", "/srv/golden/base") in seen(TOP)
    assert drift(plan, replace(plan, generation=2)) != ()


def test_what_stopping_a_phone_made_libvirt_forget_is_named():
    """A step of the first plan whose inode the second one has nowhere; a moved or added file is the plan's own affair."""
    extra = found("/srv/phones/plugged", 9)
    first = make_plan(inventory(TOP, extra, GOLDEN), 1, RULES)
    assert [(item.code, item.location) for item in forgotten(first, make_plan(inventory(TOP, GOLDEN), 1, RULES))] == [("drift", "/srv/phones/plugged")]
    swapped = forgotten(first, make_plan(inventory(TOP, found("/srv/phones/plugged", 10), GOLDEN), 1, RULES))
    assert [(item.code, item.location) for item in swapped] == [("identity-changed", "/srv/phones/plugged")]
    for again in (extra, found("/srv/phones/renamed", 9)):
        assert forgotten(first, make_plan(inventory(TOP, again, GOLDEN), 1, RULES)) == ()
    assert forgotten(make_plan(inventory(TOP, GOLDEN), 1, RULES), first) == ()


@pytest.mark.parametrize(
    ("kind", "location", "gone", "replaced"),
    [
        ("tpm-state", "/libvirt/swtpm/u/tpm2/tpm2-00.permall", "", ""),
        ("shared-directory", "/srv/phones/shared/mail", "", ""),
        ("shared-directory", "/srv/phones/not-shared-any-more/mail", "drift", "identity-changed"),
        ("memory-image", "/libvirt/save/phone.save", "", ""),
        ("memory-image", "/srv/phones/snapshot.mem", "drift", "identity-changed"),
        ("console-log", "/logs/console.log", "drift", ""),
        ("console-log", "/logs/other.log.3", "", ""),
        ("libvirt-secret", "/secrets/s.base64", "drift", ""),
        ("nvram", "/libvirt/nvram/phone.fd", "drift", "identity-changed"),
        ("snapshot-overlay", "/srv/phones/overlay", "drift", "identity-changed"),
        ("core-dump", "/dump/phone.core", "drift", "identity-changed"),
        ("extra", "/srv/phones/copy", "drift", "identity-changed"),
    ],
)
def test_only_what_is_rewritten_in_the_normal_course_may_change_while_a_phone_stops(kind, location, gone, replaced):
    """The guest's own deletions, swtpm, log rotation and libvirt's rewriting do not keep a phone from being wiped; a swapped image does."""
    rest = (TOP, GOLDEN, found("/logs/other.log", 50, kind=ArtefactKind.CONSOLE_LOG))

    def plan(*artefacts):
        return replace(make_plan(inventory(*rest, *artefacts), 1, RULES), name="phone")

    first = plan(found(location, 9, kind=ArtefactKind(kind)))
    assert [step.location for step in first.steps if step.kind == kind and step.identity.inode == 9] == [location]

    def codes(again):
        return "".join(item.code for item in forgotten(first, again, ("/srv/phones/shared/",)))

    assert (codes(plan()), codes(plan(found(location, 10, kind=ArtefactKind(kind))))) == (gone, replaced)


def test_a_place_that_changed_between_two_looks_keeps_both_files():
    """Two files seen at one place are both kept: none of them can become a step under another name."""
    media = [found("/srv/phones/a", inode, retain_reason="read-only-media") for inode in (1, 2)]
    plan = make_plan(inventory(*media, found("/srv/phones/b", 2)), 1, RULES)
    assert {kept.identity.inode for kept in plan.retained} == {1, 2}
    assert [refusal.code for refusal in plan.refusals] == ["shared-by-domain"]


def test_growing_is_not_drift():
    """A running phone grows: sizes and maps are no drift, and do not change the fingerprint."""
    plan = make_plan(inventory(TOP, GOLDEN), 1, RULES)
    grown = make_plan(inventory(replace(TOP, layer=replace(TOP.layer, allocated_bytes=1 << 25)), GOLDEN), 1, RULES)
    assert drift(plan, grown) == ()
    assert plan.fingerprint == grown.fingerprint


layers = st.builds(
    found,
    st.sampled_from(["/srv/phones/a", "/srv/phones/b", "/srv/golden/base", "/x"]),
    st.integers(1, 4),
    depth=st.integers(0, 3),
    owners=st.sampled_from([(PHONE,), (PHONE, NEIGHBOUR), (NEIGHBOUR,)]),
    snapshot_made=st.booleans(),
    links=st.integers(1, 2),
    under_root=st.sampled_from(["", "/srv/phones"]),
    under_protected=st.sampled_from(["", "/srv/golden"]),
    problem=st.sampled_from(["", "", "", "symlink", "missing"]),
    retain_reason=st.sampled_from(["", "", "read-only-media"]),
)


@given(st.lists(layers, max_size=6))
def test_no_executable_plan_touches_what_another_reaches(artefacts):
    """Whatever is found: in a plan without refusals no step is shared, protected, linked, outside, or kept; every file is somewhere."""
    plan = make_plan(inventory(*artefacts), 1, RULES)
    if plan.refusals:
        return
    by_identity = {}
    for item in artefacts:
        by_identity.setdefault(item.layer.identity, []).append(item)
    for step in plan.steps:
        same = [item for item in by_identity[step.identity] if item.layer.location == step.location]
        assert any(item.owners == (PHONE,) and not item.layer.under_protected and item.layer.links == 1 for item in same)
        assert step.identity not in {kept.identity for kept in plan.retained}
    told = {step.identity for step in plan.steps} | {kept.identity for kept in plan.retained}
    assert {item.layer.identity for item in artefacts} <= told | {None}


MEDIUM = {"kind": ArtefactKind.INSTALL_MEDIA, "format": "raw"}


def medium(path: str = "/srv/phones/seed.iso", *, owners=(PHONE,), claim: str = "", classified: str = "", **changes):
    """A CD image of the phone."""
    return replace(found(path, 9, owners=owners, **MEDIUM, **changes), media=True, claim=claim, classified=classified)


@pytest.mark.parametrize(
    ("cd", "reason"),
    [
        (medium(owners=(PHONE, NEIGHBOUR), claim="its name holds the phone's UUID"), "shared-by-domain"),
        (medium(under_protected="/srv/phones", claim="its name holds the phone's UUID"), "protected-root"),
        (medium(classified="golden", claim="its name holds the phone's UUID"), "classified-golden"),
        (medium(under_root="", claim="its name holds the phone's UUID"), "outside-roots"),
        (medium(problem="missing", identity=None), "missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_media_of_everybody_are_kept(cd, reason):
    """Install media survive the phone, whatever their name says."""
    plan = make_plan(inventory(TOP, cd), 1, RULES)
    assert [step.location for step in plan.steps] == ["/srv/phones/a"]
    assert [(kept.location, kept.kind, kept.reason) for kept in plan.retained] == [(cd.layer.location, "install-media", reason)]
    assert plan.refusals == ()


@pytest.mark.parametrize("said", [{"claim": "its name holds the phone's UUID"}, {"classified": "private"}], ids=["claim", "classified"])
def test_a_seed_of_the_phone_is_wiped(said):
    """A cloud-init seed made for this phone holds its secrets."""
    plan = make_plan(inventory(TOP, medium(**said)), 1, RULES)
    assert {step.kind for step in plan.steps} == {ArtefactKind.DISK_IMAGE, ArtefactKind.INSTALL_MEDIA}
    assert plan.refusals == ()


def test_a_medium_of_nobody_known_refuses():
    """Only this phone has it, and nothing says whose it is: neither kept silently nor destroyed."""
    plan = make_plan(inventory(TOP, medium()), 1, RULES)
    assert [refusal.code for refusal in plan.refusals] == [RefusalCode.AMBIGUOUS_BASE]
    assert "images classify" in plan.refusals[0].detail


def test_classification_settles_an_ambiguous_base():
    """`private`: the base goes with the phone. `golden`: it is kept. Shared or protected ones are kept whatever was said."""
    base = found("/srv/phones/base", 2, depth=1)
    wiped = make_plan(inventory(TOP, replace(base, classified="private")), 1, RULES)
    assert {(step.location, step.kind) for step in wiped.steps} >= {("/srv/phones/base", ArtefactKind.BACKING_PRIVATE)}
    kept = make_plan(inventory(TOP, replace(base, classified="golden")), 1, RULES)
    assert ([step.location for step in kept.steps], kept.retained[0].reason) == (["/srv/phones/a"], "classified-golden")
    for changes in ({"owners": (PHONE, NEIGHBOUR)}, {"under_protected": "/srv/phones"}):
        still = make_plan(inventory(TOP, replace(found("/srv/phones/base", 2, depth=1, **changes), classified="private")), 1, RULES)
        assert [step.location for step in still.steps] == ["/srv/phones/a"]


def test_a_disk_that_is_classified_as_golden_refuses():
    """A phone that writes to a golden image is a mistake that a person must settle."""
    plan = make_plan(inventory(replace(TOP, classified="golden")), 1, RULES)
    assert plan.steps == ()
    assert [refusal.code for refusal in plan.refusals] == [RefusalCode.PROTECTED_ROOT]


def device(kind: str = "loop", **block):
    """A block device that is the phone's disk."""
    return found(
        "/dev/loop7", 0, kind=ArtefactKind.BLOCK_DEVICE, format="raw", under_root="/dev/loop7",
        filesystem=FilesystemFacts("block", device="/dev/loop7"), block=BlockFacts("7:7", kind, 1 << 20, **block),
    )  # fmt: skip


def test_a_block_device_of_the_phone_is_a_step():
    """A loop device, a partition, a whole disk, a thick volume are overwritten in place."""
    for kind in ("loop", "partition", "disk", "lvm"):
        plan = make_plan(inventory(device(kind)), 1, RULES)
        assert [step.kind for step in plan.steps] == [ArtefactKind.BLOCK_DEVICE]
        assert (plan.refusals, plan.expected_outcome) == ((), "clear")


def test_a_loop_device_over_a_copy_on_write_file_is_not_proven():
    """The device is overwritten in place, the file beneath it is not."""
    cow = replace(device(), layer=replace(device().layer, filesystem=FilesystemFacts("block", device="/dev/loop7", cow=True)))
    assert make_plan(inventory(cow), 1, RULES).expected_reasons == ("cow-filesystem",)


def test_extents_of_the_golden_image_are_kept_and_said():
    """A reflinked clone: the step is the private part, the golden image is retained with the extents."""
    shared = ExtentFacts(3, 1 << 24, ("shared",), "e" * 64)
    plan = make_plan(inventory(found("/srv/phones/a", 1, format="raw", retained_extents=shared, golden="/srv/golden/base")), 1, RULES)
    assert [(step.retained_extents, step.golden) for step in plan.steps] == [(shared, "/srv/golden/base")]
    assert [(kept.location, kept.reason) for kept in plan.retained] == [("/srv/golden/base", "shared-extents")]
    assert (plan.refusals, plan.expected_outcome) == ((), "clear")
    foreign = found("/srv/phones/a", 1, format="raw", extents=ExtentFacts(1, 4096, ("shared",), "f" * 64))
    assert make_plan(inventory(foreign), 1, RULES).expected_reasons == ("extent-shared",)


def test_opaque_storage_is_refused_and_said():
    """A network disk is no file of this host: the plan says that it cannot be proven."""
    plan = make_plan(inventory(TOP, problems=(("opaque-storage", "disk vdb", "a network disk"),)), 1, RULES)
    assert [refusal.code for refusal in plan.refusals] == [RefusalCode.UNSUPPORTED_ARTEFACT]
    assert (plan.expected_outcome, plan.expected_reasons) == ("not-sanitized", ("opaque-storage",))
