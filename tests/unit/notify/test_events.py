"""A notice as a CloudEvent: the attributes that the specification requires, and nothing that is not on the list."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from wiped.decide.notices import SHAPES, admitted
from wiped.model.notices import Notice, NoticeKind
from wiped.notify.events import body, event

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PHONE = "6f1c0c8e-0000-4000-8000-00000000000a"


def notice(kind: NoticeKind = NoticeKind.WIPED, subject: str = PHONE, **data: object) -> Notice:
    """One that is pending."""
    return Notice("0190-id", 7, kind, subject, 2, "p-1f", AT, dict(data))


def test_an_event_has_what_cloudevents_requires() -> None:
    """specversion, id, source, type; lower-case attribute names; time as RFC 3339; data beside them, in JSON."""
    made = json.loads(body(notice(certificate_id="0190-c", outcome="clear"), host="host-1", residency="eu-de"))
    assert made == {
        "specversion": "1.0",
        "id": "0190-id",
        "source": "/wiped/hosts/host-1",
        "type": "wiped.phone.wiped",
        "subject": PHONE,
        "time": "2026-03-01T12:00:00.000000Z",
        "datacontenttype": "application/json",
        "sequence": "00000000000000000007",
        "residency": "eu-de",
        "data": {"phone": PHONE, "generation": 2, "account_pseudonym": "p-1f", "certificate_id": "0190-c", "outcome": "clear"},
    }
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in made)
    assert "subject" not in event(notice(NoticeKind.BREAKER_OPENED, ""), host="h", residency="r")


def test_the_same_notice_is_the_same_bytes() -> None:
    """At every attempt, whatever the order of its data."""
    first, second = notice(outcome="clear", wipe_id="w"), notice(wipe_id="w", outcome="clear")
    assert body(first, host="h", residency="r") == body(second, host="h", residency="r")


@pytest.mark.parametrize(
    "data",
    [
        {"reason": "customer left"},
        {"name": "phone-7"},
        {"reference": "T-1"},
        {"operator": "alice"},
        {"wipe_id": "/srv/phones/x.qcow2"},
        {"wipe_id": "a b"},
        {"codes": ["in-use", "the file /srv/x", 7]},
        {"outcome": "Clear, said Alice"},
        {"until": "tomorrow"},
        {"newly_due": True},
        {"at": datetime(2026, 3, 1)},  # noqa: DTZ001 - no time zone, on purpose
        {"account": "alice@customers.example"},
    ],
)
def test_what_is_not_on_the_list_never_leaves(data: dict[str, object]) -> None:
    """Unknown keys and values without their key's shape are dropped (R19)."""
    left = admitted(data)
    assert left in ({}, {"codes": ["in-use"]})
    sent = json.loads(body(notice(**data), host="h", residency="r"))["data"]
    assert {key: value for key, value in sent.items() if key not in {"phone", "generation", "account_pseudonym"}} == left


def test_no_key_on_the_list_could_hold_a_person_s_words() -> None:
    """The list itself."""
    assert not {"reason", "reference", "name", "operator", "approver", "authority", "location", "path", "detail", "ticket", "account"} & set(SHAPES)
