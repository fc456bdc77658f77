"""Images as people classified them, in the fake ledger."""

from __future__ import annotations

from tests.fakes.ledger.state import Memo
from wiped.errors import InvariantError
from wiped.model.images import PRIVATE, ClassifiedImage


class FakeImages:
    """`ports.ledger.ImageStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def classify(self, image: ClassifiedImage, *, reason: str, approver: str = "") -> ClassifiedImage:
        self._state.write()
        before = self._state.images.get(image.path)
        if before is not None and (before.identity, before.meaning) == (image.identity, image.meaning):
            return before
        if image.meaning == PRIVATE and approver in ("", image.operator):
            raise InvariantError("R14", "calling an image private takes two people")
        self._state.images[image.path] = image
        self._state.log("classified", {"as": image.meaning, "was": before.meaning if before else "", "operator": image.operator}, image.at)
        return image

    async def classified(self) -> tuple[ClassifiedImage, ...]:
        return tuple(self._state.images.values())
