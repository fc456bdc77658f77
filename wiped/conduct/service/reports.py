"""Reports (R13, R15): everything that this host holds on one account, and what happened in a period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wiped.conduct.world import World
from wiped.errors import InputError
from wiped.model.approvals import Person
from wiped.model.instants import NEVER, NEVER_WORD, instant_text
from wiped.model.records import WipeRecord, WipeStep
from wiped.model.subscription import AccountReference


def _at(instant: datetime | None) -> str:
    return "" if instant is None else instant_text(instant)


def _end(instant: datetime) -> str:
    return NEVER_WORD if instant >= NEVER else instant_text(instant)


def _wipe(wipe: WipeRecord) -> dict[str, Any]:
    return {
        "id": wipe.id,
        "phone": wipe.uuid,
        "generation": wipe.generation,
        "state": str(wipe.step),
        "trigger": wipe.trigger.kind,
        "ground": wipe.trigger.ground,
        "request": wipe.trigger.reference,
        "operator": wipe.trigger.operator,
        "approver": wipe.trigger.approver,
        "outcome": wipe.outcome,
        "reasons": list(wipe.reasons),
        "residuals": list(wipe.residuals),
        "certificate_id": wipe.certificate_id,
        "started_at": _at(wipe.started_at),
        "finished_at": _at(wipe.finished_at),
    }


class Reports:
    """What the faces may ask to be reported."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def subject(self, account: AccountReference, person: Person) -> dict[str, Any]:
        """Everything that this host holds on `account`, living and ended generations alike. A hold that forbids disclosure is a number and no more (R9).

        That a report was made is itself in the audit log (R14), without the reference."""
        world = self._world
        terms = await world.ledger.subscriptions.of_account(account)
        known = {(term.uuid, term.generation) for term, _ in terms}
        phones = {term.uuid: await world.ledger.phones.get(term.uuid) for term, _ in terms}
        requests, holds, hidden, notices = [], [], 0, []
        for uuid in sorted(phones):
            for _, request in await world.ledger.requests.find(uuid=uuid, unfinished=False):
                if await world.ledger.requests.generation_of(request.id) in {generation for phone, generation in known if phone == uuid}:
                    words = await world.ledger.words.about(request.id)
                    requests.append({"id": request.id, "phone": uuid, "kind": request.kind, "ground": request.ground, "at": _at(request.requested_at),
                                     "approved": request.approved, "reference": words.get("reference", ""), "reason": words.get("reason", "")})  # fmt: skip
        for hold in await world.ledger.holds.on(account, tuple(phones)):
            if not hold.disclose:
                hidden += 1
                continue
            words = await world.ledger.words.about(hold.id)
            holds.append({"id": hold.id, "phone": hold.uuid, "ground": hold.ground, "authority": words.get("authority", ""),
                          "reference": words.get("reference", ""), "since": _at(hold.added_at), "until": _at(hold.until)})  # fmt: skip
        wipes = [_wipe(wipe) for uuid in sorted(phones) for wipe in await world.ledger.wipes.find(uuid) if (uuid, wipe.generation) in known]
        for name in dict.fromkeys(term.account for term, _ in terms):
            notices += [{"at": _at(item.at), "kind": str(item.kind), "phone": item.subject, "state": str(item.state)} for item in
                        await world.ledger.notices.find(account=name)]  # fmt: skip
        now = world.clock.now()
        await world.ledger.audit.note("subject-report", {"operator": person.name, "phones": sorted(phones)}, now)
        return {
            "made_at": _at(now),
            "host": world.issuer.host,
            "residency": world.issuer.residency,
            "holds_not_disclosed": hidden,
            "phones": [
                {"phone": uuid, "name": phone.name if phone else "", "state": str(phone.state) if phone else "", "flags": list(phone.flags) if phone else []}
                for uuid, phone in sorted(phones.items())
            ],
            "subscriptions": [
                {"phone": term.uuid, "generation": term.generation, "subscription": term.subscription_id, "pseudonym": term.account,
                 "starts": _at(term.starts_at), "expires": _end(term.expires_at), "policy": term.policy, "minor": term.minor, "product": term.product,
                 "ended_at": _at(ended)}
                for term, ended in terms
            ],
            "requests": requests,
            "holds": holds,
            "notices": notices,
            "wipes": wipes,
        }  # fmt: skip

    async def period(self, since: datetime, until: datetime) -> dict[str, Any]:
        """What was asked, held, wiped and could not be proven from `since` until `until`; nothing of a customer is in it. Raises InputError."""
        if until <= since:
            raise InputError("must be after from", where="to")
        world = self._world
        wipes = [wipe for wipe in await world.ledger.wipes.find() if since <= (wipe.finished_at or wipe.started_at) < until]
        asked = [request for _, request in await world.ledger.requests.find(unfinished=False) if since <= request.requested_at < until]
        ended = [wipe for wipe in wipes if wipe.step not in {WipeStep.CANCELLED}]
        return {
            "made_at": _at(world.clock.now()),
            "host": world.issuer.host,
            "residency": world.issuer.residency,
            "from": _at(since),
            "to": _at(until),
            "outcomes": _counted(Counter(wipe.outcome or str(wipe.step) for wipe in ended)),
            "triggers": _counted(Counter(wipe.trigger.kind for wipe in ended)),
            "requests_asked": _counted(Counter(request.kind for request in asked)),
            "holds_in_force": len(await world.ledger.holds.in_force()),
            "wipes": [_wipe(wipe) for wipe in ended],
        }


def _counted(counter: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counter.items()))
