"""libvirt's door, and the fence files that its hook obeys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from wiped.model.inventory import DomainFacts, FileIdentity


class Hypervisor(Protocol):
    """libvirt's door. Every call is bounded in time and raises HypervisorError when libvirt is down, slow or wrong."""

    @property
    def connected(self) -> bool:
        """Whether the last contact succeeded."""

    @property
    def fault(self) -> str:
        """What is wrong with libvirt, in words: no connection, or a domain about which it does not answer; "" when nothing is."""

    async def domains(self) -> tuple[DomainFacts, ...]:
        """All domains, active and inactive, their snapshots' XML included; a complete answer or an error, never a part. Of a domain that hangs, what was
        known of it."""

    async def domain(self, uuid: str) -> DomainFacts | None:
        """One domain; None when libvirt says that there is none."""

    async def shutdown(self, uuid: str) -> None:
        """Ask the guest to power off (ACPI). Idempotent; returns at once."""

    async def destroy(self, uuid: str) -> None:
        """Stop the domain hard. Idempotent."""

    async def start(self, uuid: str) -> None:
        """Start a domain again that was stopped for a wipe which was called off."""

    async def set_autostart(self, uuid: str, on: bool) -> None:
        """Idempotent; a transient domain has none, which is no error."""

    async def undefine(self, uuid: str) -> None:
        """Remove the definition with snapshot and checkpoint metadata; never removes storage. Idempotent: no domain is no error."""

    async def undefine_secret(self, uuid: str) -> None:
        """Remove a libvirt secret, after its value's file was erased: libvirt only unlinks. Idempotent: no secret is no error."""

    async def undefine_ephemeral(self, uuid: str) -> None:
        """Remove a secret that libvirt keeps in memory alone (`ephemeral='yes'`), of a kind that opens a phone's own storage; any other stays. Idempotent."""

    def migrated_away(self) -> frozenset[str]:
        """UUIDs that libvirt told to have left by migration, while this object listened. Grows only: one that came back stays in it.

        A hint that can be missed (libvirt or the daemon was down), never one that is wrong: absence proves nothing.
        """

    def hints(self) -> AsyncIterator[str]:
        """UUIDs of domains to which something happened, "" for *look at everything* (a reconnect). Hints only: the sweep is the truth."""


class Fences(Protocol):
    """Fence files (docs/design.md, step 2, I6). Small local files, synced with their directory before a call returns."""

    async def put(self, uuid: str, paths: Sequence[str], identities: Sequence[FileIdentity], volumes: Sequence[tuple[str, str]]) -> None:
        """Write or replace the fence of a phone; from its return on the hook vetoes any start. Idempotent."""

    async def lift(self, uuid: str) -> None:
        """Remove it. Idempotent."""

    async def standing(self) -> frozenset[str]:
        """UUIDs with a fence file, malformed ones included."""

    async def hook_fault(self) -> str:
        """Empty when libvirtd has our hook loaded; else why not, and the fix (for /readyz and doctor)."""
