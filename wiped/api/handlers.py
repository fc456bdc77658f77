"""One method per route: read the request, ask the service, shape the answer. Errors are the middleware's business."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from aiohttp import web
from pydantic import BaseModel, ValidationError

from wiped.api import documents as doc
from wiped.api import guards, images, shaping
from wiped.api.identity import Caller, Role
from wiped.api.openapi import Operation, openapi
from wiped.api.port import ServicePort
from wiped.api.problems import MalformedError, from_error, input_error
from wiped.errors import InputError, NotFoundError, WipedError
from wiped.model.subscription import SubscriptionRecord

#: (bytes of an import file, its form or "") -> records; `observe.feed.importing.parse_subscriptions`, handed in.
ParseImport = Callable[[bytes, str], tuple[SubscriptionRecord, ...]]

CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)

#: A JSON body is a few hundred bytes; an import is a host's phones.
MAX_BODY = 64 * 1024
MAX_IMPORT = 64 * 1024 * 1024
#: At most so many audit entries in one answer.
MAX_AUDIT = 1_000
#: A comment on an idle event stream, so that both ends notice a dead peer, seconds.
KEEP_ALIVE = 15.0

_FORMS = {"application/x-ndjson": "jsonl", "application/jsonl": "jsonl", "text/csv": "csv", "application/octet-stream": "", "text/plain": ""}

BodyT = TypeVar("BodyT", bound=BaseModel)


def _json(document: BaseModel, *, status: int = 200) -> web.Response:
    return web.Response(body=document.model_dump_json().encode(), status=status, content_type="application/json")


def _items(documents: list[BaseModel]) -> web.Response:
    return web.json_response({"items": [document.model_dump(mode="json") for document in documents]})


def _uuid(request: web.Request) -> str:
    try:
        return str(UUID(request.match_info["uuid"]))
    except ValueError:
        raise NotFoundError("is no UUID; look a name up with GET /v1/phones?name=", where="phone") from None


def _number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or not low <= int(text) <= high:
        raise InputError(f"must be a whole number from {low} to {high}", where=name)
    return int(text)


async def _bytes(request: web.Request, limit: int) -> bytes:
    """The body, at most `limit` bytes. Raises HTTPRequestEntityTooLarge."""
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    data = bytearray()
    async for piece in request.content.iter_chunked(65_536):
        data += piece
        if len(data) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(data))
    return bytes(data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise MalformedError("a key stands twice", where="body")
    return document


def _parsed(model: type[BodyT], data: bytes) -> BodyT:
    """The body as a document. Never repeats a value of it in an error."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise MalformedError("is not JSON in UTF-8", where="body") from None
    if not isinstance(value, dict):
        raise InputError("must be a JSON object", where="body")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise input_error(error) from None


