"""Searching the thread on the screen: what is found, marked and gone to."""

from __future__ import annotations

from typing import Final

import pytest
from cody_core.schema.items import Message, Reasoning
from textual.geometry import Region
from textual.pilot import Pilot
from tui.conftest import MakeApp
from tui.screen import (
    answered,
    chat,
    do,
    key,
    prompt_of,
    send,
    shown,
    state,
    transcript_of,
    until,
)
from tui.shelf import answer, called

from cody_tui.features.seeking import hits
from cody_tui.widgets.marking import Span, pattern, places
from cody_tui.widgets.seek import Seek

SEARCH: Final = "thread.search"


def found(pilot: Pilot[None]) -> tuple[str, list[str]]:
    """Return the place that is shown, and all that are marked on the screen."""
    transcript = transcript_of(pilot)
    marked: list[str] = []
    current = ""
    for strip in transcript.render_lines(Region(0, 0, *transcript.size)):
        for text, style, _ in strip:
            if style is not None and style.bold and (style.underline or style.reverse):
                marked.append(text)
                current = text if style.reverse else current
    return current, marked


async def said(pilot: Pilot[None], *prompts: str) -> None:
    for prompt in prompts:
        await send(pilot, prompt)
        await answered(pilot, prompt.split()[-1])


async def search(pilot: Pilot[None], text: str) -> Seek:
    await do(pilot, SEARCH, text)
    return pilot.app.screen.query_one(Seek)


async def test_a_text_is_found_in_the_thread_from_place_to_place(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(80, 16)) as pilot:
        await said(pilot, "Needle one, needle", "hay " * 300, "a needle two")
        bar = await search(pilot, "needle")
        assert bar.place == "5/6"  # the first one in sight
        assert found(pilot) == ("needle", ["needle", "needle"])
        await pilot.press("enter", "enter")
        assert bar.place == "1/6"
        assert found(pilot) == ("Needle", ["Needle", "needle", "Needle", "needle"])
        await pilot.press("enter")
        assert (bar.place, found(pilot)[0]) == ("2/6", "needle")
        await pilot.press("up", "up", "up")
        assert bar.place == "5/6"
        await until(pilot, lambda: "a needle two" in shown(pilot))
        await pilot.press("x")
        assert bar.place == "nothing found"
        assert found(pilot) == ("", [])


async def test_the_marks_go_with_the_search_and_home_and_end_are_the_fields(
    make_app: MakeApp,
) -> None:
    async with make_app("demo/echo").run_test(size=(80, 16)) as pilot:
        await said(pilot, "Needle")
        bar = await search(pilot, "xneedlex")
        await pilot.press("home", "delete", "end", "backspace")
        assert bar.place == "1/2"
        await pilot.press("escape")
        assert not bar.display
        assert found(pilot) == ("", [])
        assert pilot.app.focused is prompt_of(pilot)


async def test_a_new_thread_ends_the_search_and_has_the_keys(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(80, 16)) as pilot:
        await said(pilot, "Needle")
        bar = await search(pilot, "needle")
        assert bar.place == "1/2"
        key(pilot, "ctrl+n", *"needle", "enter")
        await answered(pilot, "needle")
        assert not bar.display
        assert found(pilot) == ("", [])
        await search(pilot, "")
        await until(pilot, lambda: bar.place == "1/2")
        chat(pilot).open_thread(None)
        assert (bar.display, bar.place) == (False, "")
        await until(pilot, lambda: pilot.app.focused is prompt_of(pilot))


async def test_what_is_folded_is_opened_for_a_place_and_closed_behind_it(make_app: MakeApp) -> None:
    async with make_app("demo/echo").run_test(size=(80, 30)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        run = answer(
            Reasoning(id="r", content="I look for the pearl."),
            *called("read_file", '{"path": "a"}', "sand\n" * 400 + "the pearl\n" + "sand\n" * 400),
            Message(id="m", content="No **pea**rl here."),
        )
        pilot.app.screen._runs[run.id] = run  # type: ignore[attr-defined]  # as if it was loaded
        transcript_of(pilot).load([run])
        bar = await search(pilot, "pearl")
        assert (bar.place, found(pilot)[0]) == ("1/3", "pearl")
        assert "I look for the" in shown(pilot)
        key(pilot, "enter")
        await until(pilot, lambda: bar.place == "2/3" and "the pearl" in shown(pilot))
        assert found(pilot) == ("pearl", ["pearl"])
        key(pilot, "enter")
        await until(pilot, lambda: bar.place == "3/3" and "Thought" in shown(pilot))
        assert "sand" not in shown(pilot)
        key(pilot, "up", "escape")
        await until(pilot, lambda: "the pearl" in shown(pilot) and not bar.display)


def test_hits_count_what_is_read_and_not_how_it_is_written() -> None:
    run = answer(
        Message(id="a", content="A **bold** word, a BOLD\n  word"),
        Message(id="b", content="snake_case"),
        prompt="bold word?",
    )
    again = run.model_copy(update={"id": "01890000-0000-7000-8000-000000000000"})
    once = [hit.times for hit in hits([run], "bold word")]
    assert once == [1, 2]
    assert [hit.times for hit in hits([run, again], "bold word")] == [1, 2, 2]  # asked once
    assert [hit.item_id for hit in hits([run], "snake_case")] == ["b"]
    assert hits([run], "   ") == ()


@pytest.mark.parametrize(
    ("rows", "text", "spans"),
    [
        (["  one two", "  one"], "ONE", [(Span(0, 2, 5),), (Span(1, 2, 5),)]),
        (["  one", "  two three"], "one two", [(Span(0, 2, 5), Span(1, 2, 5))]),
        (["▌ a", "▌ b c"], "a b c", [(Span(0, 2, 3), Span(1, 2, 5))]),
        (["  你好 世界"], "世界", [(Span(0, 5, 7),)]),
        (["  a.c abc"], "a.c", [(Span(0, 2, 5),)]),
        (["", "  "], "x", []),
    ],
)
def test_places_are_found_as_rows_are_read(
    rows: list[str], text: str, spans: list[tuple[Span, ...]]
) -> None:
    sought = pattern(text)
    assert sought is not None
    assert places(rows, sought) == spans
