"""One method per route: read the request, ask the service, shape the answer. Errors are the middleware's business."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from wiped.api import documents as doc
from wiped.api import guards, images, shaping
from wiped.api.http.bodies import CALLER, MAX_BODY, MAX_IMPORT, as_items, as_json, bytes_of, check_key, may_read, number_of, parsed, person_of, uuid_of
from wiped.api.http.openapi import openapi
from wiped.api.http.problems import from_error
from wiped.api.promises import PromiseHandlers
from wiped.api.v1.explain import explain_out
from wiped.api.v1.routes import OPERATIONS
from wiped.errors import WipedError
from wiped.model.subscription import SubscriptionRecord
from wiped.ports.service import ServicePort

#: (bytes of an import file, its form or "") -> records; `observe.feed.importing.parse_subscriptions`, handed in.
ParseImport = Callable[[bytes, str], tuple[SubscriptionRecord, ...]]

#: At most so many audit entries in one answer.
MAX_AUDIT = 1_000
#: A comment on an idle event stream, so that both ends notice a dead peer, seconds.
KEEP_ALIVE = 15.0

_FORMS = {"application/x-ndjson": "jsonl", "application/jsonl": "jsonl", "text/csv": "csv", "application/octet-stream": "", "text/plain": ""}


class Handlers(PromiseHandlers):
    """The routes over one service."""

    def __init__(self, service: ServicePort, parse_import: ParseImport) -> None:
        super().__init__(service)
        self._parse_import = parse_import

    # -- looking
    async def status(self, _request: web.Request) -> web.Response:
        """The host at a glance."""
        return as_json(shaping.status_out(await self._service.status()))

    async def phones(self, request: web.Request) -> web.Response:
        """All phones, by state or by name."""
        if (name := request.query.get("name")) is not None:
            return as_items([shaping.phone_out(await self._service.resolve(name))])
        return as_items([shaping.phone_out(phone) for phone in await self._service.phones(request.query.getall("state", []))])

    async def phone(self, request: web.Request) -> web.Response:
        """One phone."""
        return as_json(shaping.phone_out(await self._service.resolve(uuid_of(request))))

    async def plan(self, request: web.Request) -> web.Response:
        """The plan."""
        return as_json(shaping.plan_out(await self._service.plan(uuid_of(request))))

    async def explain(self, request: web.Request) -> web.Response:
        """Every reason."""
        return as_json(explain_out(await self._service.explain(uuid_of(request)), words=may_read(request[CALLER])))

    async def subscriptions(self, _request: web.Request) -> web.Response:
        """All current terms."""
        return as_items([shaping.subscription_out(term) for term in await self._service.subscriptions()])

    async def wipes(self, request: web.Request) -> web.Response:
        """Wipes, newest first."""
        phone = request.query.get("phone", "")
        uuid = (await self._service.resolve(phone)).uuid if phone else ""
        return as_items([shaping.wipe_out(wipe) for wipe in await self._service.wipes(uuid)])

    async def quarantine(self, _request: web.Request) -> web.Response:
        """What could not be proven."""
        return as_items([shaping.wipe_out(wipe) for wipe in await self._service.quarantine()])

    async def wipe(self, request: web.Request) -> web.Response:
        """One wipe."""
        return as_json(shaping.wipe_out(await self._service.wipe(request.match_info["id"])))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events until the wipe ends."""
        news = aiter(self._service.events(request.match_info["id"]))
        # An unknown wipe must be a problem document: ask for the first event before the stream's headers are sent.
        upcoming: asyncio.Task[Any] = asyncio.ensure_future(anext(news))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        try:
            item = await upcoming
            await response.prepare(request)
            while True:
                document = shaping.news_out(item)
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

    async def certificate(self, request: web.Request) -> web.Response:
        """The envelope, byte for byte."""
        record = await self._service.certificate(request.match_info["id"])
        headers = {"Wiped-Certificate-Id": record.id, "Wiped-Certificate-Kind": record.kind}
        return web.Response(body=record.envelope, content_type="application/vnd.dsse.envelope.v1+json", headers=headers)

    async def public_key(self, _request: web.Request) -> web.Response:
        """The key that verifies this host's certificates."""
        return web.Response(body=self._service.public_key(), content_type="application/x-pem-file")

    async def audit(self, request: web.Request) -> web.Response:
        """Entries of the hash chain."""
        after = number_of(request, "after", 0, 0, 2**62)
        limit = number_of(request, "limit", 100, 1, MAX_AUDIT)
        if "last" in request.query:
            limit = number_of(request, "last", 100, 1, MAX_AUDIT)
            after = max(after, await self._head() - limit)
        return as_items([shaping.audit_out(entry) for entry in await self._service.audit(after=after, limit=limit)])

    async def audit_head(self, request: web.Request) -> web.Response:
        """What this host signs of the log's first `seq` entries."""
        seq = number_of(request, "seq", 0, 1, 2**62)
        return web.Response(body=await self._service.audit_head(seq), content_type="application/vnd.dsse.envelope.v1+json")

    async def _head(self) -> int:
        """The seq of the last entry: entries are numbered without a gap, so a search by halves finds it."""
        beyond = 1
        while await self._service.audit(after=beyond - 1, limit=1):
            beyond *= 2
        low, high = beyond // 2, beyond
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if await self._service.audit(after=middle - 1, limit=1) else (low, middle)
        return low

    # -- changing
    async def set_subscription(self, request: web.Request) -> web.Response:
        """Bind or renew. Idempotent by nature, so that nothing about the account needs to be remembered for the key."""
        check_key(request.headers.get("Idempotency-Key", "-"))
        record = parsed(doc.SubscriptionIn, await bytes_of(request, MAX_BODY)).record(uuid_of(request))
        return as_json(shaping.subscription_out(await self._service.set_subscription(record, person_of(request[CALLER]))))

    async def import_subscriptions(self, request: web.Request) -> web.Response:
        """All or nothing. Idempotent by nature, as above."""
        check_key(request.headers.get("Idempotency-Key", "-"))
        if request.content_type not in _FORMS:
            raise web.HTTPUnsupportedMediaType(reason=f"one of {', '.join(_FORMS)}")
        data = await bytes_of(request, MAX_IMPORT)
        # A million lines take seconds: not on the event loop.
        records = await asyncio.to_thread(self._parse_import, data, _FORMS[request.content_type])
        terms = await self._service.import_subscriptions(records, operator=request[CALLER].name)
        return as_json(doc.ImportedOut(imported=len(terms), items=[shaping.subscription_out(term) for term in terms]))

    async def request_wipe(self, request: web.Request) -> web.Response:
        """A manual wipe: accepted, running, or refused with every code."""
        asked = parsed(doc.WipeIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return shaping.asked_out(
                await self._service.request_wipe(asked.phone, reason=asked.reason, ticket=asked.ticket, confirm=asked.confirm, person=person)
            )

        # The reason is sealed in the ledger (R11): not even its digest stands beside it.
        return await self._remembered(request, asked.model_dump(exclude={"reason"}), act, 202)

    async def retry(self, request: web.Request) -> web.Response:
        """Try a quarantined wipe again now."""
        operator = request[CALLER].name

        async def act() -> BaseModel:
            wipe = await self._service.wipe(request.match_info["id"])
            return shaping.wipe_out(await self._service.retry(wipe.uuid, operator=operator))

        return await self._remembered(request, {}, act, 202)

    # -- the guards of the host
    async def breaker(self, _request: web.Request) -> web.Response:
        """The breaker and whom it holds back."""
        return as_json(guards.breaker_out(await self._service.breaker()))

    async def release_breaker(self, request: web.Request) -> web.Response:
        """Let exactly the waiting phones go; takes two people."""
        asked = parsed(guards.ReleaseIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            before = await self._service.release_breaker(fingerprint=asked.fingerprint, reason=asked.reason, person=person)
            return guards.breaker_out(before, released=True)

        return await self._remembered(request, {"fingerprint": asked.fingerprint}, act, 200)

    async def clock(self, _request: web.Request) -> web.Response:
        """What is thought of the clock."""
        return as_json(guards.clock_out(await self._service.clock()))

    async def trust_clock(self, request: web.Request) -> web.Response:
        """The clock is right as it stands."""
        asked = parsed(guards.TrustIn, await bytes_of(request, MAX_BODY))
        operator = request[CALLER].name

        async def act() -> BaseModel:
            return guards.clock_out(await self._service.trust_clock(reason=asked.reason, operator=operator), trusted=True)

        return await self._remembered(request, {}, act, 200)

    # -- what people settle
    async def classify_image(self, request: web.Request) -> web.Response:
        """Golden; or private, which takes two people. Idempotent by nature."""
        check_key(request.headers.get("Idempotency-Key", "-"))
        asked = parsed(images.ClassifyIn, await bytes_of(request, MAX_BODY))
        found = await self._service.classify_image(asked.path, asked.meaning, reason=asked.reason, person=person_of(request[CALLER]))
        return as_json(images.classified_out(found))

    async def classified_images(self, _request: web.Request) -> web.Response:
        """What was settled."""
        return as_items([images.classified_out(image) for image in await self._service.classified_images()])

    async def orphans(self, _request: web.Request) -> web.Response:
        """What no domain reaches."""
        return as_json(images.orphans_out(*await self._service.orphans()))

    async def dispose(self, request: web.Request) -> web.Response:
        """The only way out of quarantine without proof; takes two people. The wish is recorded once, so no key is needed."""
        check_key(request.headers.get("Idempotency-Key", "-"))
        asked = parsed(images.DisposeIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])
        wipe = await self._service.dispose(asked.phone, reason=asked.reason, reference=asked.reference, confirm=asked.confirm, person=person)
        return as_json(shaping.wipe_out(wipe))

    # -- the daemon itself
    async def healthz(self, _request: web.Request) -> web.Response:
        """Alive: the event loop answers."""
        return web.json_response({"alive": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Ready: 200, or 503 with what is missing."""
        checks = await self._service.readiness()
        ready = not any(checks.values())
        return as_json(doc.ReadyOut(ready=ready, checks=checks), status=200 if ready else 503)

    async def openapi(self, _request: web.Request) -> web.Response:
        """This API."""
        return web.json_response(openapi(OPERATIONS))
