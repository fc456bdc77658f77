"""One connection's domains: read them whole, and move one. Blocking; every function runs in a thread of `calls.py`.

The libvirt module is handed in (`api`), so that `connection.py` stays the only import of it. Failures are `api.libvirtError`, translated by
`connection.py`; `Late` is raised between two calls once the caller has given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from wiped.model.inventory import DiskSource, DomainFacts, DomainState, JobKind
from wiped.virt.domain_xml import merge, parse_domain
from wiped.virt.places import OF_VOLUMES, parse_secret

#: virDomainState (libvirt's stable numbers).
_STATES = {
    1: DomainState.RUNNING,
    2: DomainState.BLOCKED,
    3: DomainState.PAUSED,
    4: DomainState.SHUTDOWN,
    5: DomainState.SHUTOFF,
    6: DomainState.CRASHED,
    7: DomainState.PMSUSPENDED,
}
#: How often a domain is read anew when a snapshot disappears under the reading.
_ATTEMPTS = 5


class LateError(Exception):
    """The time for this reading is over."""


class StillActiveError(Exception):
    """The domain runs; undefining it would leave a transient domain behind."""


@dataclass(frozen=True, slots=True)
class Host:
    """The libvirt module and an open connection."""

    api: Any
    conn: Any

    # -- reading

    def read_all(self, deadline: float) -> tuple[DomainFacts, ...]:
        """All domains, complete or an exception. `deadline`: time.monotonic() seconds, after which LateError is raised.

        A domain that is gone by the time it is read is left out only where libvirt itself says VIR_ERR_NO_DOMAIN.
        """
        lookups = Lookups(self.api, self.conn)
        read = (self._read(domain, lookups, deadline) for domain in self.conn.listAllDomains(0))
        return tuple(facts for facts in read if facts is not None)

    def read_one(self, uuid: str, deadline: float) -> DomainFacts | None:
        """One domain; None when libvirt says that there is none."""
        domain = self._find(uuid)
        return None if domain is None else self._read(domain, Lookups(self.api, self.conn), deadline)

    def _find(self, uuid: str) -> Any | None:
        try:
            return self.conn.lookupByUUIDString(uuid)
        except self.api.libvirtError as error:
            if error.get_error_code() == self.api.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def _read(self, domain: Any, lookups: Lookups, deadline: float) -> DomainFacts | None:
        api = self.api
        for attempt in range(_ATTEMPTS):
            if time.monotonic() > deadline:
                raise LateError
            try:
                return self._read_once(domain, lookups)
            except api.libvirtError as error:
                code = error.get_error_code()
                if code == api.VIR_ERR_NO_DOMAIN:
                    return None
                if code != api.VIR_ERR_NO_DOMAIN_SNAPSHOT or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    def _read_once(self, domain: Any, lookups: Lookups) -> DomainFacts:
        api = self.api
        number, reason = domain.state(0)
        state = _STATES.get(number, DomainState.UNKNOWN)
        active, persistent = bool(domain.isActive()), bool(domain.isPersistent())
        if active and state is DomainState.SHUTOFF:  # it was started between the two questions
            state = DomainState.RUNNING
        elif not active:  # a driver may keep the state of before; no process is what counts (a crashed one that is preserved has one)
            state = DomainState.SHUTOFF
        documents: list[DomainFacts] = []
        if active:
            documents.append(parse_domain(domain.XMLDesc(0), origin="live"))
        if persistent or not active:
            documents.append(parse_domain(domain.XMLDesc(api.VIR_DOMAIN_XML_INACTIVE), origin="inactive"))
        documents.extend(parse_domain(snapshot.getXMLDesc(0), origin="snapshot") for snapshot in self._snapshots(domain))
        job = self._job(domain, reason, state) if active else JobKind.NONE
        if job is JobKind.OTHER:
            documents.extend(replace(backup, uuid=documents[0].uuid) for backup in self._backup(domain))
        facts = merge(*documents)
        return replace(
            facts,
            state=state,
            persistent=persistent,
            autostart=persistent and bool(domain.autostart()),
            job=job,
            has_managed_save=bool(domain.hasManagedSaveImage(0)),
            disks=tuple(lookups.disk(disk) for disk in facts.disks),
            secrets=tuple(dict.fromkeys(lookups.secret(secret) for secret in facts.secrets)),
        )

    def _snapshots(self, domain: Any) -> list[Any]:
        try:
            return list(domain.listAllSnapshots(0))
        except self.api.libvirtError as error:
            if error.get_error_code() == self.api.VIR_ERR_NO_SUPPORT:
                return []
            raise

    def _backup(self, domain: Any) -> Iterator[DomainFacts]:
        """Where a backup that runs writes the guest's blocks: no definition of the domain says so, and afterwards nobody does."""
        try:
            yield parse_domain(domain.backupGetXMLDesc(0), origin="live")
        except self.api.libvirtError as error:
            if error.get_error_code() not in (self.api.VIR_ERR_NO_DOMAIN_BACKUP, self.api.VIR_ERR_NO_SUPPORT, self.api.VIR_ERR_OPERATION_INVALID):
                raise

    def _job(self, domain: Any, reason: int, state: DomainState) -> JobKind:
        """The long job that runs, OTHER where the emulator's monitor is held and nobody can tell.

        jobStats waits 30 s for a monitor that hangs, so that one frozen phone would blind us to all the others: `controlInfo`, which waits for nothing,
        is asked first. `reason` is libvirt's for `state`.
        """
        api = self.api
        if state is DomainState.PAUSED and reason == api.VIR_DOMAIN_PAUSED_SAVE:
            return JobKind.SAVE
        if state is DomainState.PAUSED and reason == api.VIR_DOMAIN_PAUSED_MIGRATION:
            return JobKind.MIGRATION
        try:
            if self._occupied(domain):
                return JobKind.OTHER
            job = domain.jobStats(0)
        except api.libvirtError as error:
            code = error.get_error_code()
            if code == api.VIR_ERR_OPERATION_TIMEOUT:
                return JobKind.OTHER
            # Between two calls it stopped (a job needs a running domain), or the driver has no jobs.
            if code in (api.VIR_ERR_OPERATION_INVALID, api.VIR_ERR_NO_SUPPORT):
                return JobKind.NONE
            raise
        if job.get("type", api.VIR_DOMAIN_JOB_NONE) == api.VIR_DOMAIN_JOB_NONE:
            return JobKind.NONE
        kinds = {
            api.VIR_DOMAIN_JOB_OPERATION_SAVE: JobKind.SAVE,
            api.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN: JobKind.MIGRATION,
            api.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT: JobKind.MIGRATION,
        }
        return kinds.get(job.get("operation", 0), JobKind.OTHER)

    def _occupied(self, domain: Any) -> bool:
        """Whether the monitor is held, and not for a moment only (an ordinary question takes milliseconds)."""
        for pause in (0.0, 0.02, 0.1, 0.3):
            time.sleep(pause)
            if domain.controlInfo(0)[0] == self.api.VIR_DOMAIN_CONTROL_OK:
                return False
        return True

    # -- moving

    def shutdown(self, uuid: str) -> None:
        """Press the ACPI power button. No domain, or one that does not run: nothing to do."""
        domain = self._find(uuid)
        if domain is None or not domain.isActive():
            return
        api = self.api

        def press() -> None:
            try:
                # Not the default, which prefers the guest agent and may wait for one that never answers.
                domain.shutdownFlags(api.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
            except api.libvirtError as error:
                if error.get_error_code() not in (api.VIR_ERR_INVALID_ARG, api.VIR_ERR_ARGUMENT_UNSUPPORTED, api.VIR_ERR_NO_SUPPORT):
                    raise
                domain.shutdown()

        self._unless_stopped(press, domain)

    def destroy(self, uuid: str) -> None:
        """Stop hard: SIGTERM, then SIGKILL to the emulator. No domain, or one that does not run: nothing to do."""
        domain = self._find(uuid)
        if domain is not None and domain.isActive():
            self._unless_stopped(lambda: domain.destroyFlags(0), domain)

    def start(self, uuid: str) -> None:
        """Start; a domain that runs already is left alone."""
        domain = self.conn.lookupByUUIDString(uuid)
        if not domain.isActive():
            domain.createWithFlags(0)

    def set_autostart(self, uuid: str, on: bool) -> None:
        """Set or clear autostart where it differs; a transient domain has none."""
        domain = self._find(uuid)
        if domain is not None and domain.isPersistent() and bool(domain.autostart()) != on:
            domain.setAutostart(int(on))

    def undefine(self, uuid: str) -> None:
        """Remove the definition and the metadata of snapshots and checkpoints; no storage.

        KEEP_NVRAM and KEEP_TPM: without them libvirt refuses, or unlinks the file itself. MANAGED_SAVE is never given, since it unlinks: libvirt
        looks whether the file exists, so an erased one is no obstacle, and one that was left in place (unproven) makes libvirt refuse, rightly.
        Raises StillActiveError.
        """
        domain = self._find(uuid)
        if domain is None or not domain.isPersistent():
            return
        if domain.isActive():
            raise StillActiveError
        for flags in self._undefine_flags():
            try:
                domain.undefineFlags(flags)
            except self.api.libvirtError as error:
                code = error.get_error_code()
                if code == self.api.VIR_ERR_NO_DOMAIN:
                    return
                if code not in (self.api.VIR_ERR_INVALID_ARG, self.api.VIR_ERR_ARGUMENT_UNSUPPORTED) or flags == 0:
                    raise
            else:
                return

    def undefine_secret(self, uuid: str) -> None:
        """Remove a secret; none there: nothing to do. Its value is unlinked by libvirt, so it must have been erased before."""
        api = self.api
        try:
            self.conn.secretLookupByUUIDString(uuid).undefine()
        except api.libvirtError as error:
            if error.get_error_code() != api.VIR_ERR_NO_SECRET:
                raise

    def undefine_ephemeral(self, uuid: str) -> None:
        """Remove a secret that libvirt keeps in its memory alone and that opens storage of the host's own; any other, and none, is left as it is."""
        api = self.api
        try:
            secret = self.conn.secretLookupByUUIDString(uuid)
            facts = parse_secret(secret.XMLDesc(0))
            if facts.ephemeral and facts.usage_type in OF_VOLUMES:
                secret.undefine()
        except api.libvirtError as error:
            if error.get_error_code() not in (api.VIR_ERR_NO_SECRET, api.VIR_ERR_NO_SUPPORT):
                raise

    def _undefine_flags(self) -> Iterator[int]:
        """From what libvirt 8.9 and later understand down to what any driver does; an unknown flag is an error that changes nothing."""
        api = self.api
        metadata = api.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        both = metadata | api.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        nvram = both | api.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
        yield from dict.fromkeys((nvram | getattr(api, "VIR_DOMAIN_UNDEFINE_KEEP_TPM", 0), nvram, both, metadata, 0))

    def _unless_stopped(self, act: Callable[[], object], domain: Any) -> None:
        """Do it; failing because the domain has stopped or gone meanwhile is what was wanted."""
        api = self.api
        try:
            act()
        except api.libvirtError as error:
            code = error.get_error_code()
            if code == api.VIR_ERR_NO_DOMAIN or (code == api.VIR_ERR_OPERATION_INVALID and not self._runs(domain)):
                return
            raise

    def _runs(self, domain: Any) -> bool:
        try:
            return bool(domain.isActive())
        except self.api.libvirtError as error:
            if error.get_error_code() == self.api.VIR_ERR_NO_DOMAIN:
                return False
            raise


class Lookups:
    """What the XML names indirectly: paths of `volume` disks, UUIDs of secrets named by their usage. Asked once a reading. Never touches either."""

    def __init__(self, api: Any, conn: Any) -> None:
        self._api, self._conn = api, conn
        self._paths: dict[tuple[str, str], str] = {}
        self._secrets: dict[str, str] = {}

    def disk(self, disk: DiskSource) -> DiskSource:
        """The disk with its location, "" where libvirt does not say: an inactive or unknown pool, no such volume, no right to ask (polkit)."""
        if disk.type != "volume" or disk.location:
            return disk
        key = (disk.pool, disk.volume)
        if key not in self._paths:
            self._paths[key] = self._path(*key)
        return replace(disk, location=self._paths[key])

    def secret(self, named: str) -> str:
        """The secret's UUID; a usage that libvirt does not resolve stays as it is (`usage:TYPE:VALUE`): it is never forgotten."""
        if not named.startswith("usage:"):
            return named
        if named not in self._secrets:
            self._secrets[named] = self._secret_uuid(named) or named
        return self._secrets[named]

    def _path(self, pool: str, volume: str) -> str:
        return self._answered(lambda: str(self._conn.storagePoolLookupByName(pool).storageVolLookupByName(volume).path()))

    def _secret_uuid(self, named: str) -> str:
        _, word, usage = named.split(":", 2)
        number = getattr(self._api, f"VIR_SECRET_USAGE_TYPE_{word.upper()}", None)
        if number is None:
            return ""
        return self._answered(lambda: str(self._conn.secretLookupByUsage(number, usage).UUIDString()))

    def _answered(self, ask: Callable[[], str]) -> str:
        """The answer, "" where libvirt says that there is none, or that it does not tell us."""
        api = self._api
        try:
            return ask()
        except api.libvirtError as error:
            unresolved = {
                api.VIR_ERR_NO_STORAGE_POOL, api.VIR_ERR_NO_STORAGE_VOL, api.VIR_ERR_OPERATION_INVALID, api.VIR_ERR_ACCESS_DENIED,
                api.VIR_ERR_NO_SUPPORT, api.VIR_ERR_INVALID_ARG, api.VIR_ERR_NO_SECRET,
            }  # fmt: skip
            if error.get_error_code() in unresolved:
                return ""
            raise
