"""A notice as a CloudEvent 1.0 in structured mode (content type application/cloudevents+json). Pure.

`id` and `subject` are the notice's; `type` is `wiped.` and its kind; `source` names the host, as a URI-reference. Extensions (lower-case letters and digits, as
the specification wants): `sequence` orders the events of one subject, as text that sorts; `residency` is the host's territory (R18).
"""

from __future__ import annotations

import json
from typing import Any

from wiped.decide.notices import admitted
from wiped.model.instants import instant_text
from wiped.model.notices import Notice

CONTENT_TYPE = "application/cloudevents+json"
PREFIX = "wiped."


def event(notice: Notice, *, host: str, residency: str) -> dict[str, Any]:
    """The event's attributes. `data` goes through the list once more before it leaves the host (R19)."""
    about = {"phone": notice.subject, "generation": notice.generation, "account_pseudonym": notice.account} if notice.subject else {}
    if notice.account and not about:
        about = {"account_pseudonym": notice.account}
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": f"/wiped/hosts/{host}",
        "type": PREFIX + notice.kind,
        "time": instant_text(notice.at),
        **({"subject": notice.subject} if notice.subject else {}),
        "datacontenttype": "application/json",
        "sequence": f"{notice.seq:020d}",
        "residency": residency,
        "data": {**about, **admitted(notice.data)},
    }


def body(notice: Notice, *, host: str, residency: str) -> bytes:
    """The event as it is signed and sent: the same bytes at every attempt."""
    return json.dumps(event(notice, host=host, residency=residency), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
