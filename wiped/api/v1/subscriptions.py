"""Subscriptions: looked at, set for one phone, imported for many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, Field

from wiped.api.http.bodies import CALLER, MAX_BODY, MAX_IMPORT, as_items, as_json, bytes_of, parsed, person_of, uuid_of
from wiped.api.v1.fields import Account, End, EndIn, Identifier, Instant, InstantIn, StrictIn, Truth
from wiped.errors import InputError
from wiped.model.identifiers import POLICY, PRODUCT
from wiped.model.subscription import AccountReference, Subscription, SubscriptionRecord
from wiped.ports.service import SubscriptionsService

#: (bytes of an import file, its form or "") -> records; `feed.import_file.parse_subscriptions`, handed in.
ParseImport = Callable[[bytes, str], tuple[SubscriptionRecord, ...]]

_FORMS = {"application/x-ndjson": "jsonl", "application/jsonl": "jsonl", "text/csv": "csv", "application/octet-stream": "", "text/plain": ""}


_Product = Annotated[str, Field(pattern=rf"^{PRODUCT}$")]


def _absent(value: Any) -> Any:
    """`null` names no product, as in a feed."""
    return "" if value is None else value


class SubscriptionIn(StrictIn):
    """Body of `PUT /v1/phones/{uuid}/subscription`; the same words as in an import file."""

    account: Account
    subscription: Identifier
    starts: InstantIn
    expires: EndIn
    minor: Truth = False
    policy: Annotated[str, Field(pattern=rf"^{POLICY}$")] = "default"
    product: Annotated[_Product, BeforeValidator(_absent, json_schema_input_type=_Product)] = ""

    def record(self, uuid: str) -> SubscriptionRecord:
        """The record for one phone. Raises InputError for an end that is not after the start."""
        if self.expires <= self.starts:
            raise InputError("must lie after starts", where="expires")
        return SubscriptionRecord(
            uuid=uuid,
            subscription_id=self.subscription,
            account=AccountReference(self.account.get_secret_value()),
            starts_at=self.starts.astimezone(UTC),
            expires_at=self.expires.astimezone(UTC),
            policy=self.policy,
            minor=self.minor,
            product=self.product,
            left_out=frozenset({"policy", "minor", "product"} - self.model_fields_set),
        )


class SubscriptionOut(BaseModel):
    """A phone's subscription; `account_pseudonym` replaces the account (R11)."""

    phone: str
    generation: int
    subscription: str
    account_pseudonym: str
    starts: Instant
    expires: End
    first_recorded_at: Instant
    minor: bool
    policy: str
    source: str
    revision: int
    product: str


class ImportedOut(BaseModel):
    """What an import recorded."""

    imported: int
    items: list[SubscriptionOut]


def subscription_out(subscription: Subscription) -> SubscriptionOut:
    """The document of one subscription."""
    return SubscriptionOut(
        phone=subscription.uuid,
        generation=subscription.generation,
        subscription=subscription.subscription_id,
        account_pseudonym=subscription.account,
        starts=subscription.starts_at,
        expires=subscription.expires_at,
        first_recorded_at=subscription.first_recorded_at,
        minor=subscription.minor,
        policy=subscription.policy,
        source=subscription.source,
        revision=subscription.revision,
        product=subscription.product,
    )


class SubscriptionHandlers:
    """The routes of subscriptions. Setting and importing are idempotent by nature, so nothing about the account is remembered for an Idempotency-Key."""

    def __init__(self, subscriptions: SubscriptionsService, parse_import: ParseImport) -> None:
        self._subscriptions = subscriptions
        self._parse_import = parse_import

    async def current(self, _request: web.Request) -> web.Response:
        """All current subscriptions."""
        return as_items([subscription_out(item) for item in await self._subscriptions.current()])

    async def set(self, request: web.Request) -> web.Response:
        """Bind one phone to a subscription, or renew it."""
        record = parsed(SubscriptionIn, await bytes_of(request, MAX_BODY)).record(uuid_of(request))
        return as_json(subscription_out(await self._subscriptions.set(record, person_of(request[CALLER]))))

    async def record_all(self, request: web.Request) -> web.Response:
        """Record the subscriptions of an import file, all of them or none."""
        if request.content_type not in _FORMS:
            raise web.HTTPUnsupportedMediaType(reason=f"one of {', '.join(_FORMS)}")
        data = await bytes_of(request, MAX_IMPORT)
        # A hundred thousand lines, and as many items of the answer, take seconds: not on the event loop.
        records = await asyncio.to_thread(self._parse_import, data, _FORMS[request.content_type])
        recorded = await self._subscriptions.record_all(records, operator=request[CALLER].name)
        return await asyncio.to_thread(lambda: as_json(ImportedOut(imported=len(recorded), items=[subscription_out(item) for item in recorded])))
