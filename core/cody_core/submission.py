"""A request to answer a prompt, decided: which model, which thread, and its first event."""

from __future__ import annotations

from datetime import date

from cody_core.ids import new_id, now_ms, traceparent
from cody_core.instructions import instructions
from cody_core.providers.catalog import resolve
from cody_core.schema.events import Event, EventFactory, ResponseStart, TraceContext
from cody_core.schema.items import Message
from cody_core.schema.requests import RunRequest, SubmitRequest
from cody_core.schema.threads import Thread, title_of
from cody_core.settings import Settings


def decide(
    settings: Settings, request: SubmitRequest, run_id: str, thread: Thread | None
) -> RunRequest:
    """Fill in what a request leaves open, from its thread and then from the settings.

    Raises:
        UnknownProvider: no such provider is configured.
        InvalidModel: the provider of the model cannot be told.
    """
    model, provider_id = request.model, request.provider_id
    if model is None and provider_id is None and thread is not None:
        model, provider_id = thread.model_id, thread.provider_id
    info = resolve(settings, model, provider_id)
    policy = request.policy or settings.policy
    system = request.system if request.system is not None else settings.system
    if system is None:
        system = instructions(settings.workspace, policy, date.today())
    return RunRequest(
        run_id=run_id,
        turn_id=request.turn_id or new_id(),
        thread_id=thread.id if thread is not None else new_id(),
        agent_id=request.agent_id,
        provider_id=info.provider_id,
        model_id=info.id,
        input_items=(Message(id=new_id(), content=request.prompt, origin="user"),),
        system=system,
        reasoning_effort=request.reasoning_effort or settings.reasoning_effort,
        policy=policy,
        thinking_budget=request.thinking_budget,
        max_output_tokens=request.max_output_tokens or settings.max_output_tokens,
        context_tokens=info.context_tokens,
    )


def new_thread(run: RunRequest, prompt: str) -> Thread:
    """Return the thread that a run begins."""
    now = now_ms()
    return Thread(
        id=run.thread_id,
        title=title_of(prompt),
        model_id=run.model_id,
        provider_id=run.provider_id,
        created_at=now,
        updated_at=now,
    )


def event_factory(run_id: str) -> EventFactory:
    """Return what makes the envelopes of a client's own acts on a run."""
    return EventFactory(run_id, TraceContext(traceparent=traceparent(run_id)))


def start_event(run: RunRequest) -> Event:
    """Return the first event of a run."""
    start = ResponseStart(
        response_id=run.run_id,
        turn_id=run.turn_id,
        thread_id=run.thread_id,
        agent_id=run.agent_id,
        model_id=run.model_id,
        provider_id=run.provider_id,
        created_at=now_ms(),
        input_items=run.input_items,
    )
    return event_factory(run.run_id)(start)
