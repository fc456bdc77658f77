"""Port Sheets in memory."""

from __future__ import annotations

from collections.abc import Sequence

from wiped.model.images import ClassifiedImage
from wiped.model.sightings import Memory, RememberedFile


class FakeSheets:
    """Port Sheets: outlives power cuts, as files do."""

    def __init__(self) -> None:
        self.images: dict[str, ClassifiedImage] = {}
        self.phones: dict[str, tuple[Memory, tuple[RememberedFile, ...]]] = {}

    async def classify(self, image: ClassifiedImage) -> None:
        self.images[image.path] = image

    async def remember(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        self.phones[memory.uuid] = (memory, tuple(files))

    async def forget(self, uuid: str) -> None:
        self.phones.pop(uuid, None)

    async def count(self) -> int:
        return len(self.images) + len(self.phones)
