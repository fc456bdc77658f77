"""What the faces ask of the daemon: implemented by `conduct.service.Service`, faked in tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from wiped.api.promiseport import PromisePort
from wiped.model.asks import Person
from wiped.model.guards import BreakerRecord, ClockMemory
from wiped.model.memory import ClassifiedImage, OrphanImage
from wiped.model.plan import Plan
from wiped.model.records import AuditEntry, CertificateRecord, PhoneRecord, WipeRecord
from wiped.model.status import Explanation, HostStatus, WipeAsked, WipeNews
from wiped.model.subscription import Subscription, SubscriptionRecord


class ServicePort(PromisePort, Protocol):
    """Every method raises errors of `wiped.errors` only. `operator` is the authenticated staff identity for the audit log; `uuid` is a phone's."""

    async def status(self) -> HostStatus:
        """The host at a glance."""

    async def phones(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """All phones, or those in `states`."""

    async def resolve(self, name: str) -> PhoneRecord:
        """The phone with this UUID or name. NotFoundError for none, and for several, with the candidates."""

    async def explain(self, uuid: str) -> Explanation:
        """State, next change, every reason."""

    async def plan(self, uuid: str) -> Plan:
        """What would be destroyed, kept and refused, as of now. Changes nothing."""

    async def set_subscription(self, record: SubscriptionRecord, person: Person) -> Subscription:
        """Bind or renew one phone's term. Idempotent."""

    async def import_subscriptions(self, records: Sequence[SubscriptionRecord], operator: str) -> tuple[Subscription, ...]:
        """All or nothing. Idempotent."""

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """All current terms."""

    async def request_wipe(self, uuid: str, *, reason: str, ticket: str, confirm: str, person: Person) -> WipeAsked:
        """A manual wipe. RefusedError with every code that stands against it."""

    async def wipes(self, uuid: str = "") -> tuple[WipeRecord, ...]:
        """Wipes, newest first; of one phone, or all."""

    async def quarantine(self) -> tuple[WipeRecord, ...]:
        """Wipes that wait in quarantine, oldest first."""

    async def wipe(self, wipe_id: str) -> WipeRecord:
        """One wipe. NotFoundError."""

    def events(self, wipe_id: str) -> AsyncIterator[WipeNews]:
        """The step it is at, then news until its end; of an ended one, its end at once. NotFoundError."""

    async def certificate(self, certificate_id: str) -> CertificateRecord:
        """One envelope, by its id or its wipe's. NotFoundError."""

    async def audit(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with seq > `after`, in order."""

    async def audit_head(self, seq: int) -> bytes:
        """A signed head (DSSE) over the log up to entry `seq`. NotFoundError."""

    async def retry(self, uuid: str, operator: str) -> WipeRecord:
        """Try a quarantined phone again now. RefusedError or NotFoundError where there is nothing to retry."""

    async def breaker(self) -> BreakerRecord:
        """The breaker, and while it is open the phones that wait behind it."""

    async def release_breaker(self, *, fingerprint: str, reason: str, person: Person) -> BreakerRecord:
        """Takes two people. InputError when it is not open, RefusedError: drift for another set, needs-approval once the wish was recorded."""

    async def clock(self) -> ClockMemory:
        """What is thought of the clock."""

    async def trust_clock(self, *, reason: str, operator: str) -> ClockMemory:
        """The clock is right: what was held against it. InputError when nothing is."""

    async def classify_image(self, path: str, meaning: str, *, reason: str, person: Person) -> ClassifiedImage:
        """Settle an image as golden, or as private by two people. InputError, RefusedError with every code that stands against it. Idempotent."""

    async def classified_images(self) -> tuple[ClassifiedImage, ...]:
        """All that were settled."""

    async def orphans(self) -> tuple[tuple[OrphanImage, ...], bool, tuple[tuple[str, str], ...]]:
        """Images that no domain reaches, largest first; whether there are more; what could not be looked at."""

    async def dispose(self, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> WipeRecord:
        """Accept what cannot be proven. Takes two people: RefusedError(needs-approval) once the wish was recorded."""

    async def readiness(self) -> dict[str, str]:
        """What keeps the promise from being kept now: name -> "" (good) or the fault. Names: libvirt, ledger, feed, helpers, hook, clock, breaker."""

    def public_key(self) -> bytes:
        """The signing key's public half, PEM."""

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """The remembered answer for an Idempotency-Key. InputError if the key came with another request."""

    async def remember(self, key: str, digest: str, answer: dict[str, Any]) -> None:
        """Remember an answer."""
