"""Wipes: asked for by an operator, looked at, and followed as server-sent events."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, as_json, bytes_of, parsed, person_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.http.problems import from_error
from wiped.api.v1.fields import Change, Instant, PhoneName, PhoneUuid, ReasonOut, ReasonText, StrictIn, Text, change_out, reasons_out
from wiped.api.v1.phones import phone_of_query
from wiped.decide.verdict import judge
from wiped.errors import WipedError
from wiped.model.records import ArtefactRecord, ArtefactState, WipeRecord
from wiped.model.status import WipeAsked, WipeNews, WipeProgress
from wiped.ports.service import PhonesService, WipesService

#: A comment on an idle event stream, so that both ends notice a dead peer, seconds.
KEEP_ALIVE = 15.0


class WipeIn(StrictIn):
    """Body of `POST /v1/wipes`. `reason` is for people, sealed in the ledger and never in a log; `confirm` is the phone's name, typed."""

    phone: PhoneUuid
    reason: ReasonText
    ticket: Text = ""
    confirm: Annotated[str, Field(max_length=1024)]


class TriggerOut(BaseModel):
    """Why a wipe was begun; `operator` and `approver` are staff."""

    kind: str
    ground: str
    reference: str
    operator: str
    approver: str


class WipedArtefactOut(BaseModel):
    """One artefact of a wipe; `outcome` "" while nothing is judged."""

    id: str
    kind: str
    location: str
    method: str
    state: str
    outcome: str
    reasons: list[str]
    bytes_overwritten: int
    bytes_verified: int
    mismatches: int
    verified_via: str


class WipeOut(BaseModel):
    """One wipe; `state` is the step it has reached, `outcome` "" until it is judged."""

    id: str
    phone: PhoneName
    state: str
    trigger: TriggerOut
    outcome: str
    reasons: list[str]
    residuals: list[str]
    certificate_id: str
    attempt: int
    retry_at: Instant | None
    started_at: Instant
    finished_at: Instant | None
    artefacts: list[WipedArtefactOut]


class AskedOut(BaseModel):
    """The answer to a request for a manual wipe: `id` of the wipe, "" while the request waits (`reasons` and `next` say for what)."""

    id: str
    request_id: str
    state: str
    reasons: list[ReasonOut]
    next: Change | None
    wipe: WipeOut | None


class ProgressOut(BaseModel):
    """A running wipe. `rate`: bytes a second."""

    wipe_id: str
    phone: str
    name: str
    state: str
    phase: str
    done: int
    total: int
    rate: int
    eta_seconds: int | None


class NewsOut(BaseModel):
    """One server-sent event of a wipe: `progress`, `step`, `end`."""

    event: str
    wipe_id: str
    step: str
    phase: str
    artefact_id: str
    done: int
    total: int
    eta_seconds: int | None


def _artefacts(wipe: WipeRecord) -> list[WipedArtefactOut]:
    methods = {step.artefact_id: str(step.method) for step in wipe.plan.steps} if wipe.plan else {}
    judged = {}
    if wipe.plan is not None and wipe.outcome:
        # The same pure function that signed the certificate; it knows nothing that the record does not.
        verdict = judge(
            wipe.plan,
            {item.artefact_id: item.result for item in wipe.artefacts if item.result is not None},
            {item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence is not None},
            {item.artefact_id for item in wipe.artefacts if item.state is ArtefactState.REMOVED},
            (),
        )
        judged = {item.artefact_id: item for item in verdict.artefacts}

    def one(item: ArtefactRecord) -> WipedArtefactOut:
        outcome = judged.get(item.artefact_id)
        return WipedArtefactOut(
            id=item.artefact_id,
            kind=item.kind,
            location=item.location,
            method=methods.get(item.artefact_id, ""),
            state=str(item.state),
            outcome=str(outcome.outcome) if outcome else "",
            reasons=list(outcome.reasons) if outcome else [],
            bytes_overwritten=item.result.bytes_overwritten if item.result else 0,
            bytes_verified=item.evidence.bytes_verified if item.evidence else 0,
            mismatches=item.evidence.mismatches if item.evidence else 0,
            verified_via=item.evidence.via if item.evidence else "",
        )

    return [one(item) for item in wipe.artefacts]


