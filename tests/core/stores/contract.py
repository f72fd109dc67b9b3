"""What every store must do. A test module inherits these and provides the fixture ``store``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from cody_core.errors import InvalidRequest, StoreError
from cody_core.ids import new_id
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
)
from cody_core.schema.response import ErrorInfo, Response, Usage
from cody_core.schema.threads import Thread, ThreadChanges
from cody_core.stores import OpenRun, RunWrite, Store
from support.shapes import response


def a_thread(title: str = "Weather", *, at: int = 1, **fields: object) -> Thread:
    values = {"id": new_id(), "title": title, "created_at": at, "updated_at": at, **fields}
    return Thread.model_validate(values)


def say(text: str, item_id: str | None = None) -> Message:
    return Message(id=item_id or new_id(), content=text)


def run_of(thread: Thread, *outputs: Item, run_id: str | None = None, **fields: object) -> Response:
    prompt = Message(id="prompt", content="ask", origin="user")
    shown: dict[str, object] = {"input_items": (prompt,), "output_items": outputs, **fields}
    return response(run_id or new_id(), thread_id=thread.id, **shown)


async def stored(store: Store, title: str = "Weather", *, at: int = 1, **fields: object) -> Thread:
    thread = a_thread(title, at=at, **fields)
    assert await store.create_thread(thread)
    return thread


async def saved(store: Store, run: Response, version: str = "1-0") -> Response:
    assert await store.save_run(RunWrite(run, version))
    return run


async def pages(
    store: Store, *, limit: int = 50, tag: str | None = None, query: str | None = None
) -> AsyncIterator[list[str]]:
    cursor: str | None = None
    while True:
        page = await store.list_threads(limit=limit, cursor=cursor, tag=tag, query=query)
        yield [thread.id for thread in page.threads]
        if (cursor := page.next_cursor) is None:
            return


async def found(store: Store, query: str) -> list[str]:
    return [thread.title for thread in (await store.list_threads(query=query)).threads]


class ThreadContract:
    async def test_a_thread_comes_back_as_it_was_created(self, store: Store) -> None:
        thread = a_thread(
            "Wetter 天气 \0 '\"; --",
            summary="s",
            tags=("a", "b c"),
            agent_role="coder",
            model_id="m",
            provider_id="p",
        )
        assert await store.create_thread(thread)
        assert await store.get_thread(thread.id) == thread
        assert await store.get_thread(new_id()) is None

    async def test_a_thread_that_exists_is_left_as_it_is(self, store: Store) -> None:
        thread = await stored(store)
        assert not await store.create_thread(thread.model_copy(update={"title": "other"}))
        assert await store.get_thread(thread.id) == thread
        assert await found(store, "other") == []

    async def test_a_thread_can_be_created_with_runs_that_have_ended(self, store: Store) -> None:
        thread = a_thread("copy", at=50)
        runs = [run_of(thread, say("umbrella"), created_at=at, updated_at=at) for at in (3, 4)]
        assert await store.create_thread(thread, runs)
        assert list(await store.list_runs(thread.id)) == runs
        assert await store.get_thread(thread.id) == thread
        assert await found(store, "umbrella") == ["copy"]
        more = run_of(thread, created_at=9)
        assert not await store.create_thread(thread, [more])
        assert await store.get_run(more.id) is None

    async def test_a_thread_whose_runs_cannot_be_stored_is_not_created(self, store: Store) -> None:
        thread = a_thread("copy")
        good, bad = run_of(thread), run_of(a_thread("nowhere"))
        with pytest.raises(StoreError):
            await store.create_thread(thread, [good, bad])
        assert await store.get_thread(thread.id) is None
        assert await store.get_run(good.id) is None
        assert await found(store, "copy") == []

    async def test_a_list_tells_how_the_newest_run_of_a_thread_stands(self, store: Store) -> None:
        expected = {
            "queued": "running", "in_progress": "running", "complete": None,
            "error": "failed", "aborted": "stopped",
        }  # fmt: skip
        for status in expected:
            thread = await stored(store, status)
            await saved(store, run_of(thread, created_at=1, status="error"))
            await saved(store, run_of(thread, created_at=2, status=status))
        await stored(store, "empty")
        listed = {t.title: t.state for t in (await store.list_threads()).threads}
        assert listed == {**expected, "empty": None}

    async def test_an_update_changes_what_is_given_and_nothing_else(self, store: Store) -> None:
        thread = await stored(store, tags=("old",), summary="kept")
        changes = ThreadChanges(title="Rain", tags=())
        assert await store.update_thread(thread.id, changes, now=9)
        expected = thread.model_copy(update={"title": "Rain", "tags": (), "updated_at": 9})
        assert await store.get_thread(thread.id) == expected
        assert not await store.update_thread(new_id(), changes, now=9)

    async def test_a_deleted_thread_is_gone_with_its_runs_and_stays_gone(
        self, store: Store
    ) -> None:
        thread, other = await stored(store, "rain"), await stored(store, "rain too")
        run = await saved(store, run_of(thread, say("umbrella")))
        kept = await saved(store, run_of(other, say("umbrella"), status="in_progress"))
        assert await store.delete_thread(thread.id)
        assert not await store.delete_thread(thread.id)
        assert not await store.create_thread(thread)
        assert not await store.save_run(RunWrite(run, "2-0"))
        assert not await store.update_thread(thread.id, ThreadChanges(title="back"), now=9)
        assert await store.get_thread(thread.id) is None
        assert await store.get_run(run.id) is None
        assert await store.list_runs(thread.id) == []
        assert await found(store, "umbrella") == await found(store, "rain") == ["rain too"]
        assert [run.run_id for run in await store.open_runs()] == [kept.id]

    async def test_deleting_an_unknown_thread_does_not_reserve_its_id(self, store: Store) -> None:
        thread = a_thread()
        assert not await store.delete_thread(thread.id)
        assert await store.create_thread(thread)

    async def test_pages_list_every_thread_once_newest_change_first(self, store: Store) -> None:
        threads = [await stored(store, at=at // 3) for at in range(11)]
        expected = sorted(threads, key=lambda thread: (thread.updated_at, thread.id), reverse=True)
        seen = [page async for page in pages(store, limit=2)]
        assert [len(page) for page in seen] == [2, 2, 2, 2, 2, 1]
        assert [thread_id for page in seen for thread_id in page] == [t.id for t in expected]

    async def test_a_full_last_page_has_no_cursor(self, store: Store) -> None:
        assert (await store.list_threads()).threads == ()
        await stored(store)
        await stored(store)
        assert (await store.list_threads(limit=2)).next_cursor is None

    async def test_a_thread_created_between_two_pages_moves_nothing(self, store: Store) -> None:
        threads = [await stored(store, at=at) for at in (1, 2, 3)]
        first = await store.list_threads(limit=2)
        await stored(store, at=4)
        second = await store.list_threads(limit=2, cursor=first.next_cursor)
        assert second.threads == (threads[0],)

    async def test_a_page_has_at_most_500_threads(self, store: Store) -> None:
        for at in range(501):
            await store.create_thread(a_thread(at=at))
        assert [len(page) async for page in pages(store, limit=10_000)] == [500, 1]

    @pytest.mark.parametrize(
        "cursor", ["", "x", "é", "bnVsbA==", "WzEsMl0=", "W10=", "[1]", "WzFlOTksIngiXQ==", "%"]
    )
    async def test_a_cursor_nobody_gave_out_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(InvalidRequest, match="cursor"):
            await store.list_threads(cursor=cursor)

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_a_limit_that_is_not_positive_is_refused(self, store: Store, limit: int) -> None:
        with pytest.raises(InvalidRequest, match="limit"):
            await store.list_threads(limit=limit)

    async def test_a_tag_is_matched_whole(self, store: Store) -> None:
        thread = await stored(store, tags=("work", 'odd"%tag'))
        await stored(store, tags=("workshop",))
        for tag in ("work", 'odd"%tag'):
            assert [page async for page in pages(store, tag=tag)] == [[thread.id]]
        for tag in ("wor", "%", "", "\udcff"):
            assert [page async for page in pages(store, tag=tag)] == [[]]


class SearchContract:
    async def test_words_are_found_in_titles_prompts_and_answers(self, store: Store) -> None:
        await stored(store, "green title", at=3)
        prompt = await stored(store, "prompt", at=2)
        answer = await stored(store, "answer", at=1)
        asked = (Message(id="i", content="a Green prompt", origin="user"),)
        await saved(store, run_of(prompt, input_items=asked, updated_at=2))
        await saved(store, run_of(answer, say("so much greenery"), updated_at=1))
        assert await found(store, "green") == ["green title", "prompt", "answer"]

    async def test_what_was_cut_short_is_found_and_what_was_thought_is_not(
        self, store: Store
    ) -> None:
        thread = await stored(store)
        items: tuple[Item, ...] = (
            Cancelled(id="1", partial=say("cancelled words")),
            ErrorItem(id="2", code="c", message="m", partial=say("broken words")),
            Reasoning(id="3", content="hidden thought"),
            FunctionCall(id="4", name="shell", arguments='"hidden"', call_id="c"),
        )
        await saved(store, run_of(thread, *items, status="aborted"))
        assert await found(store, "cancelled") == await found(store, "broken") == ["Weather"]
        assert await found(store, "hidden") == []

    async def test_all_words_must_occur_in_one_place(self, store: Store) -> None:
        thread = await stored(store, "alpha")
        await saved(store, run_of(thread, say("beta gamma"), say("delta")))
        assert await found(store, "gamma beta") == ["alpha"]
        assert await found(store, "beta delta") == []
        assert await found(store, "alpha beta") == []

    async def test_only_the_last_word_may_be_unfinished(self, store: Store) -> None:
        await stored(store, "morning weather")
        assert await found(store, "morning wea") == ["morning weather"]
        assert await found(store, "mor weather") == []
        assert await found(store, "eather") == []

    @pytest.mark.parametrize(
        "query",
        ["天", "天气", "天很", "気", "カナ", "한국", "국어", "ÉTÉ", "ete", "\uff23afe"],
    )
    async def test_scripts_without_spaces_and_accents(self, store: Store, query: str) -> None:
        await stored(store, "今天天很好。天气 天気 ｶﾅ 한국어를 été Café")
        await stored(store, "unrelated")
        assert len(await found(store, query)) == 1

    async def test_characters_that_do_not_touch_are_not_one_word(self, store: Store) -> None:
        await stored(store, "今天很好的气")
        assert await found(store, "天气") == []

    @pytest.mark.parametrize("query", ["...", '"', "*", "()", "\0", "\udcff", "- -", "_", "{}^:"])
    async def test_punctuation_finds_nothing(self, store: Store, query: str) -> None:
        await stored(store, "any ... title")
        assert await found(store, query) == []

    @pytest.mark.parametrize(
        "query",
        ['say "hello', "hello*", "-hello", "(hello", "hello\0", "^hello", "say:hello", "hello ..."],
    )
    async def test_no_character_is_special(self, store: Store, query: str) -> None:
        await stored(store, "say: hello")
        await stored(store, "goodbye")
        assert await found(store, query) == ["say: hello"]

    @pytest.mark.parametrize("query", ["hello OR nothing", "hello NOT nothing", "NEAR(hello, 1)"])
    async def test_no_word_is_special(self, store: Store, query: str) -> None:
        await stored(store, "hello")
        assert await found(store, query) == []

    @pytest.mark.parametrize("word", ["hello ", "天", "a-", "a"])
    async def test_a_pasted_page_is_a_query_like_any_other(self, store: Store, word: str) -> None:
        await stored(store, word * 3_000)
        await stored(store, "other")
        assert len(await found(store, word * 2_000)) == 1

    async def test_a_blank_query_is_no_filter(self, store: Store) -> None:
        await stored(store)
        assert await found(store, " ") == await found(store, "") == ["Weather"]

    async def test_text_that_was_replaced_is_no_longer_found(self, store: Store) -> None:
        thread = await stored(store, "before")
        run = run_of(thread, say("draft", "1"), status="in_progress")
        await saved(store, run)
        await saved(store, run.model_copy(update={"output_items": (say("final", "1"),)}), "2-0")
        await store.update_thread(thread.id, ThreadChanges(title="after"), now=3)
        assert await found(store, "draft") == await found(store, "before") == []
        assert await found(store, "final") == await found(store, "aft") == ["after"]

    async def test_filters_and_pages_work_together(self, store: Store) -> None:
        both = [await stored(store, "rain", at=at, tags=("t",)) for at in range(3)]
        await stored(store, "rain", at=1)
        await stored(store, "sun", at=1, tags=("t",))
        seen = [page async for page in pages(store, limit=1, tag="t", query="rain")]
        assert seen == [[thread.id] for thread in reversed(both)]


class RunContract:
    async def test_a_run_comes_back_as_it_was_saved(self, store: Store) -> None:
        thread = await stored(store)
        run = run_of(
            thread,
            say('{"a": "}]\\u0000"} \0 𝄞'),
            Reasoning(id="r", content="hm"),
            agent_id="coder",
            usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
            error=ErrorInfo(code="c", message="}}", details={"a": {"b": [1]}}),
            status="error",
        )
        await saved(store, run)
        assert await store.get_run(run.id) == run
        assert await store.get_run(new_id()) is None

    async def test_a_run_without_a_thread_is_not_written(self, store: Store) -> None:
        run = run_of(a_thread())
        assert not await store.save_run(RunWrite(run, "1-0"))
        assert await store.get_run(run.id) is None

    @pytest.mark.parametrize(
        ("older", "newer"),
        [
            ("1-0", "1-1"),
            ("9-0", "10-0"),
            ("5-9", "5-10"),
            ("1-18446744073709551614", "1-18446744073709551615"),
        ],
    )
    async def test_only_a_newer_version_is_written(
        self, store: Store, older: str, newer: str
    ) -> None:
        thread = await stored(store)
        first = run_of(thread, say("one", "1"), status="in_progress")
        second = first.model_copy(update={"output_items": (say("two", "1"),), "updated_at": 3})
        assert await store.save_run(RunWrite(first, older))
        assert not await store.save_run(RunWrite(second, older))
        assert await store.get_run(first.id) == first
        assert await store.save_run(RunWrite(second, newer))
        assert not await store.save_run(RunWrite(first, older))
        assert await store.get_run(first.id) == second

    @pytest.mark.parametrize("status", ["complete", "error", "aborted"])
    async def test_a_terminal_state_is_final(self, store: Store, status: str) -> None:
        ended = await saved(store, run_of(await stored(store), say("x"), status=status))
        for regressed in ("in_progress", "queued"):
            again = ended.model_copy(update={"status": regressed})
            assert not await store.save_run(RunWrite(again, "9-0"))
        assert await store.get_run(ended.id) == ended
        amended = ended.model_copy(update={"finish_reason": "stop"})
        assert await store.save_run(RunWrite(amended, "9-0"))
        assert await store.get_run(ended.id) == amended

    async def test_unchanged_items_are_not_rewritten(self, store: Store) -> None:
        thread = await stored(store)
        run = run_of(thread, say("one", "1"), say("two", "2"), status="in_progress")
        await saved(store, run)
        after = run.model_copy(update={"output_items": (say("ONE", "1"), say("TWO", "2"))})
        assert await store.save_run(RunWrite(after, "2-0", changed=frozenset({1, 7})))
        expected = (run.output_items[0], after.output_items[1])
        assert await store.get_run(run.id) == run.model_copy(update={"output_items": expected})

    async def test_an_item_that_was_never_stored_is_written_though_not_named(
        self, store: Store
    ) -> None:
        run = run_of(await stored(store), *(say(str(n)) for n in range(4)))
        assert await store.save_run(RunWrite(run, "1-0", changed=frozenset({3})))
        assert await store.get_run(run.id) == run

    async def test_an_item_that_failed_replaces_the_one_that_was_open(self, store: Store) -> None:
        run = run_of(await stored(store), say("partial", "1"), status="in_progress")
        await saved(store, run)
        failed = ErrorItem(id="1", code="c", message="m")
        after = run.model_copy(update={"output_items": (failed,), "status": "error"})
        assert await store.save_run(RunWrite(after, "2-0", changed=frozenset({0})))
        assert await store.get_run(run.id) == after
        assert await found(store, "partial") == []

    async def test_items_beyond_the_last_are_dropped(self, store: Store) -> None:
        run = await saved(store, run_of(await stored(store), say("one"), say("two"), say("three")))
        shorter = run.model_copy(update={"output_items": run.output_items[:1]})
        assert await store.save_run(RunWrite(shorter, "2-0", changed=frozenset()))
        assert await store.get_run(run.id) == shorter
        assert await found(store, "three") == []

    async def test_a_thread_follows_its_newest_run(self, store: Store) -> None:
        thread = await stored(store)
        old = run_of(thread, created_at=10, updated_at=11, model_id="old", status="in_progress")
        new = run_of(thread, created_at=20, updated_at=21, model_id="new", provider_id="other")
        await saved(store, old)
        assert (await store.get_thread(thread.id)) == thread.model_copy(
            update={"model_id": "old", "provider_id": "demo", "updated_at": 11}
        )
        await saved(store, new)
        await saved(store, old.model_copy(update={"updated_at": 30, "status": "complete"}), "2-0")
        assert (await store.get_thread(thread.id)) == thread.model_copy(
            update={"model_id": "new", "provider_id": "other", "updated_at": 21}
        )

    async def test_an_agent_that_is_changed_while_a_run_is_on_its_way_stays(
        self, store: Store
    ) -> None:
        thread = await stored(store, agent_role="default")
        run = run_of(thread, status="in_progress", agent_id="coder")
        await saved(store, run)
        assert (await store.get_thread(thread.id) or thread).agent_role == "coder"
        await store.update_thread(thread.id, ThreadChanges(agent_role="reviewer"), now=5)
        await saved(store, run.model_copy(update={"status": "complete"}), "2-0")
        assert (await store.get_thread(thread.id) or thread).agent_role == "reviewer"

    async def test_a_save_does_not_turn_a_threads_clock_back(self, store: Store) -> None:
        thread = await stored(store)
        await store.update_thread(thread.id, ThreadChanges(title="t"), now=100)
        await saved(store, run_of(thread, updated_at=50))
        after = await store.get_thread(thread.id)
        assert after is not None
        assert after.updated_at == 100

    async def test_runs_are_listed_in_the_order_they_were_created(self, store: Store) -> None:
        thread, other = await stored(store), await stored(store)
        runs = [run_of(thread, say(str(at)), say("z"), created_at=at) for at in (3, 1, 2, 20, 10)]
        for run in [*runs, run_of(other, say("not mine"))]:
            await saved(store, run)
        expected = sorted(runs, key=lambda run: run.created_at)
        assert list(await store.list_runs(thread.id)) == expected
        assert list(await store.list_runs(new_id())) == []

    async def test_open_runs_name_their_owner_and_version(self, store: Store) -> None:
        thread = await stored(store)
        late = run_of(thread, status="in_progress", created_at=2)
        early = run_of(thread, status="queued", created_at=1)
        await store.save_run(RunWrite(late, "7-1", owner="me"))
        await store.save_run(RunWrite(early, "5-0"))
        await saved(store, run_of(thread))
        expected = [OpenRun(early.id, "5-0", None), OpenRun(late.id, "7-1", "me")]
        assert list(await store.open_runs()) == expected
        ended = late.model_copy(update={"status": "aborted"})
        await store.save_run(RunWrite(ended, "8-0", owner="me"))
        assert list(await store.open_runs()) == expected[:1]

    async def test_writers_that_race_leave_the_newest_state(self, store: Store) -> None:
        thread = await stored(store)
        run = run_of(thread, status="in_progress")
        states = [
            run.model_copy(update={"output_items": tuple(say(f"{n}", f"{i}") for i in range(n))})
            for n in range(20)
        ]
        async with asyncio.TaskGroup() as group:
            for n in sorted(range(20), key=lambda n: n * 7 % 20):
                group.create_task(store.save_run(RunWrite(states[n], f"{n}-0")))
        assert await store.get_run(run.id) == states[-1]

    async def test_an_output_of_three_megabytes_comes_back_equal(self, store: Store) -> None:
        thread = await stored(store)
        output = "0123456789 ä 語 🎈\n" * 150_000
        run = run_of(
            thread,
            FunctionCallOutput(id="o", call_id="c", output=output, success=True),
            say("after it"),
            status="in_progress",
        )
        await saved(store, run)
        assert await store.get_run(run.id) == run
        shorter = FunctionCallOutput(id="o", call_id="c", output=output[:-1], success=True)
        items = (shorter, *run.output_items[1:])
        after = run.model_copy(update={"output_items": items, "status": "complete"})
        assert await store.save_run(RunWrite(after, "2-0", changed=frozenset({0})))
        assert await store.get_run(run.id) == after
        assert await found(store, "after") == ["Weather"]

    async def test_a_run_of_2000_items_comes_back_equal(self, store: Store) -> None:
        thread = await stored(store)
        items: list[Item] = [say(f"number {at}", str(at)) for at in range(2000)]
        run = run_of(thread, *items[:1990], status="in_progress")
        await saved(store, run)
        assert await store.get_run(run.id) == run
        items[1000] = say("changed", "1000")
        changed = frozenset({1000, *range(1990, 2000)})
        whole = run.model_copy(update={"output_items": tuple(items)})
        assert await store.save_run(RunWrite(whole, "2-0", changed=changed))
        assert await store.get_run(run.id) == whole
        every = tuple(say(f"again {at}", str(at)) for at in range(1500))
        again = run.model_copy(update={"output_items": every, "status": "complete"})
        assert await store.save_run(RunWrite(again, "3-0"))
        assert await store.get_run(run.id) == again
        assert await found(store, "changed") == []
        assert await found(store, "again 1499") == ["Weather"]

    async def test_a_thread_of_500_runs_comes_back_equal(self, store: Store) -> None:
        thread = await stored(store)
        runs = [
            run_of(thread, say(f"answer {at}", "a"), Reasoning(id="r", content="hm"), created_at=at)
            for at in range(500)
        ]
        for run in runs:
            await saved(store, run)
        assert await store.list_runs(thread.id) == runs

    async def test_what_is_larger_than_a_document_comes_back_equal(self, store: Store) -> None:
        thread = await stored(store)
        large = "word " * 400_000
        run = run_of(
            thread,
            say(f"{large}umbrella"),
            input_items=(Message(id="i", content=large, origin="user"),),
            error=ErrorInfo(code="c", message="m", details={"text": large}),
            status="error",
        )
        await saved(store, run)
        assert await store.get_run(run.id) == run
        assert await store.list_runs(thread.id) == [run]
        assert await found(store, "word umbrella") == ["Weather"]

    async def test_json_as_deep_and_odd_as_it_comes_comes_back_equal(self, store: Store) -> None:
        deep: object = "end"
        for _ in range(30):
            deep = [{"$": deep, "": None, "_é": 2**63, "e": 1e300}]
        details = {"deep": deep, "many": list(range(10_000))}
        run = run_of(
            await stored(store),
            ErrorItem(id="e", code="c", message="m", details=details),
            status="error",
        )
        await saved(store, run)
        assert await store.get_run(run.id) == run

    async def test_a_save_that_is_cancelled_is_done_or_undone(self, store: Store) -> None:
        thread = await stored(store)
        large = run_of(thread, *(say("x " * 20_000, str(at)) for at in range(100)))
        async with asyncio.TaskGroup() as group:
            saving = group.create_task(store.save_run(RunWrite(large, "1-0")))
            await asyncio.sleep(0.05)
            saving.cancel()
        assert await store.get_run(large.id) in (None, large)
        await store.save_run(RunWrite(large, "1-0"))
        assert await store.get_run(large.id) == large

    async def test_a_store_can_be_closed_twice(self, store: Store) -> None:
        await store.aclose()
        await store.aclose()
