"""The eraser's process: one connection, one plan, in a strict order of messages (docs/design.md, "The eraser's wire").

    hello -> lock -> (erase -> remove | leave) for each artefact -> trim* -> EOF        (or, on a connection of its own: hello -> trim* -> EOF)

Whatever comes out of turn is answered with a Failure, and nothing is done. The locks live as long as the connection; at EOF or SIGTERM the I/O in
flight is finished, no new range begun, and the process ends.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from wiped.erase.bounds import Bound
from wiped.erase.claims import Claims
from wiped.erase.locks import LOCKED, MAX_STEPS, RENAMED, Held, alone, lock_all, refusals_of, release, still_owned
from wiped.erase.overwrite import MAX_PASSES, Interrupted, Order, overwrite
from wiped.erase.ownership import claims_for
from wiped.erase.remove import evidence_faults, give_back, remove, remove_folders, still_as_proven
from wiped.erase.trim import trim
from wiped.errors import HelperError, RefusedError, WipedError
from wiped.helpers.link import HelperEnd, failure_of
from wiped.model.inventory import LibvirtDirectories
from wiped.model.outcome import EraseResult, ReasonCode
from wiped.model.plan import Refusal, RefusalCode
from wiped.model.policy import StorageRules
from wiped.storage.artefacts import ArtefactMap, map_artefact
from wiped.storage.blockdev import BlockFile
from wiped.storage.keystream import SEED_BYTES, known_answer_test
from wiped.storage.shared_extents import GoldenFiles
from wiped.wire.messages import Erase, Erased, Leave, Left, Lock, Locked, LockedStep, Message, Progress, Refused, Remove, Removed, Trim

_PROGRESS_SECONDS: Final = 0.2
#: So long a look at libvirt's directories will do between two looks at every one of its files.
_GLANCE_SECONDS: Final = 0.25
_FILES: Final = 2 * MAX_STEPS + 256
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def serve(sock: socket.socket, rules: StorageRules, directories: LibvirtDirectories) -> int:
    """Serve one daemon on a connected stream socket until it hangs up. Returns the exit status: 0, or 1 after nonsense on the line or a fault of ours.

    Call it in the main thread of a process of its own. `rules` and `directories` come from root's configuration, never from the wire.
    """
    _raise_file_limit()
    end = HelperEnd(sock)
    end.stop_on_sigterm()
    work = _Work(end, rules, directories)
    try:
        end.greet("eraser")
        known_answer_test()
        while (message := end.receive()) is not None:
            try:
                end.send(work.answer(message))
            except HelperError as error:  # out of turn: nothing was done, and the line is still good
                _tell("refused-message", type=message.type)
                end.send(failure_of(error))
            except WipedError as error:
                _tell("failed", type=message.type, code=error.code)
                end.send(failure_of(error))
    except Interrupted:
        _tell("interrupted")
    except WipedError as error:
        _tell("ended", code=error.code)
        end.send(failure_of(error))
        return 1
    except Exception as error:  # a fault of this program: the daemon is told that, and not what was in our hands
        _tell("fault", kind=type(error).__name__)
        end.send(failure_of(HelperError(f"a fault in the eraser: {type(error).__name__}")))
        return 1
    finally:
        work.close()
    return 0


def _raise_file_limit() -> None:
    """Two descriptors for each artefact: as many as the largest plan needs, or what the kernel lets us have."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, _FILES), hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return


def _tell(event: str, **facts: Any) -> None:
    """A short line for the journal; no path, no seed, no content."""
    with contextlib.suppress(OSError, ValueError):
        print(json.dumps({"program": "eraser", "event": event, **facts}), file=sys.stderr, flush=True)


@dataclass(slots=True)
class _Artefact:
    """An artefact and how far it is: `locked`, `renamed`, `missing`, then `erased`, `failed`, `removed` or `left`."""

    held: Held
    state: str
    result: EraseResult | None = None


