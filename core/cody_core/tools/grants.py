"""What was approved for longer than one call: for this session, or for a workspace from now on.

Lasting grants are kept beside the data, by workspace, and not in the workspace itself: whoever
wrote the files there must not be able to approve anything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from cody_core.settings import Settings
from cody_core.tools.policy import Grant
from cody_core.tools.workspace import guarded_places

logger = logging.getLogger(__name__)

_BOOK: TypeAdapter[dict[str, list[Grant]]] = TypeAdapter(dict[str, list[Grant]])


class Grants:
    """The grants of one workspace. The lasting ones are in ``file``, which others may change.

    Attributes:
        guarded: The directories for which a grant is needed even if they are in the workspace.
    """

    def __init__(self, file: Path, workspace: Path, guarded: Sequence[Path] = ()) -> None:
        self.guarded = guarded
        self._file = file
        self._key = str(workspace.resolve())
        self._session: set[Grant] = set()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the grants of the workspace that the settings name."""
        file = settings.home / "approvals.json"
        return cls(file, settings.workspace, guarded_places(settings))

    def allow(self, needed: Grant) -> bool:
        """Tell whether a call that needs this grant may run."""
        return any(grant.covers(needed) for grant in (*self._session, *self.lasting()))

    def add_for_session(self, grant: Grant) -> None:
        """Grant until the program ends."""
        self._session.add(grant)

    def add_for_good(self, grant: Grant) -> None:
        """Grant for this workspace until it is revoked."""
        with self._lock():
            book = self._read()
            grants = book.setdefault(self._key, [])
            if grant not in grants:
                grants.append(grant)
                self._write(book)

    def revoke(self, number: int) -> Grant | None:
        """Take back the lasting grant at that place in ``lasting``, from 1; return it, if any."""
        with self._lock():
            book = self._read()
            grants = book.get(self._key, [])
            if not 1 <= number <= len(grants):
                return None
            revoked = grants.pop(number - 1)
            self._write(book)
            return revoked

    def lasting(self) -> list[Grant]:
        """Return the lasting grants, oldest first."""
        return self._read().get(self._key, [])

    def _read(self) -> dict[str, list[Grant]]:
        try:
            return _BOOK.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValidationError, OSError) as error:
            logger.error("%s cannot be read, nothing is granted: %s", self._file, error)
            return {}

    def _write(self, book: dict[str, list[Grant]]) -> None:
        draft = self._file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_bytes(_BOOK.dump_json(book, indent=2))
        draft.replace(self._file)

    def _lock(self) -> FileLock:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(self._file.with_suffix(".lock"))
