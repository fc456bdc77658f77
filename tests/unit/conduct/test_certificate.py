"""The signed record of an end: one form for certificate and incident."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.conduct.rig import Rig
from wiped.attest.signing import open_envelope
from wiped.conduct import certificate
from wiped.conduct.results import Ending
from wiped.decide.verdict import judge
from wiped.errors import InvariantError
from wiped.model.outcome import Outcome
from wiped.model.records import ArtefactState


@pytest.mark.parametrize("proven", [True, False])
async def test_the_record_says_what_was_judged(*, proven: bool) -> None:
    """Kind by outcome, this host as issuer, signed by its key; a disposal is told where there was one, and a better word than the verdict's is refused."""
    rig = Rig()
    wipe = await rig.begun(rig.host.add_phone(1))
    rig.observer.mismatches = [] if proven else [1] * 10
    assert await rig.run(wipe.id) is (Ending.RELEASED if proven else Ending.QUARANTINED)
    wipe = await rig.wipe_of(wipe.uuid)
    assert wipe.plan is not None
    verdict = judge(
        wipe.plan,
        {item.artefact_id: item.result for item in wipe.artefacts if item.result is not None},
        {item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence is not None},
        {item.artefact_id for item in wipe.artefacts if item.state is ArtefactState.REMOVED},
        set(),
    )
    now = rig.clock.now()
    record = await certificate.issue(rig.world, wipe, wipe.plan, verdict, now=now, holds_checked_at=now, disposal=None if proven else {"reference": "C-7"})
    assert (record.kind, record.wipe_id, record.uuid, record.issued_at) == ("certificate" if proven else "incident", wipe.id, wipe.uuid, now)
    told = open_envelope(record.envelope, rig.world.signer.public_pem)["predicate"]
    assert told["issuer"] == {"host": "host-1", "residency": "eu", "version": "0.1.0", "key_id": rig.world.signer.key_id}
    assert told["overall"]["outcome"] == str(verdict.outcome)
    assert told.get("disposal") == (None if proven else {"reference": "C-7"})
    if not proven:
        with pytest.raises(InvariantError, match="I4"):
            await certificate.issue(rig.world, wipe, wipe.plan, replace(verdict, outcome=Outcome.CLEAR, reasons=()), now=now, holds_checked_at=now)
