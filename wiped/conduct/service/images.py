"""Images: classified by people as golden or private, or reached by no domain."""

from __future__ import annotations

import posixpath

from wiped.conduct import checks
from wiped.conduct.deeds import classify_private
from wiped.conduct.deeds.deed import Work
from wiped.conduct.sweep import orphans
from wiped.conduct.world import World
from wiped.errors import InputError
from wiped.model.approvals import Person
from wiped.model.images import GOLDEN, MEANINGS, PRIVATE, ClassifiedImage, OrphanImage


def _check(path: str, meaning: str, reason: str) -> None:
    """Raises InputError: no plain absolute path, no such meaning, no reason."""
    if meaning not in MEANINGS:
        raise InputError(f"must be {' or '.join(MEANINGS)}", where="as")
    if not path.startswith("/") or "\0" in path or posixpath.normpath(path) != path or path.startswith("//"):
        raise InputError("must be an absolute path in its plain form", where="path", hint="without .., . or repeated slashes: realpath prints it")
    if meaning == PRIVATE and not path.isprintable():
        raise InputError("has characters that another person could not read", where="path", hint="rename the image first")
    checks.given_reason(reason)


class Images:
    """What the faces may ask about images."""

    def __init__(self, world: World, work: Work) -> None:
        self._world = world
        self._work = work

    async def classify(self, path: str, meaning: str, *, reason: str, person: Person) -> ClassifiedImage:
        """Record an image as golden, in the ledger and for the helpers, as the very file that is at the path now: it only protects, so one person is
        enough. `private` takes two people, and raises RefusedError(needs-approval) once the request is recorded. Idempotent.

        Raises InputError, RefusedError with the code of every guard that refuses (missing, symlink, outside-roots...), and the world's own failures."""
        _check(path, meaning, reason)
        world = self._world
        if meaning == PRIVATE:
            return await classify_private.ask(world, path, reason=reason, person=person)
        identity = await classify_private.judged(world, path, GOLDEN, person.name)
        recorded = await classify_private.record(world, ClassifiedImage(path, identity, GOLDEN, world.clock.now(), person.name), reason)
        await self._work.image_settled()
        return recorded

    async def classified(self) -> tuple[ClassifiedImage, ...]:
        """All images that people classified, oldest first."""
        return await self._world.ledger.images.classified()

    async def orphans(self) -> tuple[tuple[OrphanImage, ...], bool, tuple[tuple[str, str], ...]]:
        """(images that no domain reaches, largest first; whether there are more; (place, why) of what could not be read). Changes nothing."""
        found, answer = await orphans.orphans(self._world)
        self._world.conditions.orphan_images = len(found)
        return found, answer.truncated, answer.problems
