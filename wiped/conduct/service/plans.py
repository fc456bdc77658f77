"""Plans of wipes that have not begun."""

from __future__ import annotations

from wiped.conduct import checks, survey
from wiped.conduct.results import GoneError
from wiped.conduct.world import World
from wiped.errors import RefusedError
from wiped.model.plan import Plan, RefusalCode


class Plans:
    """What the faces may ask about plans."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, uuid: str) -> Plan:
        """What would be destroyed, kept and refused, of a fresh survey. Changes nothing. Raises RefusedError (missing, unsupported-artefact)."""
        phone = await checks.known_phone(self._world, uuid)
        try:
            _, _, plan = await survey.look(self._world, uuid, phone.generation)
        except GoneError as error:
            raise RefusedError("libvirt knows no domain with this UUID", codes=(RefusalCode.MISSING,)) from error
        return plan
