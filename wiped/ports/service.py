"""What the faces ask of the daemon, one Protocol a noun: implemented in `conduct/service/`, faked in tests. `Service` has one attribute a noun.

Every method raises errors of `wiped.errors` only. `uuid` is a phone's. `person` is the requester and `operator` the requester's name, both as the face
authenticated them; `reason`, `reference` and `authority` are sealed in the ledger. Where a second person must approve, the method records what was asked
for and raises RefusedError(needs-approval) with the approval's id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from wiped.model.approvals import Approval, Drain, Person
from wiped.model.breaker import BreakerRecord
from wiped.model.clock import ClockMemory
from wiped.model.images import ClassifiedImage, OrphanImage
from wiped.model.plan import Plan
from wiped.model.records import AuditEntry, CertificateRecord, PhoneRecord, WipeRecord
from wiped.model.status import Explanation, HostStatus, RequestsAsked, WipeAsked, WipeNews
from wiped.model.subscription import AccountReference, Hold, Subscription, SubscriptionRecord, WipeRequest


class StatusService(Protocol):
    """The daemon itself."""

    async def get(self) -> HostStatus:
        """The host at a glance."""

    async def readiness(self) -> dict[str, str]:
        """What keeps the promise from being kept now: name -> "" (good) or the fault. Names: libvirt, ledger, feed, helpers, hook, clock, breaker."""


class PhonesService(Protocol):
    """Phones, and what an operator may do to one directly."""

    async def find(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """All phones, or those in `states`. InputError for a state that does not exist."""

    async def resolve(self, name: str) -> PhoneRecord:
        """The phone with this UUID or name. NotFoundError for none, and for several, with the candidates."""

    async def explain(self, uuid: str) -> Explanation:
        """The phone's state, its next change, and every reason. Changes nothing. NotFoundError."""

    async def suspend(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Stop and fence the phone now; reversible (R17). Idempotent."""

    async def resume(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """End the phone's suspension. Idempotent."""

    async def protect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Protect the phone from wipes: an operator's own hold, separate from legal holds. Idempotent."""

    async def unprotect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """End the phone's protection. Idempotent."""


class PlansService(Protocol):
    """Plans of wipes that have not begun."""

    async def get(self, uuid: str) -> Plan:
        """What a wipe of the phone would destroy, keep and refuse now. Changes nothing. NotFoundError, RefusedError(missing, ...)."""


class SubscriptionsService(Protocol):
    """Subscriptions, as operators record them."""

    async def set(self, record: SubscriptionRecord, person: Person) -> Subscription:
        """Bind one phone to a subscription, or renew it. Idempotent. InputError, RefusedError."""

    async def record_all(self, records: Sequence[SubscriptionRecord], operator: str) -> tuple[Subscription, ...]:
        """Record many subscriptions, all of them or none. Idempotent. Raises as `set` does."""

    async def current(self) -> tuple[Subscription, ...]:
        """All current subscriptions."""


class WipesService(Protocol):
    """Wipes: asked for by an operator, looked at, followed."""

    async def ask(self, uuid: str, *, reason: str, ticket: str, confirm: str, person: Person) -> WipeAsked:
        """Ask for a manual wipe of the phone. RefusedError with the code of every guard that refuses."""

    async def find(self, uuid: str = "") -> tuple[WipeRecord, ...]:
        """Wipes, newest first; of one phone, or all."""

    async def get(self, wipe_id: str) -> WipeRecord:
        """One wipe. NotFoundError."""

    def events(self, wipe_id: str) -> AsyncIterator[WipeNews]:
        """The step that the wipe has reached, then its news until its end; of an ended wipe, its end at once. NotFoundError."""


class QuarantineService(Protocol):
    """Wipes without proof, which wait in quarantine."""

    async def find(self) -> tuple[WipeRecord, ...]:
        """Wipes that wait in quarantine, oldest first."""

    async def retry(self, uuid: str, operator: str) -> WipeRecord:
        """Try the quarantined wipe of the phone again now. InputError when no wipe of the phone waits in quarantine."""

    async def dispose(self, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> WipeRecord:
        """Accept that the phone's wipe cannot be proven. Takes two people: RefusedError(needs-approval) once the request is recorded."""


class CertificatesService(Protocol):
    """Certificates and incident records."""

    async def get(self, certificate_id: str) -> CertificateRecord:
        """One certificate or incident record, by its id or by its wipe's. NotFoundError."""

    def public_key(self) -> bytes:
        """The public half of the signing key, PEM."""


class AuditService(Protocol):
    """The audit log."""

    async def entries(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Entries with seq > `after`, in order."""

    async def head(self, seq: int) -> bytes:
        """A signed head (DSSE) over the log up to entry `seq`. NotFoundError."""


class AnswersService(Protocol):
    """Answers that are remembered by Idempotency-Key."""

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """The remembered answer for the key, None when there is none. InputError when the key came with another request."""

    async def remember(self, key: str, digest: str, answer: dict[str, Any]) -> None:
        """Remember an answer."""


class BreakerService(Protocol):
    """The circuit breaker against mass mistakes."""

    async def get(self) -> BreakerRecord:
        """The breaker, and while it is open the phones that wait for its release."""

    async def release(self, *, fingerprint: str, reason: str, person: Person) -> BreakerRecord:
        """Allow the wipe of exactly the phones that wait. Takes two people. InputError when the breaker is not open, RefusedError: drift when another set of
        phones waits, needs-approval once the request is recorded."""


class ClockService(Protocol):
    """The check of the host's clock."""

    async def get(self) -> ClockMemory:
        """What the daemon knows of the clock, and why it is suspect if it is."""

    async def trust(self, *, reason: str, operator: str) -> ClockMemory:
        """Accept that a suspect clock is right; returns the clock as it was before. InputError when the clock is not suspect."""


class ImagesService(Protocol):
    """Images: classified by people, or reached by no domain."""

    async def classify(self, path: str, meaning: str, *, reason: str, person: Person) -> ClassifiedImage:
        """Classify an image as golden, or as private by two people. InputError, RefusedError with the code of every guard that refuses. Idempotent."""

    async def classified(self) -> tuple[ClassifiedImage, ...]:
        """All images that people classified."""

    async def orphans(self) -> tuple[tuple[OrphanImage, ...], bool, tuple[tuple[str, str], ...]]:
        """Images that no domain reaches, largest first; whether there are more; (place, why) of what could not be read."""


class RequestsService(Protocol):
    """Requests for the end of a phone, or of every phone of an account."""

    async def add(self, kind: str, ground: str, *, uuid: str = "", account: AccountReference | None = None, reference: str, reason: str, confirm: str,
                  person: Person) -> RequestsAsked:  # fmt: skip
        """Request the end of one phone or of every phone of an account. RefusedError(wrong-confirmation, ...), InputError, NotFoundError."""

    async def find(self, uuid: str = "") -> tuple[tuple[str, WipeRequest, dict[str, str]], ...]:
        """Open requests, oldest first: (uuid, request, the words that came with it)."""


class HoldsService(Protocol):
    """Legal holds."""

    async def add(self, *, uuid: str = "", account: AccountReference | None = None, authority: str, reference: str, ground: str, until: datetime | None,
                  disclose: bool, reason: str, person: Person) -> Hold:  # fmt: skip
        """Add a legal hold on a phone, or on an account's phones, present and future (R9)."""

    async def release(self, hold_id: str, *, reason: str, person: Person) -> Hold:
        """Release a legal hold. Takes two people."""

    async def in_force(self) -> tuple[Hold, ...]:
        """Holds in force, with authority and reference unsealed."""


class ApprovalsService(Protocol):
    """Approvals: what one person asked for and another person must agree to."""

    async def find(self, every: bool = False, /) -> tuple[Approval, ...]:
        """Approvals that wait for another person, oldest first; with `every` the decided ones too."""

    async def get(self, approval_id: str) -> Approval:
        """One approval. NotFoundError."""

    async def approve(self, approval_id: str, *, fingerprint: str, person: Person) -> Approval:
        """Agree to what `fingerprint` names. RefusedError: needs-approval (the requester, or root), drift (it has changed: look again), expired."""

    async def reject(self, approval_id: str, *, reason: str, person: Person) -> Approval:
        """Reject an approval: its requests are closed."""


class DrainsService(Protocol):
    """Drains: announced ends of this host, or of a product on it."""

    async def start(self, at: datetime, *, product: str, reason: str, person: Person) -> Drain:
        """Announce the end of this host, or of one product on it (R7)."""

    async def in_force(self) -> tuple[Drain, ...]:
        """Drains in force."""

    async def cancel(self, drain_id: str, *, reason: str, person: Person) -> Drain:
        """Cancel a drain before its date. Takes two people."""


class ReportsService(Protocol):
    """Reports, as JSON values."""

    async def subject(self, account: AccountReference, person: Person) -> dict[str, Any]:
        """Everything that the host holds on one account (R13)."""

    async def period(self, since: datetime, until: datetime) -> dict[str, Any]:
        """What was requested, held, wiped and not proven from `since` until `until`."""


class Service(Protocol):
    """The daemon's service: one attribute a noun. Read-only, so that an implementation may declare its own classes."""

    @property
    def status(self) -> StatusService:
        """The daemon itself."""

    @property
    def phones(self) -> PhonesService:
        """Phones."""

    @property
    def plans(self) -> PlansService:
        """Plans of wipes that have not begun."""

    @property
    def subscriptions(self) -> SubscriptionsService:
        """Subscriptions."""

    @property
    def wipes(self) -> WipesService:
        """Wipes."""

    @property
    def quarantine(self) -> QuarantineService:
        """Wipes that wait in quarantine."""

    @property
    def certificates(self) -> CertificatesService:
        """Certificates, incident records and the key that verifies them."""

    @property
    def audit(self) -> AuditService:
        """The audit log."""

    @property
    def answers(self) -> AnswersService:
        """Answers that are remembered by Idempotency-Key."""

    @property
    def breaker(self) -> BreakerService:
        """The circuit breaker."""

    @property
    def clock(self) -> ClockService:
        """The check of the host's clock."""

    @property
    def images(self) -> ImagesService:
        """Images."""

    @property
    def requests(self) -> RequestsService:
        """Requests."""

    @property
    def holds(self) -> HoldsService:
        """Legal holds."""

    @property
    def approvals(self) -> ApprovalsService:
        """Approvals."""

    @property
    def drains(self) -> DrainsService:
        """Drains."""

    @property
    def reports(self) -> ReportsService:
        """Reports."""
