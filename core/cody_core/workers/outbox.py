"""The outbox: states of runs that could not be stored before the process had to stop.

One JSON file a run, written whole and then renamed, so that a crash leaves the old one or the new
one. The next start stores them and removes them; the store's own guard makes that safe to repeat.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Set
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cody_core.errors import StoreError, StoreUnavailable
from cody_core.ids import new_id
from cody_core.schema.events import offset_key
from cody_core.schema.items import Message
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, title_of
from cody_core.stores import RunWrite, Store

logger = logging.getLogger(__name__)


class _Letter(BaseModel):
    model_config = ConfigDict(frozen=True)

    response: Response
    version: str
    owner: str | None


class Outbox:
    """Keeps writes below a directory, which is created when it is first needed.

    Attributes:
        waits: Whether the store was away when it was last to take what is kept.
    """

    def __init__(self, directory: Path) -> None:
        self.waits = False
        self._directory = directory

    def put(self, write: RunWrite) -> None:
        """Keep a write, in place of an older one of the same run."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        letter = _Letter(response=write.response, version=write.version, owner=write.owner)
        path = self._path(write.response.id)
        draft = path.with_suffix(f".{new_id()}.draft")
        draft.touch(mode=0o600)
        with draft.open("wb") as file:
            file.write(letter.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        logger.warning("run %s is kept in %s until the store takes it", write.response.id, path)

    @property
    def kept(self) -> Set[str]:
        """The runs of which there is something."""
        return {path.stem for path in self._directory.glob("*.json")}

    def drop(self, run_id: str) -> None:
        """Keep nothing of a run any more."""
        self._path(run_id).unlink(missing_ok=True)

    async def flush(self, store: Store) -> int:
        """Store what is kept and return how many runs that were; stops early if the store is away.

        A file that holds no run is renamed to ``*.unreadable``, and stays. So does one that cannot
        be opened, or whose run is damaged in the store, under its name.
        """
        stored = 0
        self.waits = False
        for path in sorted(self._directory.glob("*.json")):
            try:
                letter = _Letter.model_validate_json(path.read_text(encoding="utf-8"))
                offset_key(letter.version)
            except FileNotFoundError:
                continue  # another process that started at the same time has stored it
            except ValueError:
                logger.error("%s cannot be read and was set aside", path)
                with contextlib.suppress(FileNotFoundError):  # or another process has done it
                    path.replace(path.with_suffix(".unreadable"))
                continue
            except OSError as error:
                logger.warning("%s cannot be read and stays: %s", path, error.strerror)
                continue
            try:
                await store.create_thread(_thread_of(letter.response))
                await store.save_run(RunWrite(letter.response, letter.version, owner=letter.owner))
            except StoreUnavailable as error:
                logger.warning("the outbox stays as it is: %s", error)
                self.waits = True
                break
            except StoreError as error:
                logger.error("%s stays, others are stored: %s", path, error)
                continue
            path.unlink(missing_ok=True)
            stored += 1
        return stored

    def _path(self, run_id: str) -> Path:
        return self._directory / f"{run_id}.json"


def _thread_of(response: Response) -> Thread:
    """Return the thread a run belongs to, in case its creation was not stored either."""
    prompts = (item.content for item in response.input_items if isinstance(item, Message))
    return Thread(
        id=response.thread_id,
        title=title_of(next(prompts, "")),
        model_id=response.model_id,
        provider_id=response.provider_id,
        created_at=response.created_at,
        updated_at=response.updated_at,
    )
