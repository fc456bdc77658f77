"""The port Eraser over a real eraser process: the daemon's side of the line. Nothing here touches storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from wiped.errors import HelperError, RefusedError
from wiped.helpers.link import FAREWELL_SECONDS, Link, connect, error_of
from wiped.model.outcome import EraseResult, Evidence
from wiped.wire.messages import Erase, Erased, Failure, Leave, Left, Lock, Locked, Message, Progress, Refused, Remove, Removed, Trim, Trimmed

#: Longest silence that is believed to be work: FIEMAP's sync of a stopped guest's dirty pages tells nothing while it lasts.
SILENCE_SECONDS: Final = 300.0


class EraserProcess:
    """Starts (or reaches, where `socket_path` is given) an eraser of its own for every session. `config`: the file that a child reads.

    `silence`: seconds without any message after which a helper counts as hung. `farewell`: seconds that it gets at the end to finish the I/O in
    flight before it is killed. `command`: the child's command line, for tests only.
    """

    def __init__(
        self,
        *,
        config: str,
        socket_path: str = "",
        silence: float = SILENCE_SECONDS,
        farewell: float = FAREWELL_SECONDS,
        command: Sequence[str] = (),
    ) -> None:
        self._config = config
        self._socket_path = socket_path
        self._silence = silence
        self._farewell = farewell
        self._command = tuple(command)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A new helper connection; leaving the context ends it and waits for the helper's exit. Raises HelperError."""
        link = await connect("eraser", socket_path=self._socket_path, config=self._config, command=self._command, farewell=self._farewell)
        try:
            yield Session(link, self._silence)
        finally:
            await link.close()


class Session:
    """The port EraserSession. One request at a time; after one was cancelled half-way, the session is of no use any more (HelperError)."""

    def __init__(self, link: Link, silence: float) -> None:
        self._link = link
        self._silence = silence
        self._asking = False

    @property
    def pid(self) -> int:
        """The helper's process id."""
        return self._link.pid

    async def lock(self, request: Lock) -> Locked:
        """Take all locks or none. Raises RefusedError with the eraser's own codes, HelperError."""
        answer = await self._ask(request, (Locked, Refused))
        if isinstance(answer, Refused):
            codes = tuple(dict.fromkeys(str(refusal.code) for refusal in answer.refusals))
            told = "; ".join(f"{refusal.code} {refusal.location}: {refusal.detail}" for refusal in answer.refusals[:5])
            more = f"; and {len(answer.refusals) - 5} more" if len(answer.refusals) > 5 else ""
            raise RefusedError(f"the eraser refuses: {told}{more}", codes=codes)
        if not isinstance(answer, Locked) or {step.artefact_id for step in answer.steps} != {step.artefact_id for step in request.steps}:
            raise HelperError("the eraser locked something else than the plan")
        return answer

    async def erase(self, artefact_id: str, seed: bytes, map_digest: str, passes: int, progress: Callable[[int, int], None]) -> EraseResult:
        """Overwrite one locked artefact; `progress(done, total)` in bytes. Reasons in the result tell what was not done.

        Raises RefusedError (the file became another's, or another), HelperError.
        """
        answer = await self._ask(Erase(artefact_id, seed.hex(), map_digest, passes), (Erased,), progress)
        if not isinstance(answer, Erased) or answer.result.artefact_id != artefact_id:
            raise HelperError("the eraser answered for another artefact")
        return answer.result

    async def remove(self, artefact_id: str, evidence: Evidence) -> None:
        """Rename, truncate, unlink, sync. Idempotent over restarts. Raises RefusedError, StorageError, HelperError (also: no proof)."""
        answer = await self._ask(Remove(artefact_id, evidence), (Removed,))
        if not isinstance(answer, Removed) or answer.artefact_id != artefact_id:
            raise HelperError("the eraser answered for another artefact")

    async def leave(self, artefact_id: str) -> None:
        """Unlock one artefact, in place. Raises HelperError."""
        answer = await self._ask(Leave(artefact_id), (Left,))
        if not isinstance(answer, Left) or answer.artefact_id != artefact_id:
            raise HelperError("the eraser answered for another artefact")

    async def trim(self, location: str, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Trimmed:
        """Make the free space of the filesystem at a directory unreadable, where that can be shown; `method` "" where not, with `detail`. After all removals,
        or on a session of its own. Raises RefusedError (not a directory of ours), HelperError."""
        answer = await self._ask(Trim(location), (Trimmed,), progress)
        if not isinstance(answer, Trimmed) or answer.location != location:
            raise HelperError("the eraser answered for another directory")
        return answer

    async def _ask(self, request: Message, answers: tuple[type[Message], ...], progress: Callable[[int, int], None] | None = None) -> Message:
        if self._asking:
            raise HelperError("an earlier request on this line was never finished")
        self._asking = True
        await self._link.send(request)
        while True:
            answer = await self._link.receive(self._silence)
            if isinstance(answer, Progress) and progress is not None:
                progress(answer.done, answer.total)
                continue
            self._asking = False
            if isinstance(answer, Failure):
                raise error_of(answer)
            if not isinstance(answer, answers):
                self._asking = True
                raise HelperError(f"the eraser answered a {request.type} with a {answer.type}")
            return answer