class Handlers:
    """The routes over one service."""

    def __init__(self, service: ServicePort, parse_import: ParseImport) -> None:
        self._service = service
        self._parse_import = parse_import
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def _remembered(self, request: web.Request, facts: dict[str, Any], act: Callable[[], Awaitable[BaseModel]], status: int) -> web.Response:
        """Do `act` once per Idempotency-Key and caller. `facts` tell one request from another and hold nothing personal: they are kept as a digest."""
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return _json(await act(), status=status)
        _check_key(key)
        key = f"{request[CALLER].name}:{key}"
        digest = hashlib.sha256(json.dumps([request.method, request.path, facts], sort_keys=True).encode()).hexdigest()
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            answer = await self._service.replay(key, digest)
            if answer is None:
                answer = (await act()).model_dump(mode="json")
                await self._service.remember(key, digest, answer)
        return web.json_response(answer, status=status)

    # -- looking
    async def status(self, _request: web.Request) -> web.Response:
        """The host at a glance."""
        return _json(shaping.status_out(await self._service.status()))

    async def phones(self, request: web.Request) -> web.Response:
        """All phones, by state or by name."""
        if (name := request.query.get("name")) is not None:
            return _items([shaping.phone_out(await self._service.resolve(name))])
        return _items([shaping.phone_out(phone) for phone in await self._service.phones(request.query.getall("state", []))])

    async def phone(self, request: web.Request) -> web.Response:
        """One phone."""
        return _json(shaping.phone_out(await self._service.resolve(_uuid(request))))

    async def plan(self, request: web.Request) -> web.Response:
        """The plan."""
        return _json(shaping.plan_out(await self._service.plan(_uuid(request))))

    async def explain(self, request: web.Request) -> web.Response:
        """Every reason."""
        return _json(shaping.explain_out(await self._service.explain(_uuid(request))))

    async def subscriptions(self, _request: web.Request) -> web.Response:
        """All current terms."""
        return _items([shaping.subscription_out(term) for term in await self._service.subscriptions()])

    async def wipes(self, request: web.Request) -> web.Response:
        """Wipes, newest first."""
        phone = request.query.get("phone", "")
        uuid = (await self._service.resolve(phone)).uuid if phone else ""
        return _items([shaping.wipe_out(wipe) for wipe in await self._service.wipes(uuid)])

    async def quarantine(self, _request: web.Request) -> web.Response:
        """What could not be proven."""
        return _items([shaping.wipe_out(wipe) for wipe in await self._service.quarantine()])

    async def wipe(self, request: web.Request) -> web.Response:
        """One wipe."""
        return _json(shaping.wipe_out(await self._service.wipe(request.match_info["id"])))

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
        after = _number(request, "after", 0, 0, 2**62)
        limit = _number(request, "limit", 100, 1, MAX_AUDIT)
        if "last" in request.query:
            limit = _number(request, "last", 100, 1, MAX_AUDIT)
            after = max(after, await self._head() - limit)
        return _items([shaping.audit_out(entry) for entry in await self._service.audit(after=after, limit=limit)])

    async def audit_head(self, request: web.Request) -> web.Response:
        """What this host signs of the log's first `seq` entries."""
        seq = _number(request, "seq", 0, 1, 2**62)
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
        _check_key(request.headers.get("Idempotency-Key", "-"))
        record = _parsed(doc.SubscriptionIn, await _bytes(request, MAX_BODY)).record(_uuid(request))
        return _json(shaping.subscription_out(await self._service.set_subscription(record, operator=request[CALLER].name)))

    async def import_subscriptions(self, request: web.Request) -> web.Response:
        """All or nothing. Idempotent by nature, as above."""
        _check_key(request.headers.get("Idempotency-Key", "-"))
        if request.content_type not in _FORMS:
            raise web.HTTPUnsupportedMediaType(reason=f"one of {', '.join(_FORMS)}")
        data = await _bytes(request, MAX_IMPORT)
        # A million lines take seconds: not on the event loop.
        records = await asyncio.to_thread(self._parse_import, data, _FORMS[request.content_type])
        terms = await self._service.import_subscriptions(records, operator=request[CALLER].name)
        return _json(doc.ImportedOut(imported=len(terms), items=[shaping.subscription_out(term) for term in terms]))

    async def request_wipe(self, request: web.Request) -> web.Response:
        """A manual wipe: accepted, running, or refused with every code."""
        asked = _parsed(doc.WipeIn, await _bytes(request, MAX_BODY))
        operator = request[CALLER].name

        async def act() -> BaseModel:
            return shaping.asked_out(
                await self._service.request_wipe(asked.phone, reason=asked.reason, ticket=asked.ticket, confirm=asked.confirm, operator=operator)
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
        return _json(guards.breaker_out(await self._service.breaker()))

    async def release_breaker(self, request: web.Request) -> web.Response:
        """Let exactly the waiting phones go."""
        asked = _parsed(guards.ReleaseIn, await _bytes(request, MAX_BODY))
        operator = request[CALLER].name

        async def act() -> BaseModel:
            before = await self._service.release_breaker(fingerprint=asked.fingerprint, reason=asked.reason, operator=operator)
            return guards.breaker_out(before, released=True)

        return await self._remembered(request, {"fingerprint": asked.fingerprint}, act, 200)

    async def clock(self, _request: web.Request) -> web.Response:
        """What is thought of the clock."""
        return _json(guards.clock_out(await self._service.clock()))

    async def trust_clock(self, request: web.Request) -> web.Response:
        """The clock is right as it stands."""
        asked = _parsed(guards.TrustIn, await _bytes(request, MAX_BODY))
        operator = request[CALLER].name

        async def act() -> BaseModel:
            return guards.clock_out(await self._service.trust_clock(reason=asked.reason, operator=operator), trusted=True)

        return await self._remembered(request, {}, act, 200)

    # -- what people settle
    async def classify_image(self, request: web.Request) -> web.Response:
        """Golden or private. Idempotent by nature."""
        _check_key(request.headers.get("Idempotency-Key", "-"))
        asked = _parsed(images.ClassifyIn, await _bytes(request, MAX_BODY))
        found = await self._service.classify_image(asked.path, asked.meaning, reason=asked.reason, operator=request[CALLER].name)
        return _json(images.classified_out(found))

    async def classified_images(self, _request: web.Request) -> web.Response:
        """What was settled."""
        return _items([images.classified_out(image) for image in await self._service.classified_images()])

    async def orphans(self, _request: web.Request) -> web.Response:
        """What no domain reaches."""
        return _json(images.orphans_out(*await self._service.orphans()))

    async def dispose(self, request: web.Request) -> web.Response:
        """The only way out of quarantine without proof; the same request again by the same person is refused again, so no key is needed."""
        _check_key(request.headers.get("Idempotency-Key", "-"))
        asked = _parsed(images.DisposeIn, await _bytes(request, MAX_BODY))
        caller = request[CALLER]
        wipe = await self._service.dispose(
            asked.phone,
            reason=asked.reason,
            reference=asked.reference,
            confirm=asked.confirm,
            operator=caller.name,
            uid=caller.uid,
            may_approve=Role.APPROVER in caller.roles and caller.uid != 0,
        )
        return _json(shaping.wipe_out(wipe))

    # -- the daemon itself
    async def healthz(self, _request: web.Request) -> web.Response:
        """Alive: the event loop answers."""
        return web.json_response({"alive": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Ready: 200, or 503 with what is missing."""
        checks = await self._service.readiness()
        ready = not any(checks.values())
        return _json(doc.ReadyOut(ready=ready, checks=checks), status=200 if ready else 503)

    async def openapi(self, _request: web.Request) -> web.Response:
        """This API."""
        return web.json_response(openapi(OPERATIONS))


def _check_key(key: str) -> None:
    if not 1 <= len(key) <= 128 or not all("!" <= letter <= "~" for letter in key):
        raise InputError("must be 1 to 128 printable ASCII characters without spaces", where="Idempotency-Key")


_LOOK = (Role.VIEWER,)
_DO = (Role.OPERATOR,)
_SETTLE = (Role.OPERATOR, Role.APPROVER)
_CHECK = (Role.AUDITOR, Role.OPERATOR)

OPERATIONS: tuple[Operation, ...] = (
    Operation("status", "GET", "/v1/status", "The host at a glance", _LOOK, doc.StatusOut),
    Operation("phones", "GET", "/v1/phones", "Phones", _LOOK, doc.PhoneOut, lists=True,
              query=(("state", "array", "only phones in these states"), ("name", "string", "the one phone of this name or UUID"))),
    Operation("phone", "GET", "/v1/phones/{uuid}", "One phone", _LOOK, doc.PhoneOut),
    Operation("plan", "GET", "/v1/phones/{uuid}/plan", "What would be destroyed, kept and refused; changes nothing", _LOOK, doc.PlanOut),
    Operation("explain", "GET", "/v1/phones/{uuid}/explain", "State, next change, and every reason", _LOOK, doc.ExplainOut),
    Operation("set_subscription", "PUT", "/v1/phones/{uuid}/subscription", "Bind or renew one phone's term", _DO, doc.SubscriptionOut,
              body=doc.SubscriptionIn),
    Operation("subscriptions", "GET", "/v1/subscriptions", "All current terms", _LOOK, doc.SubscriptionOut, lists=True),
    Operation("import_subscriptions", "POST", "/v1/subscriptions:import", "Many terms from JSON lines or CSV, all or nothing", _DO, doc.ImportedOut,
              body_media="application/x-ndjson,text/csv"),
    Operation("request_wipe", "POST", "/v1/wipes", "A manual wipe", _DO, doc.AskedOut, body=doc.WipeIn, status=202),
    Operation("wipes", "GET", "/v1/wipes", "Wipes, newest first", _LOOK, doc.WipeOut, lists=True,
              query=(("phone", "string", "only this phone's, by UUID or name"),)),
    Operation("wipe", "GET", "/v1/wipes/{id}", "One wipe", _LOOK, doc.WipeOut),
    Operation("events", "GET", "/v1/wipes/{id}/events", "Progress as server-sent events until it ends", _LOOK, media="text/event-stream"),
    Operation("retry", "POST", "/v1/wipes/{id}:retry", "Try a quarantined wipe again now", _DO, doc.WipeOut, status=202),
    Operation("quarantine", "GET", "/v1/quarantine", "What could not be proven", _LOOK, doc.WipeOut, lists=True),
    Operation("breaker", "GET", "/v1/breaker", "The breaker, and the phones that wait behind it", _LOOK, guards.BreakerOut),
    Operation("release_breaker", "POST", "/v1/breaker", "Let exactly the waiting phones go", _DO, guards.BreakerOut, body=guards.ReleaseIn),
    Operation("clock", "GET", "/v1/clock", "Whether the clock is trusted, and why not", _LOOK, guards.ClockOut),
    Operation("trust_clock", "POST", "/v1/clock", "Say that a suspect clock is right", _DO, guards.ClockOut, body=guards.TrustIn),
    Operation("dispose", "POST", "/v1/quarantine:dispose", "Accept what cannot be proven; takes two different people", _SETTLE, doc.WipeOut,
              body=images.DisposeIn),
    Operation("classify_image", "POST", "/v1/images:classify", "Settle an image as golden or private", _DO, images.ClassifiedOut, body=images.ClassifyIn),
    Operation("classified_images", "GET", "/v1/images/classified", "Images as people settled them", _LOOK, images.ClassifiedOut, lists=True),
    Operation("orphans", "GET", "/v1/images/orphans", "Images under the roots that no domain reaches; changes nothing", _LOOK, images.OrphansOut),
    Operation("certificate", "GET", "/v1/certificates/{id}", "A certificate or incident record, by its id or its wipe's", _LOOK,
              media="application/vnd.dsse.envelope.v1+json"),
    Operation("public_key", "GET", "/v1/key", "The public key that verifies this host's certificates, PEM", (), media="application/x-pem-file"),
    Operation("audit", "GET", "/v1/audit", "Entries of the audit log's hash chain, in order", _CHECK, doc.AuditOut, lists=True,
              query=(("after", "integer", "only entries with a greater seq"), ("limit", "integer", "1 to 1000"),
                     ("last", "integer", "the last so many, 1 to 1000"))),
    Operation("audit_head", "GET", "/v1/audit/head", "A signed head over the first entries of the log, for an export", _CHECK,
              media="application/vnd.dsse.envelope.v1+json", query=(("seq", "integer", "the last entry that it covers"),)),
    Operation("healthz", "GET", "/healthz", "Alive", ()),
    Operation("readyz", "GET", "/readyz", "libvirt, ledger, feed, helpers, hook, clock, breaker; 503 where one is missing", (), doc.ReadyOut),
    Operation("openapi", "GET", "/openapi.json", "This description", ()),
)  # fmt: skip
