"""The fake service's part about images."""

from __future__ import annotations

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import APPROVAL_ID, NOW, UUID_ONE
from wiped.errors import RefusedError
from wiped.model.approvals import Person
from wiped.model.images import ClassifiedImage, OrphanImage
from wiped.model.inventory import FileIdentity


class FakeImages:
    """Implements `wiped.ports.service.ImagesService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def classify(self, path: str, meaning: str, *, reason: str, person: Person) -> ClassifiedImage:
        self._desk.ask("classify_image", path, meaning, reason, person.name)
        if meaning == "private":
            raise RefusedError("calling an image private takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)
        return ClassifiedImage(path, FileIdentity(1, 2), meaning, NOW, person.name)

    async def classified(self) -> tuple[ClassifiedImage, ...]:
        self._desk.ask("classified_images")
        return (ClassifiedImage("/srv/b\udcffse.qcow2", FileIdentity(1, 2), "golden", NOW, "ann"),)

    async def orphans(self) -> tuple[tuple[OrphanImage, ...], bool, tuple[tuple[str, str], ...]]:
        self._desk.ask("orphans")
        lost = OrphanImage("/srv/lost\x1b[31m.raw", 4096, 8192, "2026-01-01T00:00:00.000000Z", UUID_ONE, "phone-one")
        return (lost,), False, (("/srv/locked", "Permission denied"),)
