"""The same request twice: an action happens once per Idempotency-Key, and its answer is remembered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import CALLER, as_json, check_key
from wiped.ports.service import AnswersService


class Idempotency:
    """Answers remembered by Idempotency-Key and caller."""

    def __init__(self, answers: AnswersService) -> None:
        self._answers = answers
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        #: Tells personal words apart without keeping anything of them: after a restart a key with an account is another request, and refused.
        self._blind = secrets.token_bytes(32)

    def blinded(self, text: str) -> str:
        """`text` as something that only this process can compare, "" for ""."""
        return hmac.new(self._blind, text.encode(), hashlib.sha256).hexdigest() if text else ""

    async def once(self, request: web.Request, facts: dict[str, Any], act: Callable[[], Awaitable[BaseModel]], status: int) -> web.Response:
        """Do `act` once per Idempotency-Key and caller, and answer its document with `status`; a request without a key is done each time.

        `facts` tell one request from another and hold nothing personal: they are kept as a digest.
        """
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return as_json(await act(), status=status)
        check_key(key)
        key = f"{request[CALLER].name}:{key}"
        digest = hashlib.sha256(json.dumps([request.method, request.path, facts], sort_keys=True).encode()).hexdigest()
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            answer = await self._answers.replay(key, digest)
            if answer is None:
                answer = (await act()).model_dump(mode="json")
                await self._answers.remember(key, digest, answer)
        return web.json_response(answer, status=status)
