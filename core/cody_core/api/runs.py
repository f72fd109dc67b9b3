"""Runs: submitting, looking up, cancelling, answering what they ask."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import Response

from cody_core.api.dependencies import Failures, RunId, ServedHere, reply
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.response import Response as RunResponse
from cody_core.schema.wire import (
    ApprovalBody,
    ApprovedBody,
    CancelBody,
    CancelledBody,
    ErrorBody,
    SubmitBody,
    SubmittedBody,
)

router = APIRouter(prefix="/api/v2", tags=["runs"])

_CONFLICT: Final[Failures] = {409: {"model": ErrorBody, "description": "somebody answered first"}}
_BUSY: Final[Failures] = {
    413: {"model": ErrorBody, "description": "the body is too large"},
    429: {"model": ErrorBody, "description": "there are as many runs as there may be"},
}


@router.post("/submit", status_code=202, response_model=SubmittedBody, responses=_BUSY)
async def submit(body: SubmitBody, served: ServedHere) -> Response:
    """Start a run; a ``runId`` that was submitted before is not run again."""
    served.ending.check()
    submitted = await served.client.submit(SubmitRequest(**body.model_dump(by_alias=False)))
    accepted = SubmittedBody(
        run_id=submitted.run_id,
        thread_id=submitted.thread_id,
        turn_id=submitted.turn_id,
        stream_url=f"/api/v2/stream/{submitted.run_id}",
    )
    return reply(accepted, 202)


@router.get("/runs/{runId}", response_model=RunResponse)
async def run(run_id: RunId, served: ServedHere) -> Response:
    """Return a run as far as it has come."""
    return reply(await served.client.run(run_id))


@router.post("/runs/{runId}/cancel", status_code=202, response_model=CancelledBody)
async def cancel(run_id: RunId, served: ServedHere, body: CancelBody | None = None) -> Response:
    """Ask for the end of a run; its terminal event follows. Nothing happens if it has ended."""
    await served.client.cancel(run_id, reason=(body or CancelBody()).reason)
    return reply(CancelledBody(run_id=run_id), 202)


@router.post(
    "/runs/{runId}/approvals/{approvalId}", response_model=ApprovedBody, responses=_CONFLICT
)
async def answer(
    run_id: RunId,
    approval_id: Annotated[str, Path(alias="approvalId", min_length=1, max_length=200)],
    body: ApprovalBody,
    served: ServedHere,
) -> Response:
    """Answer a question that a run asks. The first answer counts, whoever gives it."""
    await served.client.resolve_approval(run_id, approval_id, body.decision, reason=body.reason)
    return reply(ApprovedBody(approval_id=approval_id, decision=body.decision))
