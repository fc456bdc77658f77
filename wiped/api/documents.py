"""The JSON of docs/contract.md as pydantic models: what goes in, and what comes out (`shaping` makes it from the model's values). OpenAPI is built from these.

Nothing here holds an account reference but `SubscriptionIn`, and that only until it is wrapped. Instants RFC 3339 UTC, sizes bytes, spans seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

from wiped.errors import InputError
from wiped.model.subscription import AccountReference, SubscriptionRecord

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)


def instant(at: datetime) -> str:
    """RFC 3339, UTC, `Z`; whole seconds unless it has a fraction."""
    return at.astimezone(UTC).isoformat(timespec="microseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


def _rfc3339(value: Any) -> Any:
    if not isinstance(value, str) or (match := _TIME.fullmatch(value)) is None:
        raise ValueError("must be an RFC 3339 instant such as 2026-01-31T23:59:59Z")
    if match.group(2) is None:
        raise ValueError("has no time zone; write Z or an offset such as +08:00")
    return datetime.fromisoformat(value.upper().replace(" ", "T"))


def instant_in(text: str, where: str) -> datetime:
    """An instant of a query. Raises InputError."""
    try:
        return _rfc3339(text.replace(" ", "+")).astimezone(UTC)  # type: ignore[no-any-return]
    except ValueError as error:
        raise InputError(str(error), where=where) from None


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not hold control characters")
    return value


def _account(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip() or not text.isprintable():
        raise ValueError("must be printable text, and not blank")
    return value


def _uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


Instant = Annotated[datetime, PlainSerializer(instant, return_type=str)]
InstantIn = Annotated[datetime, BeforeValidator(_rfc3339, json_schema_input_type=str)]
Text = Annotated[str, Field(max_length=256), AfterValidator(_printable)]


class _In(BaseModel):
    """A request's body: nothing unknown; faults never repeat the input."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)


class SubscriptionIn(_In):
    """Body of `PUT /v1/phones/{uuid}/subscription`; the same words as in an import file."""

    account: Annotated[SecretStr, Field(min_length=1, max_length=256, description="becomes a pseudonym at once, is never stored"), AfterValidator(_account)]
    subscription: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]
    starts: InstantIn
    expires: InstantIn
    minor: Annotated[bool, Field(strict=True)] = False
    policy: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = "default"
    product: Annotated[str, Field(pattern=r"^([a-zA-Z0-9][a-zA-Z0-9._-]{0,62})?$")] = ""

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
        )


class WipeIn(_In):
    """Body of `POST /v1/wipes`. `reason` is for people, sealed in the ledger and never in a log; `confirm` is the phone's name, typed."""

    phone: Annotated[str, AfterValidator(_uuid)]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    ticket: Text = ""
    confirm: Annotated[str, Field(max_length=1024)]


class PhoneName(BaseModel):
    """Which phone; the name is for people."""

    uuid: str
    name: str
    generation: int


class Change(BaseModel):
    """The next change by time alone."""

    state: str
    at: Instant


class ReasonOut(BaseModel):
    """Why: a stable code, a sentence, since when."""

    code: str
    detail: str
    at: Instant | None


class PhoneOut(BaseModel):
    """One phone as last concluded."""

    uuid: str
    name: str
    generation: int
    state: str
    flags: list[str]
    since: Instant
    present: bool
    due_at: Instant | None
    next: Change | None
    refusals: list[str]
    reasons: list[ReasonOut]


class SubscriptionOut(BaseModel):
    """One term; `account_pseudonym` stands for the account (R11)."""

    phone: str
    generation: int
    subscription: str
    account_pseudonym: str
    starts: Instant
    expires: Instant
    first_recorded_at: Instant
    minor: bool
    policy: str
    source: str
    revision: int
    product: str


class ArtefactOut(BaseModel):
    """What would be erased."""

    id: str
    kind: str
    location: str
    format: str
    virtual_bytes: int
    allocated_bytes: int
    device: int
    inode: int


class StepOut(BaseModel):
    """One step of a plan."""

    artefact: ArtefactOut
    method: str
    reason: str


class RetainedOut(BaseModel):
    """What is kept."""

    location: str
    kind: str
    reason: str


class RefusalOut(BaseModel):
    """A guard's no."""

    code: str
    location: str
    detail: str


class PlanOut(BaseModel):
    """Exactly what would be destroyed, kept and refused."""

    phone: PhoneName
    fingerprint: str
    expected_outcome: str
    expected_reasons: list[str]
    steps: list[StepOut]
    retained: list[RetainedOut]
    refusals: list[RefusalOut]
    residuals: list[str]
    passes: int
    verify: str


class TriggerOut(BaseModel):
    """Why a wipe was begun; `operator` and `approver` are staff."""

    kind: str
    ground: str
    reference: str
    operator: str
    approver: str


class WipedArtefactOut(BaseModel):
    """One artefact of a wipe; `outcome` "" while nothing is judged."""

    id: str
    kind: str
    location: str
    method: str
    state: str
    outcome: str
    reasons: list[str]
    bytes_overwritten: int
    bytes_verified: int
    mismatches: int
    verified_via: str


class WipeOut(BaseModel):
    """One wipe; `state` is the step it has reached, `outcome` "" until it is judged."""

    id: str
    phone: PhoneName
    state: str
    trigger: TriggerOut
    outcome: str
    reasons: list[str]
    residuals: list[str]
    certificate_id: str
    attempt: int
    retry_at: Instant | None
    started_at: Instant
    finished_at: Instant | None
    artefacts: list[WipedArtefactOut]


class AskedOut(BaseModel):
    """The answer to a manual request: `id` of the wipe, "" while it waits (`reasons` and `next` say for what)."""

    id: str
    request_id: str
    state: str
    reasons: list[ReasonOut]
    next: Change | None
    wipe: WipeOut | None


class ProgressOut(BaseModel):
    """A running wipe. `rate`: bytes a second."""

    wipe_id: str
    phone: str
    name: str
    state: str
    phase: str
    done: int
    total: int
    rate: int
    eta_seconds: int | None


class StatusOut(BaseModel):
    """The host at a glance."""

    host: str
    version: str
    at: Instant
    phones: dict[str, int]
    flags: dict[str, int]
    overdue: int
    oldest_overdue_seconds: int
    running: list[ProgressOut]
    queued: int
    quarantined: int
    holds: int
    feed: dict[str, str | int | None]
    libvirt_up: bool
    hook_fault: str
    breaker_open: bool
    clock_suspect: bool
    last_sweep_at: Instant | None
    faults: dict[str, str]


class NewsOut(BaseModel):
    """One server-sent event of a wipe: `progress`, `step`, `end`."""

    event: str
    wipe_id: str
    step: str
    phase: str
    artefact_id: str
    done: int
    total: int
    eta_seconds: int | None


class AuditOut(BaseModel):
    """One entry of the hash chain."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    previous: str
    hash: str


class ImportedOut(BaseModel):
    """What an import recorded."""

    imported: int
    items: list[SubscriptionOut]


class ReadyOut(BaseModel):
    """Whether the promise can be kept now; `checks`: name -> "" or the fault."""

    ready: bool
    checks: dict[str, str]