def wipe_out(wipe: WipeRecord) -> WipeOut:
    """The document of one wipe. Seeds and rename targets stay in the ledger."""
    trigger = wipe.trigger
    return WipeOut(
        id=wipe.id,
        phone=PhoneName(uuid=wipe.uuid, name=wipe.name, generation=wipe.generation),
        state=str(wipe.step),
        trigger=TriggerOut(kind=trigger.kind, ground=trigger.ground, reference=trigger.reference, operator=trigger.operator, approver=trigger.approver),
        outcome=wipe.outcome,
        reasons=list(wipe.reasons),
        residuals=list(wipe.residuals),
        certificate_id=wipe.certificate_id,
        attempt=wipe.attempt,
        retry_at=wipe.retry_at,
        started_at=wipe.started_at,
        finished_at=wipe.finished_at,
        artefacts=_artefacts(wipe),
    )


def asked_out(asked: WipeAsked) -> AskedOut:
    """The answer to a request for a manual wipe."""
    decision = asked.decision
    return AskedOut(
        id=asked.wipe.id if asked.wipe else "",
        request_id=asked.request_id,
        state=str(asked.wipe.step if asked.wipe else decision.state),
        reasons=reasons_out(decision.reasons),
        next=change_out(decision.next_state, decision.next_at),
        wipe=None if asked.wipe is None else wipe_out(asked.wipe),
    )


def progress_out(item: WipeProgress) -> ProgressOut:
    """The progress of a running wipe."""
    return ProgressOut(
        wipe_id=item.wipe_id,
        phone=item.uuid,
        name=item.name,
        state=str(item.step),
        phase=item.phase,
        done=item.done,
        total=item.total,
        rate=item.rate,
        eta_seconds=item.eta_seconds,
    )


def news_out(news: WipeNews) -> NewsOut:
    """One event of a wipe."""
    return NewsOut(
        event=news.event,
        wipe_id=news.wipe_id,
        step=str(news.step),
        phase=news.phase,
        artefact_id=news.artefact_id,
        done=news.done,
        total=news.total,
        eta_seconds=news.eta_seconds,
    )


class WipeHandlers:
    """The routes of wipes."""

    def __init__(self, wipes: WipesService, phones: PhonesService, idempotency: Idempotency) -> None:
        self._wipes = wipes
        self._phones = phones
        self._idempotency = idempotency

    async def find(self, request: web.Request) -> web.Response:
        """Wipes, newest first: all, or one phone's."""
        return as_items([wipe_out(wipe) for wipe in await self._wipes.find(await phone_of_query(request, self._phones))])

    async def get(self, request: web.Request) -> web.Response:
        """One wipe."""
        return as_json(wipe_out(await self._wipes.get(request.match_info["id"])))

    async def ask(self, request: web.Request) -> web.Response:
        """Ask for a manual wipe: it is accepted, runs already, or is refused with the code of every guard that refuses."""
        asked = parsed(WipeIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return asked_out(await self._wipes.ask(asked.phone, reason=asked.reason, ticket=asked.ticket, confirm=asked.confirm, person=person))

        # The reason is sealed in the ledger (R11): not even its digest is kept beside it.
        return await self._idempotency.once(request, asked.model_dump(exclude={"reason"}), act, 202)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream a wipe's events until the wipe ends."""
        news = aiter(self._wipes.events(request.match_info["id"]))
        # An unknown wipe must be a problem document: ask for the first event before the stream's headers are sent.
        upcoming: asyncio.Task[Any] = asyncio.ensure_future(anext(news))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        try:
            item = await upcoming
            await response.prepare(request)
            while True:
                document = news_out(item)
                await response.write(f"event: {document.event}\ndata: {document.model_dump_json()}\n\n".encode())
                upcoming = asyncio.ensure_future(anext(news))
                while not (await asyncio.wait({upcoming}, timeout=KEEP_ALIVE))[0]:
                    await response.write(b": still here\n\n")
                item = upcoming.result()
        except (StopAsyncIteration, ConnectionError):
            pass
        except WipedError as error:
            if not response.prepared:
                raise
            problem = from_error(error)
            await response.write(b"event: problem\ndata: " + bytes(problem.body if isinstance(problem.body, bytes) else b"{}") + b"\n\n")
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
            close = getattr(news, "aclose", None)
            if close is not None:
                await close()
        return response
