from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from cody_core.history import UNANSWERED, conversation, estimate_tokens, settled
from cody_core.ids import new_id
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Origin,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.response import Response
from hypothesis import given
from hypothesis import strategies as st
from support import shapes
from support.shapes import response

KINDS = ["message", "user", "reasoning", "call", "output", "script", "script_output"]
KINDS += ["cancelled", "stopped", "error"]


def made(kind: str, number: int, target: int, step: int | None) -> Item:
    """Make item ``number`` of a run; an output is that of item ``target``, if that is a call."""
    name = str(number)
    match kind:
        case "message" | "user":
            origin: Origin = "agent" if kind == "message" else "user"
            return Message(id=name, content=f"text {name}", origin=origin, step=step)
        case "reasoning":
            return Reasoning(id=name, content="hm", step=step)
        case "call":
            return FunctionCall(id=name, name="ls", arguments="{}", call_id=f"c{name}", step=step)
        case "output":
            return FunctionCallOutput(id=name, call_id=f"c{target}", output=name, success=True)
        case "script":
            return ScriptExecution(id=name, code="1", step=step)
        case "script_output":
            return ScriptExecutionOutput(id=name, script_id=str(target), result="1", success=True)
        case "cancelled":
            return Cancelled(id=name, partial=Message(id=name, content=" " * (number % 2) + "x"))
        case "stopped":
            partial = FunctionCallOutput(id=name, call_id=f"c{target}", output="", success=True)
            return Cancelled(id=name, reason="stop", partial=partial)
        case _:
            return ErrorItem(id=name, code="oops", message="", partial=Message(id="e", content="e"))


places = st.tuples(st.sampled_from(KINDS), st.integers(0, 7), st.sampled_from([None, 0, 1]))


@st.composite
def outputs(draw: st.DrawFn) -> list[Item]:
    """The output items of a run; outputs may come late, early, twice or without a call."""
    drawn = draw(st.lists(places, max_size=8))
    return [made(kind, at, target, step) for at, (kind, target, step) in enumerate(drawn)]


@st.composite
def threads(draw: st.DrawFn) -> list[Response]:
    """Runs of a thread in their order, several of which may belong to one turn."""
    turns = [new_id() for _ in range(3)]
    drawn = draw(st.lists(st.tuples(st.sampled_from(turns), outputs()), max_size=5))
    return [
        response(
            new_id(),
            turn_id=turn,
            input_items=(Message(id=f"{number}-prompt", content="why?", origin="user"),),
            output_items=tuple(items),
        )
        for number, (turn, items) in enumerate(drawn)
    ]


def key_of(item: Item) -> str | None:
    """Return what a call is called by, and what an output calls its call by."""
    match item:
        case FunctionCall() | FunctionCallOutput():
            return f"call {item.call_id}"
        case ScriptExecution():
            return f"script {item.id}"
        case ScriptExecutionOutput():
            return f"script {item.script_id}"
        case _:
            return None


def is_output(item: Item) -> bool:
    return isinstance(item, FunctionCallOutput | ScriptExecutionOutput)


def check_pairs(items: Sequence[Item]) -> None:
    """Refuse what a provider refuses: calls and outputs must pair up, group behind group."""
    waiting: list[str] = []
    for at, item in enumerate(items):
        assert not isinstance(item, Cancelled | ErrorItem)
        key = key_of(item)
        if is_output(item):
            assert key == waiting.pop(0)
        else:
            assert not (waiting and is_output(items[at - 1])), "an output came too late"
            waiting += [key] if key else []
    assert not waiting


@given(outputs())
def test_every_call_is_followed_by_its_one_output_and_no_output_stands_alone(
    items: list[Item],
) -> None:
    shown = settled(items)
    check_pairs(shown)
    calls = [item for item in items if isinstance(item, FunctionCall | ScriptExecution)]
    assert [item for item in shown if isinstance(item, FunctionCall | ScriptExecution)] == calls
    assert settled(shown) == shown


@given(shapes.responses())
def test_whatever_a_stored_run_holds_its_calls_and_outputs_pair_up(run: Response) -> None:
    check_pairs(settled(run.output_items))


@given(outputs())
def test_what_is_said_is_kept_in_its_order(items: list[Item]) -> None:
    said = [
        item if isinstance(item, Message) else item.partial
        for item in items
        if isinstance(item, Message)
        or (
            isinstance(item, Cancelled)
            and isinstance(item.partial, Message)
            and item.partial.content.strip()
        )
    ]
    shown = [item for item in settled(items) if isinstance(item, Message)]
    assert [item.content for item in shown] == [
        item.content for item in said if isinstance(item, Message)
    ]


@given(outputs())
def test_reasoning_is_shown_only_in_front_of_what_it_led_to(items: list[Item]) -> None:
    shown = [item for item in settled(items) if not is_output(item)]
    for at, item in enumerate(shown):
        if isinstance(item, Reasoning):
            follower = next(later for later in shown[at:] if not isinstance(later, Reasoning))
            assert (follower.origin, follower.step) == ("agent", item.step)


