"""A bound in time for a look at one image. Storage that hangs (a dead network mount, a device without its paths) answers nothing, and no signal ends a read
that the kernel waits for (state D): one such image would stop every look at the host (docs/design.md, "Neighbours").

The look runs in a thread of its own. One that does not come back is left to itself, and nobody looks at that place again in this process until it has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from wiped.errors import StorageError
from wiped.model.outcome import ReasonCode

_T = TypeVar("_T")

#: Seconds for one image: a header is a few reads, and a disk that is busy with other writes answers them within a second or two.
LOOK_SECONDS: Final = 10.0
#: Seconds for all those of one survey that do not come back: below the time after which a silent helper is given up.
OVERALL_SECONDS: Final = 60.0
#: Looks that have not come back, by place.
_out: Final[dict[str, threading.Thread]] = {}


class TimeLimit:
    """The patience of one survey, or of one question of the eraser's."""

    def __init__(self) -> None:
        self._each = LOOK_SECONDS
        self._left = OVERALL_SECONDS

    def run(self, place: str, look: Callable[[], _T]) -> _T:
        """What `look` gives, or raises. `place` names the look (path and stated format).

        Raises StorageError (io-error) where it does not come back in time, or an earlier one at `place` has not yet.

        `look` goes on in its thread then: it must share nothing that its caller changes afterwards.
        """
        earlier = _out.get(place)
        if earlier is not None and earlier.is_alive():
            raise StorageError("its storage hangs: an earlier look at it has not come back", reason=ReasonCode.IO_ERROR)
        bound = min(self._each, self._left)
        if bound <= 0:
            raise StorageError("it was not looked at: the storage of other images hangs", reason=ReasonCode.IO_ERROR)
        found: list[_T] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                found.append(look())
            except BaseException as error:  # carried to who asked
                failed.append(error)

        thread = threading.Thread(target=work, name="look", daemon=True)
        began = time.monotonic()
        thread.start()
        thread.join(bound)
        if thread.is_alive():
            _out[place] = thread
            self._left -= time.monotonic() - began
            raise StorageError(f"its storage hangs: a look at it has not come back for {bound:g} s", reason=ReasonCode.IO_ERROR)
        _out.pop(place, None)
        if failed:
            raise failed[0]
        return found[0]
