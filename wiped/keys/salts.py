"""The salt file: account references become pseudonyms here, and only here (R11).

`<state_dir>/salts` is a fixed-slot file (`slots`) that is written in place, since what SQLite deletes stays on the device (docs/design.md, "Memory"). A
pseudonym is HMAC-SHA256(the slot's salt, reference); a slot is found again by HMAC-SHA256(the host's look-up key, generation || reference), which stands in the
slot alone. So the ledger's pseudonyms cannot be led back without this file, and destroying a slot makes its pseudonym nobody's for ever, and the words sealed
under its key unreadable.

A slot is written and synced before its pseudonym is handed out. A missing or damaged file is never silently made anew.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import hmac
import os
import threading
from collections.abc import Callable, Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wiped.errors import ConfigError, InputError, LedgerError, NotFoundError, StorageError
from wiped.keys.inplace import destroy_range
from wiped.keys.slots import (
    CHUNK_SLOTS,
    PSEUDONYM_BYTES,
    SLOT,
    Note,
    Slot,
    binding_of,
    free_bytes,
    head_bytes,
    is_free,
    note_bytes,
    note_of,
    slot_of,
    used_bytes,
)
from wiped.machine import durable_file
from wiped.model.subscription import AccountReference

FILE_NAME = "salts"
KEY_NAME = "lookup-key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_PREFIX = "acct-"


def _hmac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def _text(pseudonym: bytes) -> str:
    return _PREFIX + base64.b32encode(pseudonym).decode("ascii").lower()


def _unusable(message: str) -> ConfigError:
    return ConfigError(message, faults=[("host.state_dir", "the salt file cannot be used")], hint="docs/backup.md says which copies belong together")


def _write_new(path: str, data: bytes) -> None:
    durable_file.put(os.path.realpath(os.path.dirname(path)), os.path.basename(path), data, 0o600)  # a state directory may be a link


class SaltFile:
    """The port `Pseudonyms`, with `seal` and `unseal`. Open it with `open`; one process at a time (it is locked), any number of threads."""

    def __init__(self, path: str, fd: int, key: bytes) -> None:
        self._path = path
        self._fd = fd
        self._key = key
        self._lock = threading.Lock()
        self._by_lookup: dict[bytes, int] = {}
        self._by_pseudonym: dict[str, int] = {}
        self._free: list[int] = []
        self._notes: dict[int, Note] = {}
        self._slots = 0
        #: Slots that are neither free nor intact: a torn write that nothing refers to, or damage (which opening the ledger finds out).
        self.damaged = 0

    @property
    def used(self) -> int:
        """How many slots hold a pseudonym."""
        return len(self._by_pseudonym)

    @property
    def noted(self) -> tuple[int, str] | None:
        """(number, hash in hex) of the audit entry that was noted last; None where none was. This file is never copied with the ledger, so it knows better
        than a ledger that was put back."""
        newest = max(self._notes.values(), key=lambda note: note.turn, default=None)
        return (newest.seq, newest.hash.hex()) if newest is not None else None

    def note(self, seq: int, digest: str) -> None:
        """Note how far the audit log has come, synced. Synchronous. Raises LedgerError when it cannot be written; the earlier note then stands."""
        with self._lock:
            note = Note(1 + max((known.turn for known in self._notes.values()), default=0), seq, bytes.fromhex(digest))
            try:
                if (new := len(self._notes) < 2) and not self._free:
                    self._grow()
                number = self._free[-1] if new else min(self._notes, key=lambda known: self._notes[known].turn)
                durable_file.write_all(self._fd, note_bytes(note), offset=number * SLOT)
                os.fdatasync(self._fd)  # at each transaction: of a file that does not grow, its times need not reach the disk
            except OSError as error:
                raise LedgerError(f"the salt file cannot be written: {error.strerror}") from error
            if new:
                self._free.pop()
            self._notes[number] = note

    @classmethod
    def open(cls, state_dir: str, refers_to_accounts: Callable[[str], bool]) -> Self:
        """Open the salt file in `state_dir`, making it and the look-up key on the very first run. Synchronous.

        `refers_to_accounts(state_dir)` tells whether the ledger there refers to any pseudonym; a missing file is made only where the ledger does not.
        Raises ConfigError when the file is missing, foreign, cut off or damaged while the ledger refers to it, or readable by others; LedgerError when the
        file cannot be read or written, or another process has it open.
        """
        path, key_path = os.path.join(state_dir, FILE_NAME), os.path.join(state_dir, KEY_NAME)
        try:
            os.makedirs(state_dir, mode=0o700, exist_ok=True)
            key = cls._make_or_read_key(state_dir, path, key_path, refers_to_accounts)
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise LedgerError(f"the salt file in {state_dir} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _check_private(fd, path)
            salts = cls(path, fd, key)
            salts._load()
        except BlockingIOError as error:
            os.close(fd)
            raise LedgerError(f"{path} is in use: another wiped runs on this state directory") from error
        except OSError as error:
            os.close(fd)
            raise LedgerError(f"{path} cannot be read: {error.strerror}") from error
        except BaseException:
            os.close(fd)
            raise
        return salts

    @staticmethod
    def _make_or_read_key(state_dir: str, path: str, key_path: str, refers_to_accounts: Callable[[str], bool]) -> bytes:
        has_salts, has_key = os.path.exists(path), os.path.exists(key_path)
        if not (has_salts and has_key):
            if refers_to_accounts(state_dir):
                missing = path if not has_salts else key_path
                raise _unusable(f"{missing} is missing, but the ledger refers to accounts: restore it; it is never made anew")
            if has_salts:
                raise _unusable(f"{key_path} is missing, but {path} is there: restore it, or remove both if this host never had a subscription")
            # First run, or one that ended between the two files: the key comes first, the salt file is bound to it.
            if not has_key:
                _write_new(key_path, os.urandom(_KEY_BYTES))
            key = _read_key(key_path)
            _write_new(path, head_bytes(_binding(key)) + b"".join(free_bytes() for _ in range(CHUNK_SLOTS - 1)))
            return key
        return _read_key(key_path)

    def _load(self) -> None:
        size = os.fstat(self._fd).st_size
        self._slots = size // SLOT
        binding = binding_of(os.pread(self._fd, SLOT, 0))
        if binding is None:
            raise _unusable(f"{self._path} is damaged or not a salt file of ours: restore it")
        if not hmac.compare_digest(binding, _binding(self._key)):
            raise _unusable(f"{self._path} and {KEY_NAME} do not belong together: restore both from the same time")
        for number in range(1, self._slots):
            data = os.pread(self._fd, SLOT, number * SLOT)
            slot = slot_of(data)
            if slot is not None:
                self._by_lookup[slot.lookup] = number
                self._by_pseudonym[_text(slot.pseudonym)] = number
            elif is_free(data):
                self._free.append(number)
            elif (note := note_of(data)) is not None:
                self._notes[number] = note
            else:
                self.damaged += 1
        self._free.reverse()

    def close(self) -> None:
        """Let go of the file and its lock. Idempotent."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    # -- the port
    async def pseudonym(self, account: AccountReference, generation: int) -> str:
        """See `ports.Pseudonyms`. Raises InputError for an empty reference, LedgerError when the slot cannot be written."""
        return (await asyncio.to_thread(self._made, [(account.value, generation)]))[0]

    async def find(self, account: AccountReference, generations: Sequence[int]) -> tuple[str, ...]:
        """See `ports.Pseudonyms`."""
        return await asyncio.to_thread(self._find, account.value, tuple(generations))

    async def pseudonym_each(self, wanted: Sequence[tuple[AccountReference, int]]) -> tuple[str, ...]:
        """See `ports.Pseudonyms`. Raises as `pseudonym`; then some may have been made."""
        return await asyncio.to_thread(self._pseudonym_each, [(account.value, generation) for account, generation in wanted]) if wanted else ()

    async def find_each(self, wanted: Sequence[tuple[AccountReference, int]]) -> tuple[str, ...]:
        """See `ports.Pseudonyms`."""
        return await asyncio.to_thread(lambda: tuple(next(iter(self._find(account.value, (number,))), "") for account, number in wanted))

    async def knows(self, pseudonyms: Sequence[str]) -> frozenset[str]:
        """Those of `pseudonyms` that have a slot."""
        with self._lock:
            return frozenset(name for name in pseudonyms if name in self._by_pseudonym)

    async def seal(self, pseudonym: str, words: str) -> bytes:
        """`words` under the slot's key (AES-256-GCM, bound to the pseudonym). Raises NotFoundError when there is no such slot."""
        return await asyncio.to_thread(self._seal, pseudonym, words)

    async def unseal(self, pseudonym: str, sealed: bytes) -> str:
        """The words again. Raises NotFoundError when the slot was destroyed, LedgerError when the sealed bytes were changed."""
        return await asyncio.to_thread(self._unseal, pseudonym, sealed)

    async def destroy(self, pseudonym: str) -> tuple[str, ...]:
        """Destroy a slot in place, for ever: () when its bytes are proven gone, else the reason codes. An unknown one is gone already.

        Raises LedgerError when it cannot be overwritten; it is unusable from then on all the same, and destroying it may be tried again after a restart.
        """
        return await asyncio.to_thread(self._destroy, pseudonym)

    def _lookup(self, reference: str, generation: int) -> bytes:
        return _hmac(self._key, b"lookup\0", generation.to_bytes(8, "big"), reference.encode("utf-8", "surrogatepass"))

    def _find(self, reference: str, generations: tuple[int, ...]) -> tuple[str, ...]:
        with self._lock:
            numbers = (self._by_lookup.get(self._lookup(reference, generation)) for generation in generations)
            return tuple(_text(self._read(number).pseudonym) for number in numbers if number is not None)

    def _pseudonym_each(self, wanted: Sequence[tuple[str, int]]) -> tuple[str, ...]:
        """In parts, each with one sync: the lock is let go between them."""
        return tuple(name for at in range(0, len(wanted), CHUNK_SLOTS) for name in self._made(wanted[at : at + CHUNK_SLOTS]))

    def _made(self, wanted: Sequence[tuple[str, int]]) -> list[str]:
        if any(not reference or generation < 0 for reference, generation in wanted):
            raise InputError("an account reference must not be empty", where="account")
        with self._lock:
            lookups = [self._lookup(reference, generation) for reference, generation in wanted]
            new: dict[bytes, Slot] = {}
            for lookup, (reference, _) in zip(lookups, wanted, strict=True):
                if lookup not in self._by_lookup and lookup not in new:
                    salt = os.urandom(32)
                    name = _hmac(salt, reference.encode("utf-8", "surrogatepass"))[:PSEUDONYM_BYTES]
                    new[lookup] = Slot(lookup, name, salt, os.urandom(32))
            for slot, number in zip(new.values(), self._put(list(new.values())), strict=True):
                self._by_lookup[slot.lookup] = number
                self._by_pseudonym[_text(slot.pseudonym)] = number
            return [_text((new.get(lookup) or self._read(self._by_lookup[lookup])).pseudonym) for lookup in lookups]

    def _put(self, slots: Sequence[Slot]) -> list[int]:
        """Their numbers, once all of them are on the device. Those of a write that failed are free still: whatever stands there is overwritten by the next."""
        if not slots:
            return []
        try:
            while len(self._free) < len(slots):
                self._grow()
            numbers = self._free[: -len(slots) - 1 : -1]
            for slot, number in zip(slots, numbers, strict=True):
                durable_file.write_all(self._fd, used_bytes(slot), offset=number * SLOT)
            os.fsync(self._fd)
        except OSError as error:
            raise LedgerError(f"the salt file cannot be written: {error.strerror}") from error
        del self._free[-len(slots) :]
        return numbers

    def _grow(self) -> None:
        """A whole chunk of random slots, synced before one of them is used. A torn one is cut off or overwritten by the next."""
        first = self._slots
        try:
            durable_file.write_all(self._fd, b"".join(free_bytes() for _ in range(CHUNK_SLOTS)), offset=first * SLOT)
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, first * SLOT)
            raise
        self._slots += CHUNK_SLOTS
        self._free[:0] = range(self._slots - 1, first - 1, -1)

    def _read(self, number: int) -> Slot:
        try:
            slot = slot_of(os.pread(self._fd, SLOT, number * SLOT))
        except OSError as error:
            raise LedgerError(f"the salt file cannot be read: {error.strerror}") from error
        if slot is None:
            raise LedgerError("a slot of the salt file was damaged while the program ran")
        return slot

    def _slot(self, pseudonym: str) -> Slot:
        number = self._by_pseudonym.get(pseudonym)
        if number is None:
            raise NotFoundError("this pseudonym has no slot: its account was anonymised", where="account")
        return self._read(number)

    def _seal(self, pseudonym: str, words: str) -> bytes:
        with self._lock:
            key = self._slot(pseudonym).key
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, words.encode("utf-8", "surrogatepass"), pseudonym.encode("ascii"))

    def _unseal(self, pseudonym: str, sealed: bytes) -> str:
        with self._lock:
            key = self._slot(pseudonym).key
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], pseudonym.encode("ascii")).decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError) as error:
            raise LedgerError("a sealed text does not open: it was changed") from error

    def _destroy(self, pseudonym: str) -> tuple[str, ...]:
        with self._lock:
            number = self._by_pseudonym.get(pseudonym)
            if number is None:
                return ()
            lookup = self._read(number).lookup
            try:
                reasons = destroy_range(self._path, number * SLOT, SLOT)
                del self._by_pseudonym[pseudonym], self._by_lookup[lookup]
                durable_file.write_all(self._fd, free_bytes(), offset=number * SLOT)
                os.fsync(self._fd)
            except (OSError, StorageError) as error:
                raise LedgerError(f"a slot cannot be destroyed: {error}") from error
            if not reasons:
                self._free.append(number)
            return reasons


def _binding(key: bytes) -> bytes:
    return _hmac(key, b"the salt file of this look-up key")


def _check_private(fd: int, path: str) -> None:
    if os.fstat(fd).st_mode & 0o077:
        raise _unusable(f"{path} can be read by others than its owner: chmod 600 it, and consider its accounts known")


def _read_key(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _check_private(fd, path)
        key = os.read(fd, _KEY_BYTES + 1)
    finally:
        os.close(fd)
    if len(key) != _KEY_BYTES:
        raise _unusable(f"{path} is damaged: it must hold {_KEY_BYTES} bytes; restore it")
    return key
