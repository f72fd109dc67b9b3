"""What every client must do with threads, and with the place it is in; see ``client_contract``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from pathlib import Path

import pytest
from cody_core.client import Client
from cody_core.errors import (
    InvalidModel,
    InvalidRequest,
    NotFound,
    RunNotFound,
    ThreadExists,
    ThreadNotFound,
)
from cody_core.ids import new_id
from cody_core.schema.changes import Changes
from cody_core.schema.files import Attachment
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.threads import ThreadChanges, ThreadRequest
from support.core import MODEL, ask, ended, texts

from .client_contract import NOWHERE, Opened, echo, entries_of, hanging


class ThreadContract:
    async def test_threads_are_listed_found_changed_and_deleted(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            first, second = await ask(client, "about bees"), await ask(client, "about whales")
            assert await self._titles(client) == ["about whales", "about bees"]
            assert await self._titles(client, query="bees") == ["about bees"]
            changes = ThreadChanges(title="Bees", tags=("nature",), summary="s", agent_role="r")
            changed = await client.update_thread(first.thread_id, changes)
            assert await self._titles(client, tag="nature") == ["Bees"]
            thread = (await client.thread(first.thread_id)).thread
            assert changed == thread
            assert (thread.title, thread.tags) == ("Bees", ("nature",))
            assert (thread.summary, thread.agent_role) == ("s", "r")
            await client.update_thread(first.thread_id, ThreadChanges(tags=()))
            assert await self._titles(client, tag="nature") == []
            await client.delete_thread(second.thread_id)
            assert await self._titles(client) == ["Bees"]

    async def test_pages_follow_one_another(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            threads = [(await ask(client, f"prompt {number}")).thread_id for number in range(5)]
            seen, cursor = [], None
            while True:
                page = await client.threads(limit=2, cursor=cursor)
                seen += [thread.id for thread in page.threads]
                if (cursor := page.next_cursor) is None:
                    break
            assert seen == threads[::-1]
            assert len((await client.threads(limit=1000)).threads) == 5
            for wrong in (client.threads(cursor="nonsense"), client.threads(limit=0)):
                with pytest.raises(InvalidRequest):
                    await wrong

    async def test_lists_tell_how_a_thread_stands(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            run_id, _ = await hanging(client)
            states: list[str | None] = []
            async with asyncio.timeout(20):
                while states != ["running"]:
                    await asyncio.sleep(0.001)
                    states = [thread.state for thread in (await client.threads()).threads]
            await client.cancel(run_id)
            await ended(client, run_id)
            async with asyncio.timeout(20):
                while states != ["stopped"]:
                    await asyncio.sleep(0.001)
                    states = [thread.state for thread in (await client.threads()).threads]

    async def test_a_thread_holds_its_runs_in_order_and_remembers_its_model(
        self, opened: Opened
    ) -> None:
        async with opened(echo()) as client:
            first = await ask(client, "one")
            second = await ask(client, "two", first.thread_id)
            detail = await client.thread(first.thread_id)
            assert detail.runs == (first, second)
            assert f"{detail.thread.provider_id}/{detail.thread.model_id}" == MODEL
            assert detail.thread.created_at <= first.created_at <= detail.thread.updated_at

    async def test_a_thread_is_made_once_and_then_answered_in(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            request = ThreadRequest(
                thread_id=new_id(),
                title="Bees",
                summary="of bees",
                tags=("a", "b"),
                agent_role="default",
                model=MODEL,
            )
            made = await client.create_thread(request)
            assert (made.id, made.title, made.tags) == (request.thread_id, "Bees", ("a", "b"))
            assert f"{made.provider_id}/{made.model_id}" == MODEL
            response = await ask(client, "hello", made.id)
            detail = await client.thread(made.id)
            assert (detail.thread.title, detail.runs) == ("Bees", (response,))
            with pytest.raises(ThreadExists):
                await client.create_thread(request)
            await client.delete_thread(made.id)
            with pytest.raises(ThreadExists):
                await client.create_thread(request)
            assert (await client.create_thread(ThreadRequest())).title == "Untitled"
            with pytest.raises(InvalidModel):
                await client.create_thread(ThreadRequest(model="mystery"))

    async def test_who_watches_a_thread_hears_of_its_runs(self, opened: Opened) -> None:
        async with opened(echo()) as client, asyncio.timeout(20):
            first = await ask(client, "one")
            live, thread_id = await hanging(client, thread_id=first.thread_id)
            async with aclosing(client.watch(thread_id)) as words:
                (begun,) = await anext(words)
                assert (begun.run_id, begun.thread_id, begun.status) == (live, thread_id, None)
                await ask(client, "elsewhere")
                await client.cancel(live)
                heard = [*await anext(words)]
                second = await ask(client, "two", thread_id)
                while len(heard) < 3:
                    heard += await anext(words)
            expected = [(live, "aborted"), (second.id, None), (second.id, "complete")]
            assert [(word.run_id, word.status) for word in heard] == expected
            async with aclosing(client.watch(thread_id)) as words:
                assert list(await anext(words)) == []
            async with aclosing(client.watch(thread_id, after=heard[0].offset)) as words:
                missed = [*await anext(words)]
                while len(missed) < 2:
                    missed += await anext(words)
            assert missed == heard[1:]

    async def test_an_empty_change_is_refused(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            response = await ask(client)
            with pytest.raises(InvalidRequest):
                await client.update_thread(response.thread_id, ThreadChanges())

    async def test_deleting_a_thread_ends_its_live_runs(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            run_id, thread_id = await hanging(client)
            following = entries_of(client, run_id)
            await client.delete_thread(thread_id)
            assert (await following)[-1].is_terminal
            assert await self._titles(client) == []

    async def test_a_fork_goes_its_own_way(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            first = await ask(client, "one")
            second = await ask(client, "two", first.thread_id)
            copy = await client.fork(first.thread_id, before=second.id, title="Other")
            detail = await client.thread(copy.id)
            assert (copy.title, detail.thread) == ("Other", copy)
            assert [texts(run.output_items) for run in detail.runs] == [["one"]]
            copy = await client.fork(first.thread_id, until=second.id)
            assert len((await client.thread(copy.id)).runs) == 2
            with pytest.raises(RunNotFound):
                await client.fork(first.thread_id, until=new_id())
            run_id, thread_id = await hanging(client)
            with pytest.raises(InvalidRequest):
                await client.fork(thread_id, until=run_id)
            await client.cancel(run_id)

    @pytest.mark.parametrize("nowhere", NOWHERE)
    async def test_a_thread_that_does_not_exist_is_said_to_be_so(
        self, opened: Opened, nowhere: str
    ) -> None:
        async with opened(echo()) as client:
            lookups: list[Awaitable[object]] = [
                client.thread(nowhere),
                client.delete_thread(nowhere),
                client.update_thread(nowhere, ThreadChanges(title="x")),
                client.fork(nowhere),
                anext(client.watch(nowhere)),
            ]
            for lookup in lookups:
                with pytest.raises(ThreadNotFound) as caught:
                    await lookup
                assert repr(nowhere) in caught.value.message
            with pytest.raises(ThreadNotFound):
                await client.submit(SubmitRequest(prompt="x", thread_id=new_id()))

    async def _titles(self, client: Client, **filters: str) -> list[str]:
        page = await client.threads(
            query=filters.get("query"), tag=filters.get("tag"), limit=10, cursor=None
        )
        return [thread.title for thread in page.threads]


class PlaceContract:
    async def test_models_are_listed_with_the_default_marked(self, opened: Opened) -> None:
        async with opened(echo(), anthropic_api_key="sk-none") as client:
            known = await client.models()
            assert [model.name for model in known.models if model.is_default] == [MODEL]
            assert any(model.price is not None for model in known.models)

    async def test_it_tells_how_things_stand_at_once(self, opened: Opened) -> None:
        for threads in (False, True):
            async with (
                opened(echo()) as client,
                aclosing(client.changes(threads=threads)) as changes,
                asyncio.timeout(20),
            ):
                assert await anext(changes) == Changes()

    async def test_it_tells_where_things_are(self, opened: Opened, tmp_path: Path) -> None:
        async with opened(echo()) as client:
            info = await client.info()
        assert (info.home, info.log) == (str(tmp_path / "home"), "memory")
        assert info.workspace == str(tmp_path / "work")

    @pytest.fixture
    def files(self) -> None:
        Path("träger.py").write_text("print('ß')\n", "utf-8")
        Path("blob").write_bytes(b"\0\1")

    @pytest.mark.usefixtures("files")
    async def test_files_are_found_and_read(self, opened: Opened) -> None:
        async with opened(echo()) as client:
            assert "träger.py" in await client.find_files("träg")
            assert len(await client.find_files("", limit=1)) == 1
            assert len(await client.find_files("", limit=1000)) >= 2
            size = len("print('ß')\n".encode())
            attached = Attachment(path="träger.py", content="print('ß')\n", size=size)
            assert await client.read_attachment("träger.py") == attached
            with pytest.raises(NotFound):
                await client.read_attachment("nothing here")
            for refused in ("blob", "../outside"):
                with pytest.raises(InvalidRequest):
                    await client.read_attachment(refused)