@given(threads(), st.none() | st.integers(-10, 2000))
def test_a_conversation_is_the_newest_whole_turns_that_fit(
    runs: list[Response], budget: int | None
) -> None:
    current = response(
        new_id(), turn_id=new_id(), input_items=(Message(id="now", content="now", origin="user"),)
    )
    whole = [[*run.input_items, *settled(run.output_items)] for run in last_runs(runs)]
    items = list(conversation(runs, current, budget=budget))
    check_pairs(items)
    assert items[-1:] == list(current.input_items)
    suffixes = [[*chain.from_iterable(whole[at:])] for at in range(len(whole) + 1)]
    kept = suffixes.index(items[:-1])
    if budget is None:
        assert kept == 0
    else:
        room = budget - estimate_tokens(current.input_items)
        costs = [estimate_tokens(turn) for turn in whole]
        assert kept == len(whole) or sum(costs[kept:]) <= room
        assert kept == 0 or sum(costs[kept - 1 :]) > room


def last_runs(runs: list[Response]) -> list[Response]:
    """Return the last run of each turn, at the place of the turn's first."""
    turns = dict.fromkeys(run.turn_id for run in runs)
    return [[run for run in runs if run.turn_id == turn][-1] for turn in turns]


def call(number: int, step: int | None = 0) -> FunctionCall:
    return FunctionCall(id=f"i{number}", name="ls", arguments="{}", call_id=f"c{number}", step=step)


def output(number: int) -> FunctionCallOutput:
    return FunctionCallOutput(id=f"o{number}", call_id=f"c{number}", output="ok", success=True)


def say(text: str, step: int | None = 0) -> Message:
    return Message(id=f"say-{text}", content=text, step=step)


def think(text: str, step: int | None = 0) -> Reasoning:
    return Reasoning(id=f"think-{text}", content=text, step=step)


def test_parallel_calls_of_one_step_stay_together_with_their_outputs_behind() -> None:
    assert settled(
        [say("a"), call(1), output(1), say("b"), call(2), output(2), call(3, 1), output(3)]
    ) == [say("a"), call(1), say("b"), call(2), output(1), output(2), call(3, 1), output(3)]


def test_calls_without_a_step_are_a_group_while_they_stand_together() -> None:
    assert settled(
        [
            call(1, None),
            call(2, None),
            output(2),
            output(1),
            say("a", None),
            call(3, None),
            output(3),
        ]
    ) == [
        *[call(1, None), call(2, None), output(1), output(2)],
        *[say("a", None), call(3, None), output(3)],
    ]


def test_a_call_without_output_is_shown_as_interrupted() -> None:
    script = ScriptExecution(id="s", code="1")
    assert settled([call(1), say("a", 1), script]) == [
        call(1),
        FunctionCallOutput(id="i1-output", call_id="c1", output=UNANSWERED, success=False),
        say("a", 1),
        script,
        ScriptExecutionOutput(
            id="s-output", script_id="s", result="null", success=False, error=UNANSWERED
        ),
    ]


def test_the_first_of_two_outputs_counts_and_one_without_its_call_is_left_out() -> None:
    again = output(1).model_copy(update={"id": "again", "output": "other"})
    assert settled([call(1), output(1), again, output(7)]) == [call(1), output(1)]


def test_reasoning_stays_in_front_of_its_step_only() -> None:
    assert settled([think("a"), think("b"), say("c")]) == [think("a"), think("b"), say("c")]
    assert settled([say("c"), think("a")]) == [say("c")]
    assert settled([think("a"), call(1), output(1)]) == [think("a"), call(1), output(1)]
    assert settled([think("a", 0), say("c", 1)]) == [say("c", 1)]
    failed = ErrorItem(id="e", code="oops", message="", partial=say("half"))
    assert settled([think("a", 0), failed]) == []


def test_cancelled_text_is_kept_and_failed_text_dropped() -> None:
    half = Message(id="m", content="half a")
    assert settled(
        [
            Cancelled(id="m", reason="stop", partial=half),
            Cancelled(id="blank", partial=Message(id="blank", content=" \n")),
            Cancelled(id="nothing"),
            Cancelled(id="r", partial=think("hm")),
            Cancelled(id="c", partial=call(1)),
            ErrorItem(id="e", code="oops", message="broken", partial=say("failed")),
        ]
    ) == [half]


def test_an_interrupted_output_keeps_what_had_come_and_says_so() -> None:
    def stopped(text: str, reason: str | None) -> Item:
        partial = output(1).model_copy(update={"output": text})
        return Cancelled(id="o1", reason=reason, partial=partial)

    def shown(text: str) -> list[Item]:
        changes = {"output": text, "success": False}
        return [call(1), output(1).model_copy(update=changes)]

    assert settled([call(1), stopped("", None)]) == shown("[interrupted: cancelled]")
    assert settled([call(1), stopped("  deep", "stop")]) == shown("  deep\n[interrupted: stop]")


def test_runs_of_the_current_turn_are_not_repeated() -> None:
    current = response(new_id(), turn_id=shapes.TURN, output_items=(say("new"),))
    before = response(new_id(), turn_id=shapes.TURN, output_items=(say("old"),))
    assert conversation([before], current) == (say("new"),)


def test_long_characters_count_for_more_tokens() -> None:
    assert estimate_tokens([say("語" * 400)]) - estimate_tokens([say("a" * 400)]) >= 150
