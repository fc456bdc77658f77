"""The memory: one serial writer, every call one synced transaction with its audit entries in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from wiped.model.approvals import Approval, ApprovalState, Drain
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory, DueCount
from wiped.model.inventory import DomainFacts, FileIdentity
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.plan import Plan
from wiped.model.policy import Safety
from wiped.model.records import (
    ArtefactRecord,
    AuditEntry,
    CertificateRecord,
    PhoneRecord,
    Trigger,
    WipeRecord,
    WipeStep,
)
from wiped.model.sightings import ClassifiedImage, Disposal, Memory, RememberedFile
from wiped.model.subscription import (
    AccountReference,
    Decision,
    Hold,
    LifecycleFacts,
    Subscription,
    SubscriptionRecord,
    WipeRequest,
)
from wiped.ports.outside import Outbox
from wiped.wire.messages import Trimmed


class PromiseLedger(Outbox, Protocol):
    """The part of the memory that the rules of the promise need: what people ask and approve, drains, notices, a feed's answers.

    As `Ledger`, which includes it: synced, audited in the same transaction, LedgerError and then nothing."""

    async def accounts_of(self, account: AccountReference) -> tuple[tuple[str, int, str], ...]:
        """(uuid, generation, pseudonym) of every generation that has not ended and whose term is this account's; makes no pseudonym."""

    async def terms_of(self, account: AccountReference) -> tuple[tuple[Subscription, datetime | None], ...]:
        """Every term of this account, oldest generation first, with when its generation ended; anonymised ones are nobody's any more."""

    async def holds_on(self, account: AccountReference, uuids: Sequence[str]) -> tuple[Hold, ...]:
        """Holds in force on the account or on these phones."""

    async def generation_of(self, request_id: str) -> int:
        """The generation that a request was about."""

    async def add_account_request(self, account: AccountReference, requests: Sequence[tuple[str, WipeRequest]], *, reference: str, reason: str,
                                  operator: str) -> None:  # fmt: skip
        """One request for each (uuid, request) of an account, all or none; `WipeRequest.account` names each phone's pseudonym. `reference` and
        `reason` are sealed."""

    async def requests(self, *, uuid: str = "", unfinished: bool = True) -> tuple[tuple[str, WipeRequest], ...]:
        """(uuid, request), oldest first."""

    async def words(self, about: str) -> dict[str, str]:
        """The sealed words about a thing (a request's, hold's, drain's or approval's id), unsealed: `reference`, `reason`, `authority`. What was
        anonymised is absent."""

    async def add_account_hold(self, hold: Hold, account: AccountReference, now: datetime, operator: str, *, reason: str) -> Hold:
        """A legal hold on an account: on every phone that it has, and on each that it gets while the hold is in force (R9). Authority,
        reference and reason are sealed."""

    async def ask_approval(self, approval: Approval, *, reason: str) -> Approval:
        """Record that something waits for another person (audited, told by a notice); one that is pending for the same subject stands and is returned."""

    async def approvals(self, *, unfinished: bool = True) -> tuple[Approval, ...]:
        """Pending ones (or all), oldest first."""

    async def approval(self, approval_id: str) -> Approval | None:
        """One approval."""

    async def agree(self, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
        """One person's agreement (audited). Reaching `needed` different names makes it APPROVED. Raises RefusedError: approval-expired, drift
        (another fingerprint is recorded), needs-approval (the asker's own name); InputError when it is not pending. The same name again changes nothing."""

    async def settle_approval(self, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str = "") -> Approval:
        """Reject, withdraw or let expire (audited); PENDING with another `fingerprint`: the plan changed, agreements so far are void. Idempotent."""

    async def shorten_term(self, uuid: str, generation: int, terms: Mapping[str, str], now: datetime, *, operator: str, approver: str) -> Subscription:
        """The end of a running term brought forward by two people (audited). Raises RefusedError(drift) when generation or term changed since."""

    async def announce_drain(self, drain: Drain, *, reason: str) -> Drain:
        """A drain (audited, told by a notice). InputError when one of the same host or product is in force."""

    async def drains(self) -> tuple[Drain, ...]:
        """Those in force."""

    async def change_drain(self, drain_id: str, now: datetime, *, approver: str = "", cancelled: bool = False, operator: str = "") -> Drain:
        """Approved by a second person, or cancelled before its date (audited). Raises InputError once it has begun."""


class Ledger(PromiseLedger, Protocol):
    """The memory: one serial writer; every write is synced when the call returns and carries its audit entries in the same transaction.

    Raises LedgerError (a full disk...) and then nothing of the call is recorded.
    """

    @property
    def fault(self) -> str:
        """Why the last write failed; empty once one succeeded again."""

    # -- phones and subscriptions
    async def see_domains(self, domains: Sequence[DomainFacts], now: datetime) -> None:
        """Record which domains exist: new ones `unbound`, renamed ones renamed, missing ones not present (audited `vanished` once)."""

    async def phones(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """All phones, or those in `states`, by name."""

    async def phone(self, uuid: str) -> PhoneRecord | None:
        """One phone by UUID."""

    async def find_phones(self, name: str) -> tuple[PhoneRecord, ...]:
        """Phones of that exact name (present ones first)."""

    async def record_subscriptions(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str, operator: str) -> tuple[Subscription, ...]:
        """All or nothing. Binds, renews, or starts a generation (docs/design.md, "The life of a phone"). Another account on an unwiped phone:
        RefusedError(generation-occupied), and the phone is marked `occupied`. A phone whose wipe passed the last word: RefusedError(subscription-renewed)."""

    async def subscription(self, uuid: str) -> Subscription | None:
        """The current term of a phone."""

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """All current terms."""

    async def due_for_decision(self, now: datetime) -> tuple[str, ...]:
        """UUIDs whose `next_at` has come (indexed: does not grow with the phones whose time has not come), or that were touched since."""

    async def next_instant(self) -> datetime | None:
        """The earliest `next_at` of all."""

    async def facts(self, uuid: str, now: datetime) -> LifecycleFacts | None:
        """Everything recorded that the lifecycle decision reads, whether the breaker holds the phone back included; feed and clock are filled in by the
        caller."""

    async def conclude(self, uuid: str, decision: Decision, now: datetime) -> None:
        """Record a decision; audited when state, flags or action differ from the last."""

    async def touch(self, uuid: str) -> None:
        """Decide this phone again in the next sweep."""

    async def mark(self, uuid: str, *, fenced: bool | None = None, suspended: bool | None = None, protected: bool | None = None,
                   refusals: Sequence[str] | None = None, reason: str = "", operator: str = "daemon") -> None:  # fmt: skip
        """Set facts about a phone (audited when they change)."""

    async def add_request(self, uuid: str, request: WipeRequest, *, reference: str, reason: str, operator: str) -> None:
        """A manual (later: any other) trigger. `reason` is sealed under the account's slot key; never in the audit log."""

    async def close_request(self, request_id: str, now: datetime, *, code: str, operator: str) -> None:
        """A request that was rejected, answered or came to nothing (audited). Idempotent."""

    async def approve_request(self, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
        """A second person agreed to the plan with `fingerprint` (audited, I7: honoured from the return on)."""

    async def add_hold(self, hold: Hold, now: datetime, operator: str, *, reason: str = "") -> None:
        """A legal hold, its words sealed; honoured from the moment of return (I7)."""

    async def release_hold(self, hold_id: str, now: datetime, operator: str) -> None:
        """Lift a hold."""

    async def holds(self) -> tuple[Hold, ...]:
        """All holds in force."""

    # -- wipes
    async def begin_wipe(self, uuid: str, wipe_id: str, trigger: Trigger, now: datetime) -> WipeRecord:
        """A new wipe at QUEUED; a second unfinished one for the same phone is never made: the existing one is returned."""

    async def record_intent(self, wipe_id: str, plan: Plan, snapshot: dict[str, Any], artefacts: Sequence[ArtefactRecord], *,
                            was_running: bool, was_autostart: bool, now: datetime) -> None:  # fmt: skip
        """Step INTENT (I1): plan, snapshot, seeds, rename targets. May be repeated before ERASING (a re-plan), never after."""

    async def note_standing(self, wipe_id: str, *, was_running: bool, was_autostart: bool) -> None:
        """What the phone was before a refused plan fenced and stopped it, to be given back. What was once true stays true. Idempotent; before the last word."""

    async def save_ranges(self, wipe_id: str, artefact_id: str, blobs: Sequence[bytes], map_digest: str) -> None:
        """The physical ranges of an artefact, while its lock is held."""

    async def advance(self, wipe_id: str, step: WipeStep, now: datetime, **detail: Any) -> None:
        """Record a step (audited). Never goes back past ERASING."""

    async def last_word(self, wipe_id: str, now: datetime, decide: Callable[[LifecycleFacts], Decision]) -> Decision:
        """Step 5, I7: in one transaction re-read everything, call the pure `decide`, and write ERASING only if its action is WIPE. Repeated before a retry."""

    async def record_erased(self, wipe_id: str, result: EraseResult) -> None:
        """What the eraser said of one artefact."""

    async def record_evidence(self, wipe_id: str, evidence: Evidence, *, proven: bool) -> None:
        """What the observer said of one artefact."""

    async def record_removed(self, wipe_id: str, artefact_id: str) -> None:
        """The artefact's name is gone."""

    async def record_trimmed(self, wipe_id: str, device: int, answer: Trimmed) -> None:
        """What was done about the free space of a filesystem after the removals of a wipe (audited). The same filesystem again replaces it."""

    async def trimmed(self, wipe_id: str) -> dict[int, str]:
        """Device number -> method, "" where nothing was proven."""

    async def judge(self, wipe_id: str, *, outcome: str, reasons: Sequence[str], residuals: Sequence[str],
                    certificate: CertificateRecord | None, now: datetime, retry_at: datetime | None) -> None:  # fmt: skip
        """Step 9: verdict, certificate (or incident record) and audit entry in one transaction. Proven: step JUDGED; else QUARANTINED."""

    async def finish(self, wipe_id: str, step: WipeStep, now: datetime) -> None:
        """The end: RELEASED or CANCELLED, and the phone's state with it. Idempotent."""

    async def retry_now(self, wipe_id: str, now: datetime, operator: str) -> None:
        """Set the next attempt of a quarantined wipe to now (audited)."""

    async def wipe(self, wipe_id: str) -> WipeRecord | None:
        """One wipe with its artefacts."""

    async def wipes(self, uuid: str = "", *, unfinished: bool = False) -> tuple[WipeRecord, ...]:
        """Wipes, newest first; all, one phone's, or the unfinished ones (oldest first)."""

    # -- what must outlive its moment
    async def classify_image(self, image: ClassifiedImage, *, reason: str, approver: str = "") -> ClassifiedImage:
        """An image as a person settled it (audited; `reason` is sealed). The same again changes nothing and returns what was recorded; another
        meaning, or another file at the path, replaces it."""

    async def classified_images(self) -> tuple[ClassifiedImage, ...]:
        """All of them, oldest first."""

    async def remember_files(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        """What a present phone of that generation has now; nothing where it vanished or changed hands meanwhile."""

    async def memories(self, uuid: str = "") -> tuple[Memory, ...]:
        """When each phone, or one, was last looked at."""

    async def remembered_files(self, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
        """The phone's files as of its newest look; `ever`: as of any look in its generation."""

    async def remembered_owners(self) -> dict[FileIdentity, frozenset[str]]:
        """Which phones each file was ever remembered to belong to, in generations that have not ended."""

    async def note_migrated(self, uuid: str, now: datetime) -> None:
        """libvirt told that the phone left by migration (audited once): none of its files is wiped here until it was seen here again."""

    async def wish_disposal(self, asked: Disposal, *, reason: str) -> Disposal:
        """The first person's wish for a quarantined wipe (audited; `reason` is sealed); an earlier one stands and is returned."""

    async def withdraw_disposal(self, wipe_id: str, operator: str, now: datetime) -> None:
        """The wish is gone (audited). Idempotent."""

    async def dispose(self, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
        """The end without proof (audited): step and state DISPOSED, outcome as it was; the two must differ and the first must be the wish's. Idempotent."""

    # -- guards against mass mistakes
    async def breaker(self) -> BreakerRecord:
        """The breaker, and while it is open the phones that wait behind it."""

    async def count_due(self, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
        """Count these (uuid, generation) as newly due, each once for as long as it stays due, and open the breaker in the same transaction when they are
        too many (`decide.breaker`; audited). Idempotent."""

    async def release_breaker(self, now: datetime, *, fingerprint: str, reason: str, operator: str, approver: str) -> BreakerRecord:
        """Close it and let exactly the waiting phones go (audited with both people; `reason` is sealed); the breaker as it was before. InputError when it is
        not open; RefusedError(drift) when `fingerprint` names another set; InvariantError(R14) unless two different people let them go."""

    async def clock_memory(self) -> ClockMemory | None:
        """What was remembered of the clock; None at the very first start."""

    async def keep_clock(self, memory: ClockMemory, now: datetime, told: dict[str, Any] | None = None) -> None:
        """Remember it. `told` (a changed suspicion) is audited as `clock`, and every due phone is decided again."""

    async def trust_clock(self, memory: ClockMemory, now: datetime, *, reason: str, operator: str) -> None:
        """An operator cleared a suspicion (audited; `reason` is sealed): `memory` is the clock as it stands."""

    # -- proofs
    async def certificate(self, certificate_id: str) -> CertificateRecord | None:
        """One envelope; the id of a wipe finds its newest."""

    async def audit(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Audit entries with seq > `after`, in order."""

    async def note(self, kind: str, body: dict[str, Any], now: datetime) -> AuditEntry:
        """Append an audit entry of its own (daemon started, refused, feed stale...)."""

    async def counts(self) -> dict[str, int]:
        """Phones by state (all states present)."""

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """The remembered answer for an Idempotency-Key; InputError if the same key came with another body."""

    async def remember(self, key: str, digest: str, answer: dict[str, Any], now: datetime) -> None:
        """Remember an answer for an Idempotency-Key."""
