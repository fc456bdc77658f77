"""The ports of `wiped.ports` over a `FakeHost`: libvirt, fences, eyes, hands, feed, milestones, announcer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from tests.fakes.host import BLOCK, ROOT, FakeHost, Inode, keystream
from tests.fakes.sheets import FakeSheets
from wiped.errors import HelperError, HypervisorError, RefusedError, StorageError
from wiped.model.inventory import DomainFacts, FileIdentity, FoundArtefact, Inventory
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.records import WipeRecord
from wiped.model.sightings import NEVER_BY_MEMORY
from wiped.model.subscription import FeedStatus
from wiped.wire.messages import Lock, Locked, LockedStep, Orphan, OrphansFound, ReadBack, Trimmed


class PowerCut(BaseException):
    """The machine loses its power here. No `except Exception` catches it."""


class FakeHypervisor:
    """Port Hypervisor."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self._hints: asyncio.Queue[str] = asyncio.Queue()

    @property
    def connected(self) -> bool:
        return not self.host.libvirt_down

    @property
    def fault(self) -> str:
        return "no answer" if self.host.libvirt_down else ""

    async def domains(self) -> tuple[DomainFacts, ...]:
        return self.host.all_domains()

    async def domain(self, uuid: str) -> DomainFacts | None:
        return self.host.domain(uuid)

    async def shutdown(self, uuid: str) -> None:
        self.host.shutdown(uuid)

    async def destroy(self, uuid: str) -> None:
        self.host.destroy(uuid)
        self.hint(uuid)

    async def start(self, uuid: str) -> None:
        self.host.start(uuid)

    async def set_autostart(self, uuid: str, on: bool) -> None:
        if self.host.domain(uuid) is not None:
            self.host.update(uuid, autostart=on)

    async def undefine(self, uuid: str) -> None:
        self.host.undefine(uuid)

    async def undefine_secret(self, uuid: str) -> None:
        self.host.undefine_secret(uuid)

    async def undefine_ephemeral(self, uuid: str) -> None:
        self.host.undefine_ephemeral(uuid)

    def migrated_away(self) -> frozenset[str]:
        return frozenset(self.host.migrated)

    def hint(self, uuid: str) -> None:
        self._hints.put_nowait(uuid)

    async def hints(self) -> AsyncIterator[str]:
        while True:
            yield await self._hints.get()


