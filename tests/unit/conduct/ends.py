"""How a phone ends, looked at from outside: proven, or untouched, and its state."""

from __future__ import annotations

from tests.unit.conduct.rig import Rig
from wiped.attest.signing import open_envelope
from wiped.model.records import ArtefactState, WipeStep
from wiped.model.subscription import State

BEFORE_THE_LAST_WORD = ["intent", "fence-put", "autostart-off", "fenced", "stopping", "stopped", "locked", "ranges-saved", "reobserved"]


async def proven(rig: Rig, uuid: str, name: str) -> None:
    """The end that every good story has, looked at from outside."""
    wipe = await rig.wipe_of(uuid)
    assert wipe.step is WipeStep.RELEASED
    assert wipe.outcome == "clear"
    assert rig.host.remains(f"SECRET of {name}") == 0
    assert not [path for path in rig.host.names if name in path or ".wiped-" in path]
    assert uuid not in rig.host.machines
    assert uuid not in rig.host.fences
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert (phone.state, phone.fenced) == (State.RELEASED, False)
    assert all(item.state is ArtefactState.REMOVED for item in wipe.artefacts)
    assert all(count == 1 for count in rig.eraser.removed.values())
    certificate = await rig.ledger.certificates.get(wipe.id)
    assert certificate is not None
    assert (certificate.kind, certificate.id) == ("certificate", wipe.certificate_id)
    assert open_envelope(certificate.envelope, rig.world.signer.public_pem)["predicate"]["overall"]["outcome"] == "clear"


async def untouched(rig: Rig, uuid: str, name: str, blocks: int) -> None:
    """Nothing was written, nothing removed."""
    assert rig.host.remains(f"SECRET of {name}") == blocks
    assert not rig.eraser.erased
    assert not rig.eraser.removed
    wipe = await rig.wipe_of(uuid)
    assert wipe.step is WipeStep.CANCELLED
    assert rig.ledger.certificates.issued == ()  # type: ignore[attr-defined]


async def state_of(rig: Rig, uuid: str) -> State:
    """As last concluded."""
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    return phone.state
