"""Plans: exactly what a wipe would destroy, keep and refuse."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import as_json, uuid_of
from wiped.api.v1.fields import PhoneName
from wiped.model.plan import Plan
from wiped.ports.service import PlansService


class ArtefactOut(BaseModel):
    """What would be erased."""

    id: str
    kind: str
    location: str
    format: str
    virtual_bytes: int
    allocated_bytes: int
    device: int
    inode: int


class StepOut(BaseModel):
    """One step of a plan."""

    artefact: ArtefactOut
    method: str
    reason: str


class RetainedOut(BaseModel):
    """What is kept."""

    location: str
    kind: str
    reason: str


class RefusalOut(BaseModel):
    """What a guard refuses, where, and why."""

    code: str
    location: str
    detail: str


class PlanOut(BaseModel):
    """Exactly what would be destroyed, kept and refused."""

    phone: PhoneName
    fingerprint: str
    expected_outcome: str
    expected_reasons: list[str]
    steps: list[StepOut]
    retained: list[RetainedOut]
    refusals: list[RefusalOut]
    residuals: list[str]
    passes: int
    verify: str


def plan_out(plan: Plan) -> PlanOut:
    """The document of a plan, whole."""
    return PlanOut(
        phone=PhoneName(uuid=plan.uuid, name=plan.name, generation=plan.generation),
        fingerprint=plan.fingerprint,
        expected_outcome=plan.expected_outcome,
        expected_reasons=list(plan.expected_reasons),
        steps=[
            StepOut(
                artefact=ArtefactOut(
                    id=step.artefact_id,
                    kind=step.kind,
                    location=step.location,
                    format=step.format,
                    virtual_bytes=step.virtual_bytes,
                    allocated_bytes=step.allocated_bytes,
                    device=step.identity.device,
                    inode=step.identity.inode,
                ),
                method=step.method,
                reason=step.reason,
            )
            for step in plan.steps
        ],
        retained=[RetainedOut(location=item.location, kind=item.kind, reason=item.reason) for item in plan.retained],
        refusals=[RefusalOut(code=item.code, location=item.location, detail=item.detail) for item in plan.refusals],
        residuals=list(plan.residuals),
        passes=plan.passes,
        verify=plan.verify,
    )


class PlanHandlers:
    """The route of plans."""

    def __init__(self, plans: PlansService) -> None:
        self._plans = plans

    async def get(self, request: web.Request) -> web.Response:
        """The plan of a wipe of one phone, as of now."""
        return as_json(plan_out(await self._plans.get(uuid_of(request))))
