"""What is remembered of a plan: its own files, as the eraser will want to see them again."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.decide.nouns import PHONE, found, inventory
from wiped.decide.plan import make_plan
from wiped.decide.vanished import files_of
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.plan import Refusal, RefusalCode, Retained
from wiped.model.policy import StorageRules
from wiped.model.sightings import RememberedFile

RULES = StorageRules(roots=("/srv/phones",))


def test_the_files_of_a_plan_are_what_it_erases_alone() -> None:
    """Kind, place, identity, and whether it is this host's; not what is kept (by place or by file), not what is refused, and no device. What only the running
    phone names is its own all the same."""
    plan = make_plan(
        inventory(*(found(f"/srv/phones/{name}", number) for number, name in enumerate(("own", "kept", "same", "refused", "live", "device"), 1))), 1, RULES
    )
    steps = [
        replace(step, filesystem=replace(step.filesystem, fs_type="block")) if step.location.endswith("device")
        else replace(step, filesystem=replace(step.filesystem, local=False)) if step.location.endswith("live") else step
        for step in plan.steps
    ]  # fmt: skip
    plan = replace(
        plan,
        steps=tuple(steps),
        retained=(Retained("/srv/phones/kept", "golden-image", "x", None), Retained("/elsewhere", "golden-image", "x", FileIdentity(7, 3))),
        refusals=(Refusal(RefusalCode.HARD_LINK, "/srv/phones/refused", ""), Refusal(RefusalCode.LIVE_ONLY, "/srv/phones/live", "")),
    )
    assert set(files_of(plan)) == {
        RememberedFile(ArtefactKind.DISK_IMAGE, "/srv/phones/own", FileIdentity(7, 1), local=True),
        RememberedFile(ArtefactKind.DISK_IMAGE, "/srv/phones/live", FileIdentity(7, 5), local=False),
    }
    assert plan.uuid == PHONE
