"""The memory of one host over SQLite: opened, checked and closed here; each noun has a store of its own, one attribute each.

Every call of a store is one transaction, with its audit entries in it, synced when the call returns. Functions of the stores' modules take the connection
of a transaction, so several nouns change in one.
"""

from __future__ import annotations

import os
from typing import Self

from sqlalchemy import Connection, select

from wiped.errors import ConfigError, InputError, LedgerError
from wiped.ports.ledger.answers import AnswerStore
from wiped.ports.ledger.approvals import ApprovalStore
from wiped.ports.ledger.artefacts import ArtefactStore
from wiped.ports.ledger.audit import AuditStore
from wiped.ports.ledger.breaker import BreakerStore
from wiped.ports.ledger.certificates import CertificateStore
from wiped.ports.ledger.clock import ClockStore
from wiped.ports.ledger.conditions import ConditionStore
from wiped.ports.ledger.decisions import DecisionStore
from wiped.ports.ledger.drains import DrainStore
from wiped.ports.ledger.free_space import FreeSpaceStore
from wiped.ports.ledger.holds import HoldStore
from wiped.ports.ledger.images import ImageStore
from wiped.ports.ledger.notices import NoticeStore
from wiped.ports.ledger.phones import PhoneStore
from wiped.ports.ledger.quarantine import QuarantineStore
from wiped.ports.ledger.requests import RequestStore
from wiped.ports.ledger.retention import RetentionStore
from wiped.ports.ledger.sightings import SightingStore
from wiped.ports.ledger.subscriptions import SubscriptionStore
from wiped.ports.ledger.verdicts import VerdictStore
from wiped.ports.ledger.wipes import WipeStore
from wiped.ports.ledger.words import WordStore
from wiped.ports.machine import Clock
from wiped.record import audit, holds
from wiped.record.accounts import Accounts
from wiped.record.answers import SqlAnswers
from wiped.record.approvals import SqlApprovals
from wiped.record.artefacts import SqlArtefacts
from wiped.record.audit import SqlAudit
from wiped.record.breaker import SqlBreaker
from wiped.record.certificates import SqlCertificates
from wiped.record.clock import SqlClock
from wiped.record.conditions import SqlConditions
from wiped.record.decisions import SqlDecisions
from wiped.record.drains import SqlDrains
from wiped.record.free_space import SqlFreeSpace
from wiped.record.holds import SqlHolds
from wiped.record.images import SqlImages
from wiped.record.notices import SqlNotices
from wiped.record.phones import SqlPhones
from wiped.record.proof import unfit
from wiped.record.quarantine import SqlQuarantine
from wiped.record.requests import SqlRequests
from wiped.record.retention import SqlRetention
from wiped.record.sightings import SqlSightings
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database, Witness
from wiped.record.sql.migrate import FILE_NAME, migrate
from wiped.record.subscriptions import SqlSubscriptions
from wiped.record.verdicts import SqlVerdicts
from wiped.record.wipes import SqlWipes
from wiped.record.words import Sealer, SqlWords, Vault


class SqlLedger:
    """`ports.ledger.Ledger`. Open it with `open`, end it with `close` (or as an async context)."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._db = database
        self._vault = vault
        self._clock = clock
        sealer, accounts = Sealer(database, vault), Accounts(database, vault)
        self.phones: PhoneStore = SqlPhones(database, sealer, clock)
        self.decisions: DecisionStore = SqlDecisions(database)
        self.subscriptions: SubscriptionStore = SqlSubscriptions(database, vault, accounts)
        self.requests: RequestStore = SqlRequests(database, sealer, clock)
        self.words: WordStore = SqlWords(database, vault, sealer)
        self.holds: HoldStore = SqlHolds(database, vault, sealer, accounts, clock)
        self.approvals: ApprovalStore = SqlApprovals(database, sealer)
        self.drains: DrainStore = SqlDrains(database, sealer, clock)
        self.wipes: WipeStore = SqlWipes(database)
        self.artefacts: ArtefactStore = SqlArtefacts(database, clock)
        self.free_space: FreeSpaceStore = SqlFreeSpace(database, clock)
        self.verdicts: VerdictStore = SqlVerdicts(database)
        self.quarantine: QuarantineStore = SqlQuarantine(database)
        self.images: ImageStore = SqlImages(database, sealer)
        self.sightings: SightingStore = SqlSightings(database)
        self.breaker: BreakerStore = SqlBreaker(database, sealer)
        self.clock: ClockStore = SqlClock(database, sealer)
        self.notices: NoticeStore = SqlNotices(database)
        self.certificates: CertificateStore = SqlCertificates(database)
        self.audit: AuditStore = SqlAudit(database)
        self.answers: AnswerStore = SqlAnswers(database)
        self.conditions: ConditionStore = SqlConditions(database)
        self.retention: RetentionStore = SqlRetention(database, vault)

    @property
    def fault(self) -> str:
        """Why the last write failed; empty once one succeeded again."""
        return self._db.fault

    @classmethod
    async def open(cls, state_dir: str, pseudonyms: Vault, clock: Clock, *, witness: Witness | None = None) -> Self:
        """Open (making or migrating) the ledger in `state_dir`. `witness`: notes outside the ledger how far its audit log has come, at each transaction.

        Raises LedgerVersionError (a newer program's ledger, untouched), LedgerError (cannot be read or written), ConfigError (pseudonyms in the ledger
        have no slot in the salt file: it was lost or damaged, restore it).
        """
        path = os.path.join(state_dir, FILE_NAME)
        try:
            os.makedirs(state_dir, mode=0o700, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"the state directory {state_dir} cannot be made: {error.strerror}") from error
        migrate(path)
        ledger = cls(Database(path, witness), pseudonyms, clock)
        try:
            await ledger._check_rows()
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

    async def _check_rows(self) -> None:
        """Read every row once as the stores will: a damaged one ends the start, not a decision. Raises ConfigError."""

        def every_row(connection: Connection) -> None:
            for table in tables.metadata.sorted_tables:
                if table is not tables.audit:
                    for _row in connection.execute(select(table)):
                        pass

        try:
            await self._db.read_in_thread(every_row)
            for look in (self.phones.find, self.wipes.find, self.approvals.find, self.requests.find, self.holds.in_force, self.drains.in_force):
                await look()
        except (ValueError, TypeError, KeyError, AttributeError, InputError, LedgerError) as error:
            what = "a row of the ledger is damaged and cannot be read"
            raise unfit(f"{what}: {error}" if isinstance(error, LedgerError) else what) from error

    async def _check_salts(self) -> None:
        def referred(connection: Connection) -> list[str]:
            # The slots of anonymised ones are gone on purpose.
            living = connection.execute(select(tables.subscriptions.c.account).where(tables.subscriptions.c.anonymised_at.is_(None)).distinct()).scalars()
            # A held account without its slot is not known again when it gets another phone.
            return list({*living, *(hold.account for hold in holds.in_force(connection, now) if hold.account)})

        newest = await self._db.read(audit.newest_at)  # a clock that went back must not ask for the slot of a hold that lapsed
        now = max(self._clock.now(), newest) if newest is not None else self._clock.now()
        accounts = await self._db.read(referred)
        lost = set(accounts) - await self._vault.knows(accounts)
        if lost:
            raise ConfigError(
                f"the salt file does not hold the slots of {len(lost)} of {len(accounts)} pseudonyms in the ledger: it was lost, replaced or damaged; "
                "restore the file that belongs to this ledger",
                faults=[("host.state_dir", "salt file and ledger do not belong together")],
                hint="docs/backup.md says which copies belong together, and what is lost without one",
            )
