"""Every guard between a phone and the eraser."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.decide.nouns import NEIGHBOUR, PHONE, found, inventory
from tests.unit.decide.test_plan import RULES, TOP, codes, device
from wiped.decide.plan import make_plan
from wiped.decide.refusal import confirmation
from wiped.model.inventory import DiskSource, JobKind
from wiped.model.plan import RefusalCode


@pytest.mark.parametrize(
    ("artefact", "code"),
    [
        (found("/srv/phones/a", 1, owners=(PHONE, NEIGHBOUR)), RefusalCode.SHARED_BY_DOMAIN),
        (found("/srv/phones/a", 1, under_protected="/srv/phones"), RefusalCode.PROTECTED_ROOT),
        (found("/etc/passwd", 1, under_root=""), RefusalCode.OUTSIDE_ROOTS),
        (found("/srv/phones/a", 1, links=2), RefusalCode.HARD_LINK),
        (found("/srv/phones/a", 1, problem="symlink"), RefusalCode.SYMLINK),
        (found("/srv/phones/a", 1, problem="not-regular"), RefusalCode.NOT_REGULAR),
        (found("/srv/phones/a", 1, problem="untrusted-format"), RefusalCode.UNTRUSTED_FORMAT),
        (found("/srv/phones/a", 1, problem="external-data-file"), RefusalCode.EXTERNAL_DATA_FILE),
        (found("/srv/phones/a", 1, problem="vanished"), RefusalCode.MISSING),
        (found("/srv/phones/a", 1, problem="a-word-of-tomorrow"), RefusalCode.UNREADABLE),
        (found("/srv/phones/a", 1, in_use=True), RefusalCode.IN_USE),
        (found("/srv/phones/a", 1, identity=None), RefusalCode.UNREADABLE),
        (found("/srv/phones/a", 1, extents=None), RefusalCode.UNREADABLE),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_guarded_file_is_never_a_step(artefact, code):
    """Each guard keeps its file out of the steps and says why; without it the file would be overwritten."""
    plan = make_plan(inventory(artefact), 1, RULES)
    assert plan.steps == ()
    assert code in {refusal.code for refusal in plan.refusals}


def test_busy_shareable_and_unreached_places_refuse():
    """A running job, a shareable disk and an unsupported place each stop the plan."""
    domain = inventory().domain
    assert RefusalCode.DOMAIN_BUSY in codes(TOP, domain=replace(domain, job=JobKind.SAVE))
    shareable = (DiskSource("vda", "file", "/srv/phones/a", "raw", shareable=True),)
    assert RefusalCode.SHAREABLE_DISK in codes(TOP, domain=replace(domain, disks=shareable))
    assert RefusalCode.UNSUPPORTED_ARTEFACT in codes(TOP, problems=(("unsupported-artefact", "vdb", "a network disk"),))


def test_a_domain_without_storage_refuses():
    """No artefact at all would be a vacuous proof: refused."""
    assert codes() == {RefusalCode.MISSING}


def test_confirmation_takes_exactly_the_name():
    """Only the exact name confirms; an empty name never does."""
    assert confirmation("phone-1", "phone-1") is None
    for typed in ("", "phone-2", "phone-1 ", "PHONE-1"):
        answer = confirmation("phone-1", typed)
        assert answer is not None
        assert answer.code == RefusalCode.WRONG_CONFIRMATION
    assert confirmation("", "") is not None


@pytest.mark.parametrize("kind", ["lvm-thin", "lvm-snapshot", "raid", "multipath", "crypt", "device-mapper", "other", "of-tomorrow"])
def test_a_device_that_may_keep_old_blocks_refuses(kind):
    """What maps blocks elsewhere is not overwritten; a kind that we do not know is among them."""
    plan = make_plan(inventory(device(kind)), 1, RULES)
    assert (plan.steps, [refusal.code for refusal in plan.refusals]) == ((), [RefusalCode.UNSUPPORTED_ARTEFACT])


@pytest.mark.parametrize("code", [RefusalCode.MOUNTED, RefusalCode.IN_USE])
def test_a_device_that_the_kernel_says_another_has_refuses(code):
    """A mount, swap, a holder: overwriting would destroy it."""
    plan = make_plan(inventory(device(claims=((str(code), "mounted at /"),))), 1, RULES)
    assert (plan.steps, [refusal.code for refusal in plan.refusals]) == ((), [code])
