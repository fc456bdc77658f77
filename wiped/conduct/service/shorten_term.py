"""Bringing the end of a running term forward by hand: like any wipe of an active phone it takes a second person (docs/design.md, "The life of a phone";
R14)."""

from __future__ import annotations

from collections.abc import Mapping

from wiped.conduct import second_person
from wiped.conduct.world import World
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, ApprovalKind, Person
from wiped.model.canonical import digest
from wiped.model.instants import instant_text
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Subscription, SubscriptionRecord


def _terms(term: Subscription, expires: str) -> dict[str, str]:
    return {"generation": str(term.generation), "was": instant_text(term.expires_at), "expires": expires}


def _named(uuid: str, terms: Mapping[str, str]) -> str:
    return digest(["shorten-term", uuid, dict(terms)])


async def ask(world: World, record: SubscriptionRecord, person: Person) -> RefusedError:
    """Record the wish for an earlier end of the phone's running term; the error to raise. Nothing is recorded where the record wants more than that."""
    term = await world.ledger.subscriptions.get(record.uuid)
    if term is None:
        raise InputError("no term of this phone runs", where="phone")
    if (term.subscription_id, term.starts_at, term.policy, term.minor, term.product) != (
        record.subscription_id, record.starts_at, record.policy, record.minor, record.product,
    ):  # fmt: skip
        raise RefusedError("an earlier end takes a second person, who agrees to that alone: give the rest of the term as it is (wipectl subscriptions list)",
                           codes=(RefusalCode.NEEDS_APPROVAL,))  # fmt: skip
    terms = _terms(term, instant_text(record.expires_at))
    asked = await second_person.ask_for(world, world.ledger, person, kind=ApprovalKind.SHORTEN, subject=record.uuid, uuids=(record.uuid,),
                                    fingerprint=_named(record.uuid, terms), terms=terms)  # fmt: skip
    return second_person.needs_another(world, asked, "bringing the end of a running term forward")


async def stands(world: World, waiting: Approval) -> str:
    """The fingerprint of the wish as of the term that runs now; "" where none does."""
    term = await world.ledger.subscriptions.get(waiting.subject)
    if term is None or world.clock.now() >= term.expires_at:
        return ""
    return _named(waiting.subject, _terms(term, (waiting.terms or {}).get("expires", "")))


async def carry_out(world: World, approval: Approval, *, approver: str) -> None:
    """The new end. Raises RefusedError(drift) where the term changed meanwhile."""
    terms = dict(approval.terms or {})
    await world.ledger.subscriptions.shorten(
        approval.subject, int(terms["generation"]), terms, world.clock.now(), operator=approval.asked_by, approver=approver
    )