class _Work:
    """What one connection does. Every method either does the whole of its message or raises before it changed anything on the disk,
    but for `_erase` and `_remove`, whose unfinished work is found again by the next run."""

    def __init__(self, end: HelperEnd, rules: StorageRules, directories: LibvirtDirectories) -> None:
        self._end = end
        self._rules = rules
        self._directories = directories
        self._request: Lock | None = None
        self._claims: Claims | None = None
        self._artefacts: dict[str, _Artefact] = {}
        self._looked = 0.0
        self._emptied: list[tuple[str, Bound]] = []
        """Places of what was removed: their directories are needed until the free space was trimmed from them."""
        self._goldens: GoldenFiles | None = None

    def close(self) -> None:
        """Let go of everything; then the directories go that are empty and bear the phone's UUID."""
        release(artefact.held for artefact in self._artefacts.values())
        for location, bound in self._emptied:
            if self._request is not None:
                remove_folders(location, self._request.uuid, bound)

    def answer(self, message: Message) -> Message:
        """Do what a message asks. Raises HelperError (out of turn), RefusedError, StorageError, Interrupted."""
        match message:
            case Lock():
                return self._lock(message)
            case Erase():
                return self._erase(message)
            case Remove():
                return self._remove(message)
            case Leave():
                return self._leave(message)
            case Trim():
                return self._trim(message)
        raise HelperError(f"a {message.type} message is not for an eraser")

    # -- lock

    def _lock(self, request: Lock) -> Message:
        if self._request is not None:
            raise HelperError("one connection locks one plan: it has been locked already")
        if not _UUID.fullmatch(request.uuid):
            raise HelperError("the plan's UUID is not of the form of one")
        try:
            claims = claims_for(request, self._rules, self._directories)
            self._looked = time.monotonic()
            refusals = refusals_of(request, claims)
            held: dict[str, Held] = {}
            if not refusals:
                held, refusals = lock_all(request, claims)
        except RefusedError as error:
            refusals = tuple(Refusal(RefusalCode(code), request.uuid, str(error)) for code in error.codes)
        if refusals:
            _tell("refused", wipe=request.wipe_id, codes=sorted({str(refusal.code) for refusal in refusals}))
            return Refused(refusals)
        self._request = request
        self._claims = claims
        self._artefacts = {name: _Artefact(each, each.status) for name, each in held.items()}
        _tell("locked", wipe=request.wipe_id, artefacts=len(held), resumed=request.resumed)
        return Locked(tuple(LockedStep(name, each.status) for name, each in held.items()))

    def _artefact(self, artefact_id: str, *states: str) -> tuple[Lock, _Artefact]:
        """The artefact, if it is in one of these states. Raises HelperError."""
        if self._request is None:
            raise HelperError("nothing is locked")
        artefact = self._artefacts.get(artefact_id)
        if artefact is None:
            raise HelperError("no such artefact in the locked plan")
        if artefact.state not in states:
            raise HelperError(f"the artefact is {artefact.state}, which is not when this may be asked")
        return self._request, artefact

    def _recheck(self, request: Lock, artefact: _Artefact) -> None:
        """Ask again whose it is, if libvirt's files changed since they were read. Raises RefusedError."""
        now = time.monotonic()
        assert self._claims is not None
        assert artefact.held.file is not None
        if now - self._looked < _GLANCE_SECONDS:
            current = self._claims.seems_current()
        else:
            current = self._claims.is_current()
            self._looked = now
        if not current:
            self._looked = now
            self._claims = claims_for(request, self._rules, self._directories, self._claims)
        step = artefact.held.step
        if refusals := still_owned(step, artefact.held.file, self._claims):
            raise RefusedError(f"{step.location}: {refusals[0].detail}", codes=[refusal.code for refusal in refusals])

    def _look(self, fd: int) -> ArtefactMap:
        """The map of an open artefact. Golden images are looked for once, and only when a file shares blocks."""
        if self._goldens is None:
            golden = self._claims.protected.roots if self._claims is not None else ()
            self._goldens = GoldenFiles(self._rules, self._directories, golden)
        return map_artefact(fd, self._rules, self._directories, goldens=self._goldens, settled=True)

    # -- erase

    def _erase(self, message: Erase) -> Message:
        request, artefact = self._artefact(message.artefact_id, LOCKED)
        if not _DIGEST.fullmatch(message.seed) or not _DIGEST.fullmatch(message.map_digest):
            raise HelperError(f"a seed and a digest are {2 * SEED_BYTES} hex digits each")
        if not 1 <= message.passes <= MAX_PASSES:
            raise HelperError(f"1 to {MAX_PASSES} passes")
        file = artefact.held.file
        assert file is not None
        self._recheck(request, artefact)
        try:
            alone(file)
        except RefusedError as error:
            if RefusalCode.IN_USE not in error.codes:
                raise
            artefact.state = "failed"
            return Erased(EraseResult(message.artefact_id, 0, 0, "", "", 0, reasons=(ReasonCode.IMAGE_IN_USE,), detail=str(error)))
        order = Order(
            artefact_id=message.artefact_id,
            seed=bytes.fromhex(message.seed),
            map_digest=message.map_digest,
            passes=message.passes,
            writers=self._rules.writers,
            rate_limit=self._rules.rate_limit,
        )
        began = time.monotonic()
        artefact.state = "failed"  # whatever is raised from here on: bytes may be gone
        result = overwrite(file.fd, order, look=self._look, progress=self._progress(message.artefact_id), should_stop=self._end.hung_up)
        artefact.result = result
        artefact.state = "failed" if result.reasons else "erased"
        seconds = round(time.monotonic() - began, 3)
        _tell("erased", artefact=message.artefact_id, bytes=result.bytes_overwritten, seconds=seconds, reasons=list(result.reasons))
        return Erased(result)

    def _progress(self, artefact_id: str) -> Callable[[int, int], None]:
        last = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done == total or now - last >= _PROGRESS_SECONDS:
                last = now
                self._end.offer(Progress(artefact_id, done, total))

        return tell

    # -- remove, leave

    def _remove(self, message: Remove) -> Message:
        states = ("erased", LOCKED, RENAMED) if self._request is not None and self._request.resumed else ("erased",)
        request, artefact = self._artefact(message.artefact_id, *states)
        held, file = artefact.held, artefact.held.file
        assert file is not None
        digest = artefact.result.digest_after if artefact.result is not None else held.step.map_digest
        renamed = held.status == RENAMED
        # What a proof must cover is known before the file is looked at: a proof about other ranges is no proof.
        if faults := evidence_faults(message.evidence, message.artefact_id, digest, 0, sampling=self._sampling()):
            raise HelperError(f"no proof, no removal: {', '.join(faults)}")
        mapped = still_as_proven(file, self._look, digest, renamed=renamed)
        if faults := evidence_faults(message.evidence, message.artefact_id, digest, mapped, sampling=self._sampling()):
            raise HelperError(f"no proof, no removal: {', '.join(faults)}")
        self._recheck(request, artefact)
        if isinstance(file, BlockFile):
            give_back(file)
        else:
            remove(file, held.step.rename_to, renamed=renamed)
        artefact.state = "removed"
        release([held])
        if self._claims is not None and (bound := self._claims.bound(held.step.location, held.step.identity)) is not None:
            self._emptied.append((held.step.location, bound))
        _tell("removed", artefact=message.artefact_id)
        return Removed(message.artefact_id)

    def _sampling(self) -> bool:
        return self._rules.verify != "full"

    def _leave(self, message: Leave) -> Message:
        _request, artefact = self._artefact(message.artefact_id, LOCKED, RENAMED, "missing", "erased", "failed")
        artefact.state = "left"
        release([artefact.held])
        _tell("left", artefact=message.artefact_id)
        return Left(message.artefact_id)

    # -- trim

    def _trim(self, message: Trim) -> Message:
        """Free space: on a connection of its own, or when nothing is held any more that is still to be erased or removed."""
        if any(artefact.state in (LOCKED, RENAMED, "erased") for artefact in self._artefacts.values()):
            raise HelperError("trimming comes after all artefacts were removed or left")
        done = trim(message.location, self._rules, self._directories, progress=self._progress(""), should_stop=self._end.hung_up)
        _tell("trimmed", method=done.method, bytes=done.bytes)
        return done
