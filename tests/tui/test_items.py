"""Items: opened and closed, gone through and tried again."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence

import pytest
from cody_core.ids import new_id
from cody_core.schema.items import (
    FunctionCall,
    FunctionCallOutput,
    Message,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.response import ErrorInfo, Response
from textual.message import Message as AppMessage
from textual.pilot import Pilot
from tui.conftest import MakeApp
from tui.screen import answered, key, prompt_of, rows, send, shown, transcript_of, until
from tui.shelf import Shelf, answer, called, click, following, marked, row_of, show

from cody_tui.messages import Snapshot, Span
from cody_tui.widgets.transcript import Transcript


async def test_reasoning_is_a_line_that_a_click_opens_and_closes() -> None:
    async with Shelf().run_test() as pilot:
        show(
            pilot,
            answer(
                Reasoning(id="r", content="**First** I look."), Message(id="m", content="Done.")
            ),
        )
        before = rows(pilot)
        assert before[2] == "  Thought ▸"
        await click(pilot, "Thought")
        assert rows(pilot)[2:7] == ["  Thought ▾", "    First I look.", "", "  Done.", ""]
        await click(pilot, "Thought")
        assert rows(pilot) == before


async def test_reasoning_counts_the_seconds_and_stays_open_while_it_grows() -> None:
    async with Shelf().run_test() as pilot:
        run = answer(Reasoning(id="r", content="one"), status="in_progress")
        transcript = transcript_of(pilot)
        live = Snapshot(run, frozenset({"r"}), {"r": Span(0)})
        transcript.show(live)
        assert rows(pilot)[2].startswith("  Thinking… ")
        assert transcript.toggle_item()
        assert rows(pilot)[3] == "    one"
        more = run.model_copy(update={"output_items": (Reasoning(id="r", content="one two"),)})
        transcript.show(Snapshot(more, frozenset({"r"}), {"r": Span(0)}))
        assert rows(pilot)[3] == "    one two"
        transcript.show(Snapshot(more, frozenset(), {"r": Span(0, 4_000)}))
        assert rows(pilot)[2:4] == ["  Thought for 4 s ▾", "    one two"]


async def test_reasoning_that_is_kept_secret_offers_nothing_to_open() -> None:
    async with Shelf().run_test() as pilot:
        transcript = show(pilot, answer(Reasoning(id="r", content="")))
        assert rows(pilot)[2] == "  Thought"
        assert not transcript.toggle_item()


async def test_a_call_opens_where_it_stands() -> None:
    async with Shelf().run_test(size=(80, 12)) as pilot:
        output = "\n".join(f"line {n}" for n in range(50))
        call = called("shell", '{"command": "seq 50"}', output)
        show(pilot, answer(*call, Message(id="m", content="So there.")))
        y = row_of(pilot, "shell")
        await click(pilot, "shell")
        assert rows(pilot)[y : y + 3] == ["  ✓ shell  seq 50 ▾", "    │ line 0", "    │ line 1"]
        assert not following(pilot)
        await click(pilot, "shell")
        assert following(pilot)
        assert shown(pilot).rstrip().endswith("So there.")


async def test_a_megabyte_of_output_opens_at_its_beginning_and_scrolls_to_its_end() -> None:
    async with Shelf().run_test(size=(80, 12)) as pilot:
        output = "".join(f"line {n}\n" for n in range(100_000))
        transcript = show(pilot, answer(*called("shell", '{"command": "x"}', output)))
        assert transcript.toggle_item()
        assert rows(pilot)[3] == "    │ line 0"
        transcript.show_end()
        assert rows(pilot)[-1] == "    │ line 99999"
        transcript.scroll_rows(-50_000)
        assert rows(pilot)[-1] == "    │ line 49999"


async def test_a_script_shows_code_calls_and_result_and_folds() -> None:
    script = ScriptExecution(id="s", code="return 1")
    call = FunctionCall(
        id="c", call_id="k", name="list_dir", arguments='{"path": "src"}', correlation_id="s"
    )
    done = FunctionCallOutput(id="o", call_id="k", output="a.py", success=True, correlation_id="s")
    out = ScriptExecutionOutput(id="so", script_id="s", result="1", success=True, logs="hello\n")
    async with Shelf().run_test() as pilot:
        show(pilot, answer(script, call, done, out))
        assert rows(pilot)[2:7] == [
            "  ✓ script ▾", "    │ return 1", "    ✓ list_dir  src ▸", "    hello", "    → 1",
        ]  # fmt: skip
        await click(pilot, "script")
        await click(pilot, "list_dir")
        assert rows(pilot)[2:7] == [
            "  ✓ script ▸", "    ✓ list_dir  src ▾", "      │ a.py", "    hello", "    → 1",
        ]  # fmt: skip


async def test_a_long_prompt_opens_to_all_of_it() -> None:
    async with Shelf().run_test(size=(80, 100)) as pilot:
        show(pilot, answer(prompt="\n".join(f"line {n}" for n in range(40))))
        assert "▌ line 29" in rows(pilot)
        assert "line 30" not in shown(pilot)
        await click(pilot, "… 309 characters")
        assert "▌ line 39" in rows(pilot)
        await click(pilot, "show less")
        assert "line 30" not in shown(pilot)


async def test_what_is_attached_is_not_unrolled() -> None:
    async with Shelf().run_test() as pilot:
        show(pilot, answer(prompt="read it\n\nAttached file: a.py\n```py\nsecret = 1\n```"))
        assert rows(pilot)[0] == "▌ read it"
        assert "secret" not in shown(pilot)
        await click(pilot, "attached")
        assert "▌ secret = 1" in rows(pilot)


# The item cursor


async def test_the_item_cursor_goes_from_item_to_item_and_leaves_at_the_end(
    make_app: MakeApp,
) -> None:
    async with make_app("demo/tour").run_test(size=(80, 24)) as pilot:
        await send(pilot, "hello")
        await answered(pilot, "Enjoy!")
        transcript = transcript_of(pilot)
        await pilot.press("alt+up")
        assert "Hello from the demo" in marked(pilot)[0]
        await pilot.press("alt+up")
        assert marked(pilot) == ["Thought ▸"]
        await pilot.press("alt+up")
        assert marked(pilot) == ["hello"]
        await pilot.press("alt+up")
        assert marked(pilot) == ["hello"]
        assert not following(pilot)
        await pilot.press("alt+down", "ctrl+o")
        assert marked(pilot)[0] == "Thought ▾"
        assert "The user would like an answer" in marked(pilot)[1]
        await pilot.press("alt+down", "alt+down")
        assert transcript.item is None
        assert following(pilot)
        assert not marked(pilot)
        assert pilot.app.focused is prompt_of(pilot)


async def test_escape_takes_the_cursor_away_before_it_stops_anything(make_app: MakeApp) -> None:
    async with make_app("demo/long", 0.002).run_test(size=(80, 20)) as pilot:
        await send(pilot, "talk")
        await until(pilot, lambda: "▌" not in shown(pilot) and len(shown(pilot)) > 300)
        transcript = transcript_of(pilot)
        key(pilot, "alt+up", "alt+up")
        await until(pilot, lambda: marked(pilot) == ["talk"])
        key(pilot, "escape")
        await until(pilot, lambda: transcript.item is None)
        assert not following(pilot)
        key(pilot, "escape")
        await until(pilot, lambda: transcript.has_unseen)
        transcript.show_end()
        await answered(pilot, "■ stopped")


# Errors and links


async def test_a_run_that_failed_offers_a_retry_until_another_has_begun(
    make_app: MakeApp,
) -> None:
    async with make_app("demo/fail", max_retries=0).run_test(size=(80, 60)) as pilot:
        await send(pilot, "try")
        await answered(pilot, "↻ Retry")
        await click(pilot, "Retry")
        await answered(pilot, "Answer 2 to the prompt")
        assert shown(pilot).count("↻ Retry") == 1
        assert "✗" in rows(pilot)[row_of(pilot, "Retry") - 1]


async def test_a_click_on_retry_says_of_which_run() -> None:
    asked: list[AppMessage] = []
    async with Shelf().run_test(message_hook=asked.append) as pilot:
        error = ErrorInfo(code="provider_overloaded", message="too much to do")
        run = answer(status="error", error=error)
        show(pilot, run)
        assert rows(pilot)[2:4] == ["  ✗ too much to do", "  ↻ Retry  or /retry"]
        await click(pilot, "Retry")
        assert {m.run_id for m in asked if isinstance(m, Transcript.RetryAsked)} == {run.id}


class Browser(webbrowser.BaseBrowser):
    """Opens nothing and remembers what."""

    def __init__(self, opened: list[str]) -> None:
        super().__init__("test")
        self.opened = opened

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.opened.append(url)
        return True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "_tryorder", [])
    webbrowser.register("cody-test", None, Browser(urls), preferred=True)
    return urls


async def test_a_link_opens_where_a_click_is(opened: list[str]) -> None:
    async with Shelf().run_test(notifications=True) as pilot:
        show(pilot, answer(Message(id="m", content="See [the notes](https://example.com/a).")))
        await click(pilot, "See")
        await click(pilot, "notes")
        await until_opened(pilot, lambda: opened == ["https://example.com/a"])


async def test_an_address_that_is_none_cannot_be_opened(opened: list[str]) -> None:
    async with Shelf().run_test() as pilot:
        show(pilot, answer(Message(id="m", content="[run](file:///etc/passwd) [x](javascript:1)")))
        await click(pilot, "run")
        await pilot.pause()
        assert not opened


async def until_opened(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await pilot.app.workers.wait_for_complete()
    assert condition()


# Long threads


def long_thread(count: int) -> Sequence[Response]:
    text = "# Title\n\n" + "Some words of an answer. " * 80
    return [
        answer(
            Reasoning(id=new_id(), content=text),
            *called("shell", '{"command": "x"}', text),
            Message(id=new_id(), content=text),
            prompt=f"prompt {n}",
        )
        for n in range(count)
    ]


async def test_of_a_long_thread_only_what_is_seen_is_rendered() -> None:
    async with Shelf().run_test() as pilot:
        transcript = show(pilot, *long_thread(250))
        rendered = [block for block in transcript.blocks if block.is_rendered]
        assert len(transcript.blocks) == 1_000
        assert 0 < len(rendered) < 10
        transcript.show_start()
        rendered = [block for block in transcript.blocks if block.is_rendered]
        assert len(rendered) < 20


async def test_an_item_is_found_by_its_id() -> None:
    async with Shelf().run_test() as pilot:
        runs = long_thread(50)
        transcript = show(pilot, *runs)
        transcript.show_item(runs[20].input_items[0].id)
        assert marked(pilot) == ["prompt 20"]
        transcript.show_item(runs[30].output_items[2].id)
        assert marked(pilot) == ["✓ shell  x ▸"]
