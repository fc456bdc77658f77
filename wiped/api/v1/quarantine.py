"""The quarantine: wipes without proof, tried again or disposed of by two people."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, as_json, bytes_of, check_key, parsed, person_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.v1.fields import PhoneUuid, ReasonText, StrictIn, Text
from wiped.api.v1.wipes import wipe_out
from wiped.ports.service import QuarantineService, WipesService


class DisposeIn(StrictIn):
    """Body of `POST /v1/quarantine:dispose`. `reference`: the case number of the decision, which the incident record repeats; `confirm`:
    the phone's name, typed."""

    phone: PhoneUuid
    reason: ReasonText
    reference: Annotated[Text, Field(min_length=1)]
    confirm: Annotated[str, Field(max_length=1024)]


class QuarantineHandlers:
    """The routes of the quarantine."""

    def __init__(self, quarantine: QuarantineService, wipes: WipesService, idempotency: Idempotency) -> None:
        self._quarantine = quarantine
        self._wipes = wipes
        self._idempotency = idempotency

    async def find(self, _request: web.Request) -> web.Response:
        """Wipes that wait in quarantine."""
        return as_items([wipe_out(wipe) for wipe in await self._quarantine.find()])

    async def retry(self, request: web.Request) -> web.Response:
        """Try a quarantined wipe again now."""
        operator = request[CALLER].name

        async def act() -> BaseModel:
            wipe = await self._wipes.get(request.match_info["id"])
            return wipe_out(await self._quarantine.retry(wipe.uuid, operator=operator))

        return await self._idempotency.once(request, {}, act, 202)

    async def dispose(self, request: web.Request) -> web.Response:
        """Ask to accept that a wipe cannot be proven: the only way out of quarantine without proof. Takes two people. The request is recorded once, so it
        needs no Idempotency-Key."""
        check_key(request.headers.get("Idempotency-Key", "-"))
        asked = parsed(DisposeIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])
        wipe = await self._quarantine.dispose(asked.phone, reason=asked.reason, reference=asked.reference, confirm=asked.confirm, person=person)
        return as_json(wipe_out(wipe))
