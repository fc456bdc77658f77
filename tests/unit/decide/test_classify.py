"""May this file be called golden, or a phone's own?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from wiped.decide.classify import NOBODY, found_at, nobodys, refusals_of
from wiped.model.inventory import ArtefactKind, FileIdentity, FoundArtefact, ImageLayer, Inventory

PATH = "/phones/base.qcow2"
LAYER = ImageLayer(PATH, "raw", identity=FileIdentity(1, 2), under_root="/phones")


def found(layer: ImageLayer = LAYER, owners: tuple[str, ...] = (NOBODY,)) -> FoundArtefact:
    """As the survey of nobody finds it."""
    return FoundArtefact(ArtefactKind.DISK_IMAGE, layer, target="file0", owners=owners)


@pytest.mark.parametrize("meaning", ["golden", "private"])
@pytest.mark.parametrize(
    ("layer", "code"),
    [
        (replace(LAYER, problem="missing", identity=None), "missing"),
        (replace(LAYER, problem="symlink", identity=None), "symlink"),
        (replace(LAYER, problem="not-regular"), "not-regular"),
        (replace(LAYER, identity=None), "unreadable"),
        (replace(LAYER, under_root=""), "outside-roots"),
        (replace(LAYER, under_root="", libvirt_owned=True), "outside-roots"),
    ],
)
def test_what_is_no_image_of_ours_is_not_classified(layer: ImageLayer, code: str, meaning: str) -> None:
    """Whatever it is to be called."""
    assert [refusal.code for refusal in refusals_of(found(layer), PATH, meaning)] == [code]
    assert [refusal.code for refusal in refusals_of(None, PATH, meaning)] == ["missing"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (found(replace(LAYER, under_protected="/phones")), "protected-root"),
        (found(owners=(NOBODY, "a", "b")), "shared-by-domain"),
        (found(replace(LAYER, links=2)), "hard-link"),
    ],
)
def test_what_may_be_somebody_elses_is_never_called_private(item: FoundArtefact, code: str) -> None:
    """Golden it may be called: that protects."""
    assert [refusal.code for refusal in refusals_of(item, PATH, "private")] == [code]
    assert refusals_of(item, PATH, "golden") == ()


def test_the_base_of_one_phone_may_be_called_either() -> None:
    """Nobody's, or one phone's."""
    for owners in ((NOBODY,), (NOBODY, "a")):
        for meaning in ("golden", "private"):
            assert refusals_of(found(owners=owners), PATH, meaning) == ()


def test_only_the_file_itself_is_found() -> None:
    """Not what else a survey brings: another artefact, or a layer beneath."""
    domain = nobodys((PATH,))
    log = FoundArtefact(ArtefactKind.CONSOLE_LOG, LAYER)
    beneath = replace(found(), depth=1)
    assert found_at(Inventory(domain, (log, beneath)), PATH) is None
    assert found_at(Inventory(domain, (log, beneath, found())), PATH) == found()
    assert [disk.format for disk in domain.disks] == ["raw"]
