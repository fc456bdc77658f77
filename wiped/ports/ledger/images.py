"""Images as people classified them."""

from __future__ import annotations

from typing import Protocol

from wiped.model.images import ClassifiedImage


class ImageStore(Protocol):
    """Images as people classified them."""

    async def classify(self, image: ClassifiedImage, *, reason: str, approver: str = "") -> ClassifiedImage:
        """An image as a person settled it (audited; `reason` is sealed). The same again changes nothing and returns what was recorded; another
        meaning, or another file at the path, replaces it."""

    async def classified(self) -> tuple[ClassifiedImage, ...]:
        """All of them, oldest first."""
