"""The port `Ledger` over SQLite: each method is one transaction, with its audit entries in it, synced when the call returns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection, delete, select

from wiped.attest.audit_chain import Head
from wiped.errors import ConfigError, InputError, LedgerError, NotFoundError
from wiped.model.instants import instant_text
from wiped.model.inventory import DomainFacts
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import ArtefactRecord, AuditEntry, CertificateRecord, PhoneRecord, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import AccountReference, Decision, Hold, LifecycleFacts, Subscription, SubscriptionRecord, WipeRequest
from wiped.ports.machine import Clock
from wiped.ports.proofs import Pseudonyms, Signer
from wiped.record import asking, asks, audit, phones, terms, verdicts, wipes
from wiped.record.asking import AskingLedger
from wiped.record.feeding import FeedingLedger
from wiped.record.freed import FreedLedger
from wiped.record.guarding import GuardingLedger
from wiped.record.noticing import NoticeLedger
from wiped.record.remembering import RememberingLedger
from wiped.record.retention import RetainingLedger, Shredder
from wiped.record.sql.database import Database
from wiped.record.sql.migrate import FILE_NAME, migrate
from wiped.record.sql.rows import certificate_of, phone_of, subscription_of
from wiped.record.sql.schema import answers, certificates, subscriptions
from wiped.verify.export import write_export

_T = TypeVar("_T")
#: How long an answer is remembered for its Idempotency-Key.
_REMEMBERED = timedelta(days=7)
_OWN_NOTES = "phone:"


class Vault(Pseudonyms, Protocol):
    """Pseudonyms, and the sealing of free text under their keys (`salts.SaltFile`)."""

    async def seal(self, pseudonym: str, words: str) -> bytes:
        """`words` sealed under the slot's key."""

    async def unseal(self, pseudonym: str, sealed: bytes) -> str:
        """The words again. Raises NotFoundError when the slot was destroyed."""

    async def knows(self, pseudonyms: Sequence[str]) -> frozenset[str]:
        """Those of `pseudonyms` that have a slot."""

    async def destroy(self, pseudonym: str) -> tuple[str, ...]:
        """Its slot, in place, for ever: () when its bytes are proven gone, else reason codes."""


