"""Consent for the calls of one run: the policy decides, a grant stands in, or somebody is asked.

Question and answer are events. The question is appended, the first answer in the log counts, and it
does not matter which client gave it. A run that ends answers its open questions itself, with no.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from cody_core.errors import AppendedBefore, RunClosed
from cody_core.eventlog import EventLog
from cody_core.ids import new_id
from cody_core.schema.base import whole
from cody_core.schema.events import ApprovalRequested, ApprovalResolved, EventFactory
from cody_core.schema.items import FunctionCall
from cody_core.schema.requests import Policy
from cody_core.tools import Intent, ToolKind
from cody_core.tools.grants import Grants
from cody_core.tools.policy import covered, judge, needed_grant


def once_key(approval_id: str) -> str:
    """Return what makes an answer count once in the log."""
    return f"approval:{approval_id}"


class Approvals:
    """Asks for one run, and hears the answers."""

    def __init__(
        self, log: EventLog, run_id: str, policy: Policy, workspace: Path, grants: Grants
    ) -> None:
        self._log = log
        self._run_id = run_id
        self._policy = policy
        self._workspace = workspace
        self._grants = grants
        self._waiting: dict[str, asyncio.Future[ApprovalResolved]] = {}

    def hear(self, answer: ApprovalResolved) -> None:
        """Take an answer from the log."""
        future = self._waiting.get(answer.approval_id)
        if future is not None and not future.done():
            future.set_result(answer)

    async def consent(
        self, call: FunctionCall, kind: ToolKind, intent: Intent, event: EventFactory
    ) -> str | None:
        """Return ``None`` if a call may run, or why it may not, in words for the model.

        Raises:
            RunClosed: the run ended before anybody could be asked.
        """
        guarded = self._grants.guarded
        verdict = judge(self._policy, kind, intent, self._workspace, guarded)
        if verdict == "run":
            return None
        if verdict == "refuse":
            return f"The policy is {self._policy!r}: {call.name} may not run. Go on without it."
        grant = needed_grant(call.name, kind, intent, self._workspace, guarded)
        if self._grants.allow(grant):
            return None
        answer = await self._ask(call, kind, intent, covered(grant), event)
        match answer.decision:
            case "deny":
                reason = f": {answer.reason}" if answer.reason else ""
                return f"The user did not allow this call{reason}."
            case "approve_for_session":
                self._grants.add_for_session(grant)
            case "approve_always":
                await asyncio.to_thread(self._grants.add_for_good, grant)
            case "approve":
                pass
        return None

    async def _ask(
        self, call: FunctionCall, kind: ToolKind, intent: Intent, covers: str, event: EventFactory
    ) -> ApprovalResolved:
        question = ApprovalRequested(
            approval_id=new_id(),
            item_id=call.id,
            call_id=call.call_id,
            tool=call.name,
            kind=kind,
            summary=whole(intent.summary),
            preview=whole(intent.preview),
            covers=whole(covers),
        )
        future = asyncio.get_running_loop().create_future()
        self._waiting[question.approval_id] = future
        try:
            await self._log.append(self._run_id, [event(question)])
            answer: ApprovalResolved = await future
        except asyncio.CancelledError:
            await self._withdraw(question.approval_id, event)
            raise
        finally:
            del self._waiting[question.approval_id]
        return answer

    async def _withdraw(self, approval_id: str, event: EventFactory) -> None:
        answer = ApprovalResolved(
            approval_id=approval_id, decision="deny", by="cody", reason="the run was stopped"
        )
        try:
            await self._log.append(self._run_id, [event(answer)], once=once_key(approval_id))
        except (AppendedBefore, RunClosed):
            return
