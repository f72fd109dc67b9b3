"""A request to answer a prompt, decided: which agent, model and thread, and its first event."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from cody_core.errors import UnknownAgent
from cody_core.ids import new_id, now_ms, traceparent
from cody_core.instructions import instructions
from cody_core.providers.catalog import resolve
from cody_core.schema.events import Event, EventFactory, ResponseDone, ResponseStart, TraceContext
from cody_core.schema.items import Message
from cody_core.schema.models import ModelInfo
from cody_core.schema.requests import RunRequest, SubmitRequest, ToolMode
from cody_core.schema.threads import Thread, ThreadRequest, title_of
from cody_core.settings import DEFAULT_AGENT, AgentSettings, Settings
from cody_core.tools.workspace import guarded_places


def decide(
    settings: Settings,
    request: SubmitRequest,
    run_id: str,
    thread: Thread | None,
    *,
    tools: Collection[str] = (),
) -> RunRequest:
    """Fill in what a request leaves open: from its thread, its agent, and then from the settings.

    ``tools`` are the names of all tools there are.

    Raises:
        UnknownAgent: no such agent is configured, or it names a tool that does not exist.
        UnknownProvider: no such provider is configured.
        InvalidModel: the provider of the model cannot be told.
    """
    name, agent = _agent(settings, request, thread, tools)
    info = _model(settings, request, thread, agent)
    policy = request.policy or agent.policy or settings.policy
    system = next(
        (s for s in (request.system, agent.system, settings.system) if s is not None), None
    )
    if system is None:
        guarded = guarded_places(settings)
        system = instructions(settings.workspace, policy, date.today(), guarded)
    return RunRequest(
        run_id=run_id,
        turn_id=request.turn_id or new_id(),
        thread_id=thread.id if thread is not None else new_id(),
        agent_id=name,
        provider_id=info.provider_id,
        model_id=info.id,
        input_items=(Message(id=new_id(), content=request.prompt, origin="user"),),
        system=system,
        reasoning_effort=(
            request.reasoning_effort or agent.reasoning_effort or settings.reasoning_effort
        ),
        policy=policy,
        tools=agent.tools,
        tool_mode=_tool_mode(settings, agent),
        max_iterations=agent.max_iterations,
        thinking_budget=request.thinking_budget,
        max_output_tokens=request.max_output_tokens or settings.max_output_tokens,
        context_tokens=info.context_tokens,
    )


def _agent(
    settings: Settings, request: SubmitRequest, thread: Thread | None, tools: Collection[str]
) -> tuple[str | None, AgentSettings]:
    """Return who answers: who is asked for, who answered the thread before, or the default."""
    name = request.agent_id or (thread.agent_role if thread is not None else None) or None
    agent = settings.agent(name or DEFAULT_AGENT)
    if agent is None:
        known = ", ".join(sorted({DEFAULT_AGENT, *settings.agents}))
        of_thread = "" if request.agent_id else ", which this thread was answered by,"
        msg = f"agent {name!r}{of_thread} is not configured; there are: {known}. "
        raise UnknownAgent(msg + "Name one with --agent, or add [agents.NAME] to config.toml")
    if unknown := [tool for tool in agent.tools or () if tool not in tools]:
        msg = f"agent {name or DEFAULT_AGENT!r} names the tool {unknown[0]!r}, which there is not; "
        raise UnknownAgent(msg + f"there are: {', '.join(sorted(tools)) or 'none'}")
    return name, agent


def _model(
    settings: Settings, request: SubmitRequest, thread: Thread | None, agent: AgentSettings
) -> ModelInfo:
    """Resolve the model: an agent's own counts where the agent is new to the thread."""
    if request.model is not None or request.provider_id is not None:
        return resolve(settings, request.model, request.provider_id)
    before = (thread.agent_role if thread is not None else None) or DEFAULT_AGENT
    is_new = (request.agent_id or before) != before
    if agent.model is not None and (thread is None or thread.model_id is None or is_new):
        return resolve(settings, agent.model, None)
    if thread is not None:
        return resolve(settings, thread.model_id, thread.provider_id)
    return resolve(settings, None, None)


def _tool_mode(settings: Settings, agent: AgentSettings) -> ToolMode:
    """Return how tools are reached. Where there are none, a script in the answer is just text."""
    if agent.tools == ():
        return "calls"
    return agent.tool_mode or settings.tool_mode


def new_thread(run: RunRequest, prompt: str) -> Thread:
    """Return the thread that a run begins."""
    now = now_ms()
    return Thread(
        id=run.thread_id,
        title=title_of(prompt),
        agent_role=run.agent_id,
        model_id=run.model_id,
        provider_id=run.provider_id,
        created_at=now,
        updated_at=now,
    )


def empty_thread(settings: Settings, request: ThreadRequest) -> Thread:
    """Return the thread that is asked for, without a run.

    Raises:
        UnknownProvider: no such provider is configured.
        InvalidModel: the provider of the model cannot be told, or the two do not fit.
    """
    model = None
    if request.model is not None or request.provider_id is not None:
        model = resolve(settings, request.model, request.provider_id)
    now = now_ms()
    return Thread(
        id=request.thread_id or new_id(),
        title=request.title,
        summary=request.summary,
        tags=request.tags,
        agent_role=request.agent_role,
        model_id=model.id if model is not None else None,
        provider_id=model.provider_id if model is not None else None,
        created_at=now,
        updated_at=now,
    )


def event_factory(run_id: str) -> EventFactory:
    """Return what makes the envelopes of a client's own acts on a run."""
    return EventFactory(run_id, TraceContext(traceparent=traceparent(run_id)))


def start_event(run: RunRequest, *, queued: bool = False) -> Event:
    """Return the first event of a run; one that is queued waits for its turn."""
    start = ResponseStart(
        response_id=run.run_id,
        turn_id=run.turn_id,
        thread_id=run.thread_id,
        agent_id=run.agent_id,
        model_id=run.model_id,
        provider_id=run.provider_id,
        created_at=now_ms(),
        input_items=run.input_items,
        status="queued" if queued else None,
    )
    return event_factory(run.run_id)(start)


def never_begun(run_id: str) -> ResponseDone:
    """Return the end of a run that was cancelled before its turn had come."""
    return ResponseDone(response_id=run_id, status="aborted", finish_reason="aborted")