class SqlLedger(AskingLedger, FeedingLedger, FreedLedger, GuardingLedger, NoticeLedger, RememberingLedger, RetainingLedger):
    """The memory of one host. Open it with `open`, end it with `close` (or as an async context)."""

    _vault: Vault

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._db = database
        self._vault = vault
        self._clock = clock
        # How often a phone had been touched when the oldest facts that no decision has concluded yet were read.
        self._read_at: dict[str, int] = {}

    @property
    def _shredder(self) -> Shredder:
        return self._vault

    @property
    def fault(self) -> str:
        """Why the last write failed; empty once one succeeded again."""
        return self._db.fault

    @classmethod
    async def open(cls, state_dir: str, pseudonyms: Vault, clock: Clock) -> Self:
        """Open (making or migrating) the ledger in `state_dir`.

        Raises LedgerVersionError (a newer program's ledger, untouched), LedgerError (cannot be read or written), ConfigError (pseudonyms in the ledger
        have no slot in the salt file: it was lost or damaged, restore it).
        """
        path = os.path.join(state_dir, FILE_NAME)
        try:
            os.makedirs(state_dir, mode=0o700, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"the state directory {state_dir} cannot be made: {error.strerror}") from error
        migrate(path)
        ledger = cls(Database(path), pseudonyms, clock)
        try:
            await ledger._check_salts()
        except BaseException:
            await ledger.close()
            raise
        return ledger

    async def close(self) -> None:
        """End all connections. Idempotent."""
        await self._db.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _check_salts(self) -> None:
        def referred(connection: Connection) -> list[str]:
            # The slots of anonymised ones are gone on purpose.
            return list(connection.execute(select(subscriptions.c.account).where(subscriptions.c.anonymised_at.is_(None)).distinct()).scalars())

        accounts = await self._db.read(referred)
        lost = set(accounts) - await self._vault.knows(accounts)
        if lost:
            raise ConfigError(
                f"the salt file does not hold the slots of {len(lost)} of {len(accounts)} pseudonyms in the ledger: it was lost, replaced or damaged; "
                "restore the file that belongs to this ledger",
                faults=[("host.state_dir", "salt file and ledger do not belong together")],
            )

    # -- phones and subscriptions
    async def see_domains(self, domains: Sequence[DomainFacts], now: datetime) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: phones.see_domains(c, domains, now))

    async def phones(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: phones.all_phones(c, states))

    async def phone(self, uuid: str) -> PhoneRecord | None:
        """See `ports.Ledger`."""
        row = await self._db.read(lambda c: phones.row_of(c, uuid))
        return None if row is None else phone_of(row)

    async def find_phones(self, name: str) -> tuple[PhoneRecord, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: phones.named(c, name))

    async def record_subscriptions(
        self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str, operator: str
    ) -> tuple[Subscription, ...]:  # fmt: skip
        """See `ports.Ledger`; the rules are in `terms`. Raises InputError for a batch that cannot be meant, also RefusedError(needs-approval) where one
        person alone would bring the end of a running term forward."""
        terms.check(records)
        async with self._db.turn():
            moves, refused = await self._weighed(records, now, source)
            if refused:
                await self._db.write_in_turn(lambda c: terms.note_refused(c, refused, now, source=source, operator=operator))
                raise terms.refusal(refused)
            if all(change is terms.Change.NOTHING and not stand.occupied for stand, _, change in moves):
                return tuple(stand.last for stand, _, _ in moves if stand.last is not None)
            ready = await self._ready(moves)
            return await self._db.write_in_turn(lambda c: terms.apply(c, ready, now, source=source, operator=operator))

    async def _weighed(
        self, records: Sequence[SubscriptionRecord], now: datetime, source: str
    ) -> tuple[list[tuple[terms.Standing, SubscriptionRecord, terms.Change]], list[tuple[str, RefusalCode]]]:  # fmt: skip
        """What each record does; the caller holds the writer's turn."""
        before = await self._db.read(lambda c: [terms.standing(c, record.uuid) for record in records])
        moves: list[tuple[terms.Standing, SubscriptionRecord, terms.Change]] = []
        refused: list[tuple[str, RefusalCode]] = []
        for stand, record in zip(before, records, strict=True):
            same = stand.last is not None and stand.last.account in await self._vault.find(record.account, (stand.generation,))
            found = terms.weigh(stand, record, same_account=same, source=source, now=now)
            if isinstance(found, RefusalCode):
                refused.append((record.uuid, found))
            else:
                moves.append((stand, record, found))
        return moves, refused

    async def _ready(self, moves: Sequence[tuple[terms.Standing, SubscriptionRecord, terms.Change]]) -> list[terms.Move]:
        """With pseudonyms: slots are on disk before the ledger refers to them."""
        return [
            terms.Move(stand, record, change, await self._account(stand, record, change), await self._owner(record.account)) for stand, record, change in moves
        ]

    async def _owner(self, account: AccountReference) -> str:
        """The account's own pseudonym, where it was ever held as an account."""
        return next(iter(await self._vault.find(account, (0,))), "")

    async def _account(self, stand: terms.Standing, record: SubscriptionRecord, change: terms.Change) -> str:
        if stand.last is not None and change is not terms.Change.BEGIN:
            return stand.last.account
        return await self._vault.pseudonym(record.account, stand.generation + 1)

    async def subscription(self, uuid: str) -> Subscription | None:
        """See `ports.Ledger`. Of a phone that stands at the end of a generation, the term that ended."""

        def look(connection: Connection) -> Subscription | None:
            phone = phones.row_of(connection, uuid)
            return None if phone is None else phones.current_term(connection, phone)

        return await self._db.read(look)

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """See `ports.Ledger`: terms that have not ended, by UUID."""
        query = select(subscriptions).where(subscriptions.c.ended_at.is_(None)).order_by(subscriptions.c.uuid)
        return await self._db.read(lambda c: tuple(subscription_of(row) for row in c.execute(query)))

    async def due_for_decision(self, now: datetime) -> tuple[str, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: phones.due_for_decision(c, now))

    async def next_instant(self) -> datetime | None:
        """See `ports.Ledger`."""
        return await self._db.read(phones.next_instant)

    async def facts(self, uuid: str, now: datetime) -> LifecycleFacts | None:
        """See `ports.Ledger`."""
        found = await self._db.read(lambda c: phones.facts(c, uuid, now))
        if found is None:
            return None
        self._read_at.setdefault(uuid, found[1])
        return found[0]

    async def conclude(self, uuid: str, decision: Decision, now: datetime) -> None:
        """See `ports.Ledger`. What was recorded since the facts were read makes the phone wait for another decision; a state that a wipe has set since
        stands."""
        touches = self._read_at.pop(uuid, None)
        await self._db.write(lambda c: phones.conclude(c, uuid, decision, now, touches=touches))

    async def touch(self, uuid: str) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: phones.touch(c, uuid))

    async def mark(self, uuid: str, *, fenced: bool | None = None, suspended: bool | None = None, protected: bool | None = None,
                   refusals: Sequence[str] | None = None, reason: str = "", operator: str = "daemon") -> None:  # fmt: skip
        """See `ports.Ledger`. The daemon's `reason` is a code and goes into the audit log; a person's words are sealed."""
        now = self._clock.now()
        wanted: dict[str, Any] = {"fenced": fenced, "suspended": suspended, "protected": protected}
        values = {key: value for key, value in wanted.items() if value is not None}
        if refusals is not None:
            values["refusals"] = list(dict.fromkeys(str(code) for code in refusals))
        row = await self._db.read(lambda c: phones.known(c, uuid))
        person = operator != "daemon"
        sealed = await self._seal(uuid, row.generation, reason) if person else None
        cause = "" if person else reason
        marked = {key: value for key, value in values.items() if key in ("suspended", "protected")} if person else {}
        told = {"reason": reason, "operator": operator, "at": instant_text(now)}
        words = {key: await self._sealed(await self._slot(uuid), {**told, "set": "true" if on else "false"}) for key, on in marked.items()}

        def write(connection: Connection) -> None:
            changed = asks.mark(connection, uuid, values, now, sealed=sealed, cause=cause, operator=operator)
            for key in marked.keys() & changed:
                asking.keep_words(connection, f"mark:{key}:{uuid}:{row.generation}", words[key])

        await self._db.write(write)

    async def add_request(self, uuid: str, request: WipeRequest, *, reference: str, reason: str, operator: str) -> None:
        """See `ports.Ledger`. What the requester wrote is sealed; the request goes by its own id (docs/decisions/0011)."""
        now = self._clock.now()
        await self._db.read(lambda c: phones.known(c, uuid))
        words = await self._sealed(await self._slot(uuid), {"reference": reference, "reason": reason}) if reference or reason else []

        def write(connection: Connection) -> None:
            asks.add_request(connection, uuid, request, now, reference=request.id, sealed=None, operator=operator)
            asking.keep_words(connection, request.id, words)

        await self._db.write(write)

    async def reason(self, about: str) -> str:
        """The words that were given with a request (by its id), a release (`breaker:ID`) or `clock`, unsealed; "" when there were none.

        Raises NotFoundError when the account was anonymised.
        """
        words = await self._db.read(lambda c: asking.words_about(c, about))
        told = await self._opened(words)
        if words and not told:
            raise NotFoundError("this was written about an account that was anonymised", where="account")
        if told:
            return told.get("reason", "" if "reference" in told else next(reversed(told.values())))
        sealed = await self._db.read(lambda c: asks.note_about(c, about))
        return "" if sealed is None else await self._vault.unseal(*sealed)

    async def _seal(self, uuid: str, generation: int, words: str) -> asks.Sealed:
        """Under the account's slot; a phone that is nobody's has a slot of its own."""
        term = await self.subscription(uuid) if words else None
        if term is None:
            return await self._seal_words(uuid, generation, words)
        return term.account, await self._vault.seal(term.account, words)

    async def _seal_words(self, about: str, generation: int, words: str) -> asks.Sealed:
        if not words:
            return None
        slot = await self._vault.pseudonym(AccountReference(_OWN_NOTES + about), generation)
        return slot, await self._vault.seal(slot, words)

    async def add_hold(self, hold: Hold, now: datetime, operator: str, *, reason: str = "") -> None:
        """See `ports.Ledger`. Authority, reference and reason are sealed."""
        given = {"authority": hold.authority, "reference": hold.reference, "reason": reason}
        words = await self._sealed(await self._slot(hold.uuid), given) if any(given.values()) else []

        def write(connection: Connection) -> None:
            asks.add_hold(connection, hold, now, operator)
            asking.keep_words(connection, hold.id, words)

        await self._db.write(write)

    async def _slot(self, uuid: str) -> str:
        """The slot under which words about a phone are sealed: its account's, or its own where it is nobody's."""
        term = await self.subscription(uuid)
        return term.account if term is not None else await self._own_slot(uuid)

    async def _own_slot(self, about: str) -> str:
        return await self._vault.pseudonym(AccountReference(_OWN_NOTES + about), 0)

    async def _sealed(self, slot: str, words: Mapping[str, str]) -> list[asking.Words]:
        return [(kind, slot, await self._vault.seal(slot, text)) for kind, text in words.items() if text]

    async def _opened(self, words: Sequence[asking.Words]) -> dict[str, str]:
        found = {}
        for kind, slot, sealed in words:
            with contextlib.suppress(NotFoundError):  # anonymised
                found[kind] = await self._vault.unseal(slot, sealed)
        return found

    async def release_hold(self, hold_id: str, now: datetime, operator: str) -> None:
        """See `ports.Ledger`. Raises NotFoundError for one that is not in force."""

        def write(connection: Connection) -> None:
            row = asks.release_hold(connection, hold_id, now, operator)
            reached = asking.reached(connection, row)
            asking.lengthen_approvals(connection, reached, now)
            for uuid in reached:
                phones.touch(connection, uuid)

        await self._db.write(write)

    async def holds(self) -> tuple[Hold, ...]:
        """See `ports.Ledger`."""
        now = self._clock.now()
        return await self._db.read(lambda c: asks.holds_in_force(c, now))

    # -- wipes
    async def begin_wipe(self, uuid: str, wipe_id: str, trigger: Trigger, now: datetime) -> WipeRecord:
        """See `ports.Ledger`."""
        return await self._db.write(lambda c: wipes.begin(c, uuid, wipe_id, trigger, now))

    async def record_intent(self, wipe_id: str, plan: Plan, snapshot: dict[str, Any], artefacts: Sequence[ArtefactRecord], *,
                            was_running: bool, was_autostart: bool, now: datetime) -> None:  # fmt: skip
        """See `ports.Ledger`. Raises InvariantError (I1) once the last word is spoken."""
        flags = {"was_running": was_running, "was_autostart": was_autostart}
        await self._db.write(lambda c: wipes.record_intent(c, wipe_id, plan, snapshot, artefacts, now=now, **flags))

    async def note_standing(self, wipe_id: str, *, was_running: bool, was_autostart: bool) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: wipes.note_standing(c, wipe_id, was_running=was_running, was_autostart=was_autostart))

    async def save_ranges(self, wipe_id: str, artefact_id: str, blobs: Sequence[bytes], map_digest: str) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: wipes.save_ranges(c, wipe_id, artefact_id, blobs, map_digest))

    async def saved_ranges(self, wipe_id: str, artefact_id: str) -> tuple[bytes, ...]:
        """The blobs that `save_ranges` recorded; () when the wipe is over."""
        return await self._db.read(lambda c: wipes.saved_ranges(c, wipe_id, artefact_id))

    async def advance(self, wipe_id: str, step: WipeStep, now: datetime, **detail: Any) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: wipes.advance(c, wipe_id, step, now, detail))

    async def last_word(self, wipe_id: str, now: datetime, decide: Callable[[LifecycleFacts], Decision]) -> Decision:
        """See `ports.Ledger`."""
        return await self._db.write(lambda c: wipes.last_word(c, wipe_id, now, decide))

    async def record_erased(self, wipe_id: str, result: EraseResult) -> None:
        """See `ports.Ledger`."""
        now = self._clock.now()
        await self._db.write(lambda c: wipes.record_erased(c, wipe_id, result, now))

    async def record_evidence(self, wipe_id: str, evidence: Evidence, *, proven: bool) -> None:
        """See `ports.Ledger`."""
        now = self._clock.now()
        await self._db.write(lambda c: wipes.record_evidence(c, wipe_id, evidence, now, proven=proven))

    async def record_removed(self, wipe_id: str, artefact_id: str) -> None:
        """See `ports.Ledger`."""
        now = self._clock.now()
        await self._db.write(lambda c: wipes.record_removed(c, wipe_id, artefact_id, now))

    async def judge(self, wipe_id: str, *, outcome: str, reasons: Sequence[str], residuals: Sequence[str],
                    certificate: CertificateRecord | None, now: datetime, retry_at: datetime | None) -> None:  # fmt: skip
        """See `ports.Ledger`."""
        told = {"reasons": tuple(reasons), "residuals": tuple(residuals)}
        await self._db.write(lambda c: verdicts.judge(c, wipe_id, outcome=outcome, certificate=certificate, now=now, retry_at=retry_at, **told))

    async def finish(self, wipe_id: str, step: WipeStep, now: datetime) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: verdicts.finish(c, wipe_id, step, now))

    async def retry_now(self, wipe_id: str, now: datetime, operator: str) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: verdicts.retry_now(c, wipe_id, now, operator))

    async def wipe(self, wipe_id: str) -> WipeRecord | None:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: wipes.wipe(c, wipe_id))

    async def wipes(self, uuid: str = "", *, unfinished: bool = False) -> tuple[WipeRecord, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: wipes.all_wipes(c, uuid, unfinished=unfinished))

    # -- proofs
    async def certificate(self, certificate_id: str) -> CertificateRecord | None:
        """See `ports.Ledger`."""

        def look(connection: Connection) -> CertificateRecord | None:
            row = connection.execute(select(certificates).where(certificates.c.id == certificate_id)).first()
            if row is None:
                newest = (certificates.c.issued_at.desc(), certificates.c.id.desc())
                row = connection.execute(select(certificates).where(certificates.c.wipe_id == certificate_id).order_by(*newest).limit(1)).first()
            return None if row is None else certificate_of(row)

        return await self._db.read(look)

    async def audit(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: audit.entries(c, after=after, limit=limit))

    async def verify_audit(self) -> Head:
        """Follow the whole chain; its head. Raises VerificationError."""
        return await self._db.read_in_thread(audit.verify)

    async def export_audit(self, directory: str, signer: Signer) -> Head:
        """Write the log, the public key and a signed head into `directory`, for `wipectl audit verify DIR`."""
        now = self._clock.now()
        public_pem = signer.public_pem

        def look(connection: Connection) -> Head:
            return write_export(directory, lambda after: audit.entries(connection, after=after, limit=1_000), signer, public_pem, now)

        return await self._db.read_in_thread(look)

    async def note(self, kind: str, body: dict[str, Any], now: datetime) -> AuditEntry:
        """See `ports.Ledger`."""
        return await self._db.write(lambda c: audit.append(c, kind, body, now))

    async def counts(self) -> dict[str, int]:
        """See `ports.Ledger`."""
        return await self._db.read(phones.counts)

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """See `ports.Ledger`."""
        row = await self._db.read(lambda c: c.execute(select(answers).where(answers.c.key == key)).first())
        if row is None:
            return None
        if row.digest != digest:
            raise InputError("this key came before with another request", where="Idempotency-Key")
        answer: dict[str, Any] = row.answer
        return answer

    async def remember(self, key: str, digest: str, answer: dict[str, Any], now: datetime) -> None:
        """See `ports.Ledger`. Answers older than seven days are forgotten."""

        def change(connection: Connection) -> None:
            connection.execute(delete(answers).where(answers.c.at < now - _REMEMBERED))
            connection.execute(answers.insert().prefix_with("OR REPLACE").values(key=key, digest=digest, answer=answer, at=now))

        await self._db.write(change)
