"""What signs a certificate, and what turns an account reference into a pseudonym."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wiped.model.subscription import (
    AccountReference,
)


class Signer(Protocol):
    """Signs certificates (Ed25519)."""

    @property
    def key_id(self) -> str:
        """Bound to the key: hex SHA-256 of the public key's SubjectPublicKeyInfo DER."""

    @property
    def public_pem(self) -> bytes:
        """The public key, PEM."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over `message`."""


class Pseudonyms(Protocol):
    """Account references into pseudonyms (R11); implemented in `record/` over the salt file."""

    async def pseudonym(self, account: AccountReference, generation: int) -> str:
        """The pseudonym of (account, generation); made on first use."""

    async def find(self, account: AccountReference, generations: Sequence[int]) -> tuple[str, ...]:
        """The pseudonyms that already exist; makes none."""

    async def pseudonym_each(self, wanted: Sequence[tuple[AccountReference, int]]) -> tuple[str, ...]:
        """`pseudonym` of each (account, generation), in their order: many at once are synced together."""

    async def find_each(self, wanted: Sequence[tuple[AccountReference, int]]) -> tuple[str, ...]:
        """The pseudonym of each (account, generation) that already exists, in their order; "" for one that does not."""