class FakeFences:
    """Port Fences: the files are the host's, so they outlive the daemon."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.volumes: dict[str, tuple[tuple[str, str], ...]] = {}

    async def put(self, uuid: str, paths: Sequence[str], identities: Sequence[FileIdentity], volumes: Sequence[tuple[str, str]]) -> None:
        self.volumes[uuid] = tuple(volumes)
        self.host.fences[uuid] = (frozenset(paths), frozenset(identities))

    async def lift(self, uuid: str) -> None:
        self.host.fences.pop(uuid, None)

    async def standing(self) -> frozenset[str]:
        return frozenset(self.host.fences)

    async def hook_fault(self) -> str:
        return "" if self.host.hook_loaded else "libvirtd was started before the hook was installed: restart it"


class FakeObserver:
    """Port Observer. `dies`: how many of its next calls end with the process's death; `mismatches`: wrong blocks in the next read-backs; `problems` and
    `found`: what every survey tells beside what the host shows."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.dies = 0
        self.mismatches: list[int] = []
        self.problems: tuple[tuple[str, str, str], ...] = ()
        self.found: tuple[FoundArtefact, ...] = ()
        self.surveys = 0
        self.blind_to: set[str] = set()  # phones whose survey fails

    def _alive(self) -> None:
        if self.dies:
            self.dies -= 1
            raise HelperError("the observer is gone")

    async def survey(self, domain: DomainFacts, others: Sequence[DomainFacts], *, with_extents: bool) -> Inventory:
        self._alive()
        if domain.uuid in self.blind_to:
            raise HelperError("a survey longer than the wire takes")
        self.surveys += 1
        found = self.host.inventory(domain, tuple(others))
        return replace(found, artefacts=(*found.artefacts, *self.found), problems=(*found.problems, *self.problems))

    async def orphans(self, domains: Sequence[DomainFacts]) -> OrphansFound:
        self._alive()
        reached = {path for facts in domains for path in self.host.reaches(facts)}
        found = [
            Orphan(path, inode.identity, len(inode.data), len(inode.data), "2026-01-01T00:00:00.000000Z")
            for path, inode in self.host.names.items()
            if path.startswith(ROOT) and path not in reached
        ]
        return OrphansFound(tuple(found))

    def _find(self, location: str, identity: FileIdentity) -> Inode:
        inode = self.host.names.get(location)
        if inode is None:
            raise StorageError("no such file", reason="vanished")
        if inode.identity != identity:
            raise RefusedError("another file", codes=("identity-changed",))
        return inode

    async def ranges(self, location: str, identity: FileIdentity) -> tuple[tuple[bytes, ...], str]:
        self._alive()
        inode = self._find(location, identity)
        return (b"range",), inode.map_digest

    async def read_back(self, request: ReadBack, progress: Callable[[int, int], None]) -> Evidence:
        self._alive()
        inode = self._find(request.location, request.identity)
        size = len(inode.data)
        expected = keystream(bytes.fromhex(request.seed), request.artefact_id, size // BLOCK)
        wrong = sum(inode.data[at : at + BLOCK] != expected[at : at + BLOCK] for at in range(0, size, BLOCK))
        wrong += self.mismatches.pop(0) if self.mismatches else 0
        progress(size, size)
        await asyncio.sleep(0)
        moved = inode.map_digest != request.map_digest
        reasons = (*(("readback-mismatch",) if wrong else ()), *(("extent-moved",) if moved else ()))
        return Evidence(request.artefact_id, "block-odirect", size, wrong, inode.map_digest, reasons=reasons)


class FakeSession:
    """Port EraserSession: refuses what the real hands refuse, by its own look at the host."""

    def __init__(self, eraser: FakeEraser) -> None:
        self.eraser = eraser
        self.host = eraser.host
        self.request: Lock | None = None
        self.inodes: dict[str, Inode] = {}
        self.states: dict[str, str] = {}

    @property
    def pid(self) -> int:
        return 4242

    async def lock(self, request: Lock) -> Locked:
        self.eraser.alive()
        self.request = request
        self._known()
        found: dict[str, tuple[str, Inode | None]] = {}
        for step in request.steps:
            inode, status = self.host.names.get(step.location), "locked"
            if inode is None or inode.identity != step.identity:
                renamed = self.host.names.get(f"{step.location.rpartition('/')[0]}/{step.rename_to}")
                if renamed is not None and renamed.identity == step.identity:
                    inode, status = renamed, "renamed"
                elif inode is None and request.resumed:
                    status = "missing"
                else:
                    raise RefusedError("another file stands there", codes=("identity-changed",))
            found[step.artefact_id] = (status, inode)
            if inode is None:
                continue
            self._own(request, step.location, inode)
            if inode.holders or inode.locked_by not in {None, self} or self._in_use(step.location):
                raise RefusedError("somebody holds it", codes=("in-use",))
            if step.map_digest and inode.map_digest != step.map_digest:
                continue  # told by `erase` as extent-moved
        for key, (status, inode) in found.items():
            self.states[key] = status
            if inode is not None:
                inode.locked_by = self
                self.inodes[key] = inode
        return Locked(tuple(LockedStep(key, status) for key, status in self.states.items()))

    def _known(self) -> None:
        """libvirt's own word first; of a phone that it does not know, the record, and no device and no secret."""
        request = self.request
        assert request is not None
        if not request.vanished and self.host.domain(request.uuid) is None:
            raise RefusedError("libvirt knows no domain of the plan's UUID", codes=("drift",))
        if request.vanished and self.host.domain(request.uuid) is not None:
            raise RefusedError("libvirt knows a domain of this UUID: it is not gone", codes=("drift",))
        if request.vanished and self.eraser.sheets is not None:
            _, files = self.eraser.sheets.phones.get(request.uuid, (None, ()))
            own = {(file.location, file.identity) for file in files if file.local and file.kind not in NEVER_BY_MEMORY}
            if any((step.location, step.identity) not in own for step in request.steps):
                raise RefusedError("it is not remembered as this phone's", codes=("ambiguous-base",))

    def _own(self, request: Lock, location: str, inode: Inode) -> None:
        if inode.identity in request.retained:
            raise RefusedError("it is to be retained", codes=("shared-by-domain",))
        for uuid, machine in self.host.machines.items():
            reached = {self.host.names[path].identity for path in self.host.reaches(machine.facts) if path in self.host.names}
            if uuid != request.uuid and inode.identity in reached:
                raise RefusedError("another domain reaches it", codes=("shared-by-domain",))
        if inode.links != 1:
            raise RefusedError("it has two names", codes=("hard-link",))

    def _in_use(self, location: str) -> bool:
        return any(self.host.running(uuid) and location in self.host.reaches(machine.facts) for uuid, machine in self.host.machines.items())

    async def erase(self, artefact_id: str, seed: bytes, map_digest: str, passes: int, progress: Callable[[int, int], None]) -> EraseResult:
        if self.states.get(artefact_id) != "locked" or self.request is None:
            raise HelperError("erase of an artefact that is not locked")
        self._known()
        inode = self.inodes[artefact_id]
        if inode.map_digest != map_digest:
            return EraseResult(artefact_id, 0, passes, map_digest, inode.map_digest, 1, (), ("extent-moved",))
        self.eraser.erased[artefact_id] += 1
        stream = keystream(seed, artefact_id, len(inode.data) // BLOCK)
        for at in range(0, len(inode.data), BLOCK):
            self.eraser.alive()
            if self.host.witness is not None:
                await self.host.witness(self.request.uuid, "write", artefact_id)
            inode.data[at : at + BLOCK] = stream[at : at + BLOCK]
            progress(at + BLOCK, len(inode.data))
            await asyncio.sleep(0)
        if self.eraser.reasons:
            return EraseResult(artefact_id, 0, passes, map_digest, map_digest, 1, (), (self.eraser.reasons.pop(0),))
        return EraseResult(artefact_id, len(inode.data) * passes, passes, map_digest, inode.map_digest, 1)

    async def remove(self, artefact_id: str, evidence: Evidence) -> None:
        if self.states.get(artefact_id) not in {"locked", "renamed"} or self.request is None:
            raise HelperError("remove of an artefact that is not locked")
        if evidence.artefact_id != artefact_id or evidence.reasons or evidence.mismatches:
            raise RefusedError("no passed read-back", codes=("drift",))
        self._known()
        self.eraser.alive()
        if self.host.witness is not None:
            await self.host.witness(self.request.uuid, "remove", artefact_id)
        path = self.host.path_of(self.inodes[artefact_id])
        step = next(item for item in self.request.steps if item.artefact_id == artefact_id)
        target = f"{step.location.rpartition('/')[0]}/{step.rename_to}"
        self.host.names[target] = self.host.names.pop(path)
        await asyncio.sleep(0)
        del self.host.names[target]
        self.eraser.removed[artefact_id] += 1
        self.states[artefact_id] = "removed"

    async def leave(self, artefact_id: str) -> None:
        inode = self.inodes.pop(artefact_id)
        inode.locked_by = None
        self.states[artefact_id] = "left"

    async def trim(self, location: str) -> Trimmed:
        self.eraser.alive()
        self.eraser.trimmed.append(location)
        if self.eraser.trim_fails is not None:
            raise self.eraser.trim_fails
        return Trimmed(location, self.eraser.trims, 0, "" if self.eraser.trims else "the device gives discarded blocks back")

    def end(self) -> None:
        for inode in self.host.inodes:
            if inode.locked_by is self:
                inode.locked_by = None


class FakeEraser:
    """Port Eraser. `dies`: after how many further calls and blocks the process dies (None: never); `reasons`: what the next `erase`s complain of."""

    def __init__(self, host: FakeHost, sheets: FakeSheets | None = None) -> None:
        self.host = host
        self.sheets = sheets
        self.dies_after: int | None = None
        self.reasons: list[str] = []
        self.erased: Counter[str] = Counter()
        self.removed: Counter[str] = Counter()
        self.trims = ""  # how the host's free space can be made unreadable
        self.trimmed: list[str] = []
        self.trim_fails: Exception | None = None

    def alive(self) -> None:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                self.dies_after = None
                raise HelperError("the eraser is gone")

    def session(self) -> AbstractAsyncContextManager[FakeSession]:
        @asynccontextmanager
        async def connect() -> AsyncIterator[FakeSession]:
            session = FakeSession(self)
            try:
                yield session
            finally:
                session.end()

        return connect()


class FakeFeed:
    """Port Feed: answers completely, at the clock's now, unless `silent`."""

    def __init__(self, now: Callable[[], Any], kind: str = "http") -> None:
        self._now = now
        self.silent = False
        self.status = FeedStatus(None, 0, kind)

    async def poll(self) -> FeedStatus:
        if not self.silent:
            self.status = FeedStatus(self._now(), self.status.complete_answers + 1, self.status.kind)
        return self.status


class RecordingMilestones:
    """Port Milestones: remembers each; `cut_at` ends the world at the n-th (from 0); `when[step]` is awaited at a step, once."""

    def __init__(self, cut_at: int | None = None) -> None:
        self.cut_at = cut_at
        self.seen: list[str] = []
        self.when: dict[str, Callable[[], Awaitable[None]]] = {}

    async def reached(self, step: str, wipe_id: str, **facts: Any) -> None:
        number = len(self.seen)
        self.seen.append(str(step))
        if self.cut_at is not None and number == self.cut_at:
            raise PowerCut(f"{step} ({number})")
        call = self.when.pop(str(step), None)
        if call is not None:
            await call()


class RecordingAnnouncer:
    """Port Announcer: remembers what was told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.bytes: Counter[tuple[str, str]] = Counter()
        self.judged: list[tuple[WipeRecord, float | None]] = []
        self.codes: Counter[str] = Counter()

    def progress(self, wipe_id: str, artefact_id: str, phase: str, done: int, total: int) -> None:
        self.bytes[artefact_id, phase] = done

    def step(self, wipe_id: str, step: str) -> None:
        self.steps.append((wipe_id, str(step)))

    def finished(self, record: WipeRecord, expiry_to_unreadable: float | None) -> None:
        self.judged.append((record, expiry_to_unreadable))

    def refused(self, codes: Sequence[str]) -> None:
        self.codes.update(str(code) for code in codes)


__all__ = [
    "FakeEraser",
    "FakeFeed",
    "FakeFences",
    "FakeHypervisor",
    "FakeObserver",
    "HypervisorError",
    "PowerCut",
    "RecordingAnnouncer",
    "RecordingMilestones",
]
