"""Bringing forward by hand what a customer was told, the end of a term or the grace after it (another policy, a minor's): like any wipe of an active phone
it takes a second person (docs/design.md, "The life of a phone", I10; R14).

Subject: the phone's UUID; `terms` holds the term's generation, the end that it had (`was`) and its new end (`expires`), and policy and minor as they will be.
"""

from __future__ import annotations

from collections.abc import Mapping

from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, Person
from wiped.model.canonical import digest
from wiped.model.instants import instant_text
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Subscription, SubscriptionRecord


def _terms(term: Subscription, wanted: Mapping[str, str]) -> dict[str, str]:
    asked = {key: wanted[key] for key in ("expires", "policy", "minor") if key in wanted}
    return {"generation": str(term.generation), "was": instant_text(term.expires_at), **asked}


def _named(uuid: str, terms: Mapping[str, str]) -> str:
    return digest(["shorten-term", uuid, dict(terms)])


async def ask(world: World, record: SubscriptionRecord, person: Person) -> RefusedError:
    """Record the request for an earlier end of the phone's running term; the error to raise. Nothing is recorded where the record wants more than that."""
    term = await world.ledger.subscriptions.get(record.uuid)
    if term is None:
        raise InputError("no term of this phone runs", where="phone")
    record = record.completed(term)
    if (term.subscription_id, term.starts_at, term.product) != (record.subscription_id, record.starts_at, record.product):
        raise RefusedError("an earlier end takes a second person, who agrees to that alone", codes=(RefusalCode.NEEDS_APPROVAL,),
                           hint="repeat the rest of the term as it is: wipectl subscriptions list")  # fmt: skip
    terms = _terms(term, {"expires": instant_text(record.expires_at), "policy": record.policy, "minor": str(record.minor)})
    asked = await DEED.ask(world, person, subject=record.uuid, uuids=(record.uuid,), fingerprint=_named(record.uuid, terms), terms=terms)
    return DEED.needs_another(world, asked)


async def _standing(world: World, _work: Work, approval: Approval) -> Standing:
    """The request as of the term that runs now; "" where none does."""
    term = await world.ledger.subscriptions.get(approval.subject)
    if term is None or world.clock.now() >= term.expires_at:
        return Standing("")
    return Standing(_named(approval.subject, _terms(term, approval.terms or {})))


async def _carry_out(world: World, work: Work, approval: Approval, approver: str, _seen: Standing) -> None:
    """The new end. Raises RefusedError(drift) where the term changed meanwhile."""
    terms, now = dict(approval.terms or {}), world.clock.now()
    await world.ledger.subscriptions.shorten(approval.subject, int(terms["generation"]), terms, now, operator=approval.asked_by, approver=approver)
    await work.decide_now(approval.subject)


def _shown(approval: Approval) -> str:
    terms = approval.terms or {}
    told = f"change the running term of phone {approval.subject}: its end from {terms.get('was', '?')} to {terms.get('expires', '?')}"
    if "policy" in terms:
        told += f", under the policy {terms['policy']}"
    return f"{told}, as a minor's" if terms.get("minor") == "True" else told


async def _is_gone(world: World, approval: Approval) -> bool:
    term = await world.ledger.subscriptions.get(approval.subject)
    return term is None or instant_text(term.expires_at) != (approval.terms or {}).get("was") or world.clock.now() >= term.expires_at


async def _is_done(world: World, approval: Approval) -> bool:
    """Whether the term was recorded anew since enough people agreed."""
    term = await world.ledger.subscriptions.get(approval.subject)
    return term is None or term.first_recorded_at >= (approval.decided_at or world.clock.now())


DEED = Deed("shorten-term", "bringing the end of a running term forward", _standing, _carry_out, _shown, is_gone=_is_gone, is_done=_is_done)
