"""The daemon's side of the observer (port Observer): a small pool of observer processes, one request at a time on each line."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Self

from wiped.errors import HelperError
from wiped.helpers.link import Link, connect, error_of
from wiped.model.inventory import DomainFacts, FileIdentity, Inventory
from wiped.model.outcome import Evidence
from wiped.wire.messages import EvidenceFound, Failure, Message, Orphans, OrphansFound, Progress, Ranges, RangesChunk, RangesEnd, ReadBack, Survey, Surveyed

#: An observer that says nothing for so long is given up. A survey or a map writes dirty pages out first, and says nothing meanwhile.
SILENCE_SECONDS = 300.0
#: An observer writes nothing, so one that does not end by itself is not waited for as an eraser is.
FAREWELL_SECONDS = 5.0


class ObserverProcess:
    """Port Observer over `helpers/link`. At most `parallel + 1` lines, so that a survey can run while every wipe reads back; started when needed, kept
    when idle. A line on which anything went wrong is dropped, and the next call starts another process.
    """

    def __init__(self, *, socket_path: str, config: str, parallel: int, silence: float = SILENCE_SECONDS, command: Sequence[str] = ()) -> None:
        self._socket_path = socket_path
        self._config = config
        self._silence = silence
        self._command = tuple(command)
        self._places = asyncio.Semaphore(parallel + 1)
        self._idle: list[Link] = []
        self._hung: dict[str, Link] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def survey(self, domain: DomainFacts, others: Sequence[DomainFacts], *, with_extents: bool) -> Inventory:
        """Everything that one phone reaches on this host. Raises HelperError, StorageError; HelperError too while the process of an earlier look at this
        phone cannot end, since the next would hang beside it."""
        earlier = self._hung.get(domain.uuid)
        if earlier is not None and earlier.hangs():
            raise HelperError(f"the observer that looked at this phone (process {earlier.pid}) hangs in the kernel: its storage does not answer")
        self._hung.pop(domain.uuid, None)
        link = None
        try:
            async with self._line() as link:
                await link.send(Survey(domain=domain, others=tuple(others), with_extents=with_extents))
                answer = await self._receive(link)
                if not isinstance(answer, Surveyed) or answer.inventory.domain.uuid != domain.uuid:
                    raise _nonsense(answer)
                return answer.inventory
        except HelperError:
            if link is not None and link.hangs():  # its line is closed by now
                self._hung[domain.uuid] = link
            raise

    async def orphans(self, domains: Sequence[DomainFacts]) -> OrphansFound:
        """Files under the roots that none of `domains` reaches. Raises HelperError, StorageError."""
        async with self._line() as link:
            await link.send(Orphans(tuple(domains)))
            answer = await self._receive(link)
            if not isinstance(answer, OrphansFound):
                raise _nonsense(answer)
            return answer

    async def ranges(self, location: str, identity: FileIdentity) -> tuple[tuple[bytes, ...], str]:
        """The extent map of a file as compact blobs, and its digest.

        Raises HelperError, StorageError, and RefusedError when another file (or something that is no image) stands at `location` now.
        """
        async with self._line() as link:
            await link.send(Ranges(location=location, identity=identity))
            blobs: list[bytes] = []
            while isinstance(answer := await self._receive(link), RangesChunk):
                try:
                    blobs.append(base64.b64decode(answer.blob, validate=True))
                except binascii.Error as error:
                    raise _nonsense(answer) from error
            if not isinstance(answer, RangesEnd):
                raise _nonsense(answer)
            return tuple(blobs), answer.map_digest

    async def read_back(self, request: ReadBack, progress: Callable[[int, int], None]) -> Evidence:
        """Read an erased artefact back from the device; reasons in the evidence tell what was not proven. Raises HelperError, StorageError."""
        async with self._line() as link:
            await link.send(request)
            while isinstance(answer := await self._receive(link), Progress):
                progress(answer.done, answer.total)
            if not isinstance(answer, EvidenceFound) or answer.evidence.artefact_id != request.artefact_id:
                raise _nonsense(answer)
            return answer.evidence

    async def close(self) -> None:
        """End the idle observers, and each busy one when its call ends. Idempotent."""
        self._closed = True
        await self._drop_idle()

    async def _receive(self, link: Link) -> Message:
        answer = await link.receive(self._silence)
        if isinstance(answer, Failure):
            raise _Reported(answer)
        return answer

    @contextlib.asynccontextmanager
    async def _line(self) -> AsyncIterator[Link]:
        """A line for one request. After a whole answer, a Failure among them, it is kept; otherwise it is closed, and the idle ones with it: what
        killed one observer may have killed all."""
        if self._closed:
            raise HelperError("the observer was closed")
        async with self._places:
            link = self._idle.pop() if self._idle else await self._connect()
            try:
                yield link
            except _Reported as reported:
                await self._keep(link)
                raise error_of(reported.failure) from None
            except HelperError:
                await link.close()
                await self._drop_idle()
                raise
            except BaseException:
                await link.close()
                raise
            await self._keep(link)

    async def _connect(self) -> Link:
        return await connect("observer", socket_path=self._socket_path, config=self._config, command=self._command, farewell=FAREWELL_SECONDS)

    async def _keep(self, link: Link) -> None:
        if self._closed:
            await link.close()
        else:
            self._idle.append(link)

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()


class _Reported(Exception):
    """The observer answered with a Failure: a whole answer, carried across the line's context."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


def _nonsense(answer: Message) -> HelperError:
    return HelperError(f"the observer gave a {answer.type} message that does not answer the question")
