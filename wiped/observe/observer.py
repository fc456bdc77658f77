"""The observer's process: root's eyes behind one line. Reads; writes nothing.

Answers `survey`, `ranges` and `read-back`, one at a time, until the line ends. Every failure is answered by its code, and the process lives on.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
import signal
import socket
import struct
import threading
import time

from wiped.errors import HelperError, StorageError, WipedError
from wiped.helpers.link import HelperEnd, failure_of
from wiped.model.inventory import LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.observe.bounds import map_of, open_artefact
from wiped.observe.image import survey
from wiped.observe.orphans import find_orphans
from wiped.observe.readback import read_back
from wiped.storage.keystream import known_answer_test
from wiped.wire.messages import (
    EvidenceFound,
    Failure,
    Message,
    Orphans,
    Progress,
    Ranges,
    RangesChunk,
    RangesEnd,
    ReadBack,
    Survey,
    Surveyed,
)

#: Ranges in one chunk on the wire.
CHUNK_RANGES = 32_768
#: Seconds between two progress messages.
PROGRESS_SECONDS = 0.2

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def serve(sock: socket.socket, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """Serve one daemon on a connected stream socket until it hangs up (EOF) or SIGTERM.

    Raises StorageError when the keystream's known-answer test fails, HelperError when the peer may not speak here or greets wrongly.
    """
    end = HelperEnd(sock)
    if threading.current_thread() is threading.main_thread():
        end.stop_on_sigterm()
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        give_up_privileges()
    known_answer_test()
    end.greet("observer")
    observer = _Observer(end, rules, directories)
    while True:
        try:
            message = end.receive()
        except HelperError as error:
            end.send(failure_of(error))  # the line itself is broken: nothing after it can be told apart
            return
        if message is None:
            return
        observer.answer(message)


class _Observer:
    """Answers one message after the other."""

    def __init__(self, end: HelperEnd, rules: StorageRules, directories: LibvirtDirectories) -> None:
        self._end = end
        self._rules = rules
        self._directories = directories

    def answer(self, message: Message) -> None:
        """Send the answer, or a Failure. Never raises for what goes wrong on the host."""
        try:
            match message:
                case Survey():
                    inventory = survey(message.domain, message.others, self._rules, self._directories, with_extents=message.with_extents)
                    self._end.send(Surveyed(inventory))
                case Orphans():
                    self._end.send(find_orphans(message.domains, self._rules, self._directories))
                case Ranges():
                    self._ranges(message)
                case ReadBack():
                    self._read_back(message)
                case _:
                    raise HelperError(f"an observer does not take {message.type} messages")
        except WipedError as error:
            self._end.send(failure_of(error))
        except MemoryError:
            self._end.send(Failure(HelperError.code, "", "the observer has not enough memory for this"))
        except OSError as error:
            self._end.send(failure_of(StorageError(f"the observer met an unexpected failure: {os.strerror(error.errno or 0)}")))
        except Exception as error:  # a bug of ours: said by name alone, since its text may repeat what it met
            self._end.send(Failure(HelperError.code, "", f"the observer failed with {type(error).__name__}"))

    def _ranges(self, message: Ranges) -> None:
        with open_artefact(message.location, message.identity, self._rules, self._directories) as image:
            extents = map_of(image, self._rules, self._directories).extents
            image.check(message.identity)
        for blob in extents.to_blobs(CHUNK_RANGES):
            self._end.send(RangesChunk(base64.b64encode(blob).decode("ascii")))
        self._end.send(RangesEnd(extents.count, extents.digest))

    def _read_back(self, message: ReadBack) -> None:
        last = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS:
                last = now
                self._end.offer(Progress(message.artefact_id, done, total))

        evidence = read_back(message, self._rules, self._directories, progress=progress, should_stop=self._end.hung_up)
        self._end.send(EvidenceFound(evidence))


def give_up_privileges() -> None:
    """Keep one capability of root's, to read whatever file (CAP_DAC_READ_SEARCH), for this process and all that it could start.

    Where the kernel does not let us (not root, a container), what is held is held: the systemd unit is the outer wall.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        if capability != _CAP_DAC_READ_SEARCH and libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    current = ctypes.create_string_buffer(24)
    with contextlib.suppress(OSError):
        if libc.capget(header, current) == 0:
            permitted = struct.unpack_from("6I", current)[1] & (1 << _CAP_DAC_READ_SEARCH)
            libc.capset(header, struct.pack("6I", permitted, permitted, 0, 0, 0, 0))
