"""Every error of the program, drawn as one tree.

    WipedError                        code, exit code, whether a retry can help
    ├── InputError             2      bad input: names the input, the key or line, and what to do
    │   └── NotFoundError      2      no such phone, wipe or certificate; an ambiguous name
    ├── RefusedError           3      a guard, a hold or a missing approval said no (carries refusal codes)
    ├── NotSanitizedError      4      erased, but not proven
    ├── InvariantError         1      our own order of a wipe was about to be broken: nothing was done, this is a bug
    ├── VerificationError      65     a certificate or a log does not verify
    ├── UnreachableError       69     the daemon does not answer
    ├── TransientError         75     will be retried
    │   ├── HypervisorError           libvirt is down, slow or wrong
    │   ├── StorageError              the kernel or the device failed (carries a reason code)
    │   ├── HelperError               eraser or observer died, hung or spoke nonsense
    │   └── LedgerError               the ledger cannot be written (a full disk)
    ├── NotAuthorisedError     77     the caller has not the role
    └── ConfigError            78     the configuration is wrong (carries every fault at once)
        └── LedgerVersionError 78     the ledger was written by a newer program

A message says what is wrong and with which value; `hint` says what to do next. Foreign exceptions are translated at the door of their room with
``raise ... from``. Neither messages nor hints carry personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class WipedError(Exception):
    """Root of the tree. `code` is a stable word for scripts; `exit_code` follows docs/contract.md; `retry` tells whether trying again can help. `hint` says in
    one sentence what to do next, "" where there is nothing to say."""

    code: ClassVar[str] = "unexpected"
    exit_code: ClassVar[int] = 1
    retry: ClassVar[bool] = False

    def __init__(self, *message: object, hint: str = "") -> None:
        super().__init__(*message)
        self.hint = hint


class InputError(WipedError):
    """The caller's input is wrong. `where` names the key, field or line; `faults` lists every fault as (place, sentence) where one input has many."""

    code = "bad-input"
    exit_code = 2

    def __init__(self, message: str, *, where: str = "", faults: Sequence[tuple[str, str]] = (), hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.where = where
        self.faults = tuple(faults)


class NotFoundError(InputError):
    """What was named does not exist here, or the name is ambiguous."""

    code = "not-found"


class RefusedError(WipedError):
    """A guard refused. `codes` are the refusal codes of docs/contract.md, the first is the main one; `approval`: the id of what waits for another person, "" if
    nothing."""

    code = "refused"
    exit_code = 3

    def __init__(self, message: str, *, codes: Sequence[str], approval: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.codes = tuple(codes)
        self.approval = approval


class NotSanitizedError(WipedError):
    """Wiped without proof. `reasons` are the reason codes of docs/contract.md."""

    code = "not-sanitized"
    exit_code = 4

    def __init__(self, message: str, *, reasons: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reasons = tuple(reasons)


class InvariantError(WipedError):
    """One of I1 to I8 (docs/design.md, "The order of a wipe") would have been broken; raised before the call that would have broken it."""

    code = "invariant"

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant


class VerificationError(WipedError):
    """A certificate, a signature or the audit log does not verify."""

    code = "verification-failed"
    exit_code = 65


class UnreachableError(WipedError):
    """The daemon does not answer on its socket."""

    code = "daemon-unreachable"
    exit_code = 69
    retry = True


class TransientError(WipedError):
    """I/O or hypervisor failure that will be retried."""

    code = "transient"
    exit_code = 75
    retry = True


class HypervisorError(TransientError):
    """libvirt is down, slow, or answered wrongly."""

    code = "hypervisor-failure"


class StorageError(TransientError):
    """The kernel or a device failed. `reason` is a reason code of docs/contract.md such as `io-error`."""

    code = "storage-failure"

    def __init__(self, message: str, *, reason: str = "io-error", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class HelperError(TransientError):
    """The eraser or the observer died, hung, or answered outside the protocol."""

    code = "helper-failure"


class LedgerError(TransientError):
    """The ledger cannot be read or written; nothing new is begun."""

    code = "ledger-failure"


class NotAuthorisedError(WipedError):
    """The caller's identity does not have the needed role."""

    code = "not-authorised"
    exit_code = 77


class ConfigError(WipedError):
    """The configuration cannot be used. `faults` lists every fault as (key, reason)."""

    code = "configuration"
    exit_code = 78

    def __init__(self, message: str, *, faults: Sequence[tuple[str, str]] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)


class LedgerVersionError(ConfigError):
    """The ledger's schema is newer than this program."""

    code = "ledger-newer"
