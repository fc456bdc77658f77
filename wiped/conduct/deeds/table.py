"""All deeds by kind: every module of this package that is not part of its frame exports one as `DEED`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import replace

from wiped.conduct import deeds
from wiped.conduct.deeds.deed import Deed
from wiped.errors import RefusedError
from wiped.model.approvals import Approval
from wiped.model.plan import RefusalCode

#: Modules of the package that hold no deed.
FRAME = frozenset({"deed", "table"})


def read(paths: Iterable[str], prefix: str) -> dict[str, Deed]:
    """Import every module under `paths` and return its deeds by kind. Raises ImportError for a module without `DEED`, and for a kind that comes twice."""
    found: dict[str, Deed] = {}
    for module in sorted(pkgutil.iter_modules(paths, prefix), key=lambda item: item.name):
        if module.name.removeprefix(prefix) in FRAME:
            continue
        deed = getattr(importlib.import_module(module.name), "DEED", None)
        if not isinstance(deed, Deed):
            raise ImportError(f"{module.name} exports no DEED: every module beside {', '.join(sorted(FRAME))} is one kind of deed")
        if deed.kind in found:
            raise ImportError(f"{module.name}: the kind {deed.kind!r} is another deed's already")
        found[deed.kind] = deed
    return found


DEEDS: Mapping[str, Deed] = read(deeds.__path__, f"{deeds.__name__}.")


def deed_of(approval: Approval) -> Deed:
    """Return the deed of this approval's kind. Raises RefusedError where this version knows none: nothing of it is ever carried out."""
    deed = DEEDS.get(approval.kind)
    if deed is None:
        why = f"approval {approval.id} is of the kind {approval.kind!r}, which this version of wiped does not know: it is never carried out"
        raise RefusedError(why, codes=(RefusalCode.NEEDS_APPROVAL,), approval=approval.id, hint="a newer version asked for it: install that version")
    return deed


def shown(approval: Approval) -> Approval:
    """Return the approval with the sentence that a person reads before agreeing."""
    deed = DEEDS.get(approval.kind)
    return replace(approval, what=deed.shown(approval) if deed is not None else f"{approval.kind}: unknown to this version, never carried out")
