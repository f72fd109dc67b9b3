"""What may run without asking: a policy, what a call would do, and what was granted. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from cody_core.schema.requests import Policy
from cody_core.tools import Intent, ToolKind
from cody_core.tools.commands import beginning, leading_words
from cody_core.tools.workspace import is_above_home, is_inside

Verdict: TypeAlias = Literal["run", "ask", "refuse"]


class Grant(BaseModel):
    """Consent for calls like one that was approved.

    Attributes:
        tool: The tool.
        words: For ``shell``, the command's leading words, or the whole of a command that is more
            than one plain program; ``None`` for other tools.
        outside: The paths outside the workspace that it covers.
    """

    model_config = ConfigDict(frozen=True)

    tool: str
    words: str | None = None
    outside: frozenset[str] = frozenset()

    def covers(self, other: Grant) -> bool:
        """Tell whether a call that needs ``other`` is allowed by this one."""
        same = (self.tool, self.words) == (other.tool, other.words)
        return same and other.outside <= self.outside


def judge(
    policy: Policy,
    kind: ToolKind,
    intent: Intent,
    workspace: Path,
    guarded: Iterable[Path] = (),
) -> Verdict:
    """Decide about a call, grants left aside.

    What lies outside the workspace is asked for under every policy but ``full-auto``. ``guarded``
    are the directories that do wherever they are.
    """
    inside = not _outside(intent, workspace, guarded)
    if policy == "full-auto":
        return "run"
    if policy == "read-only" and kind != "read":
        return "refuse"
    if kind == "read" or (kind == "write" and policy == "auto-edit"):
        return "run" if inside else "ask"
    return "ask"


def needed_grant(
    tool: str,
    kind: ToolKind,
    intent: Intent,
    workspace: Path,
    guarded: Iterable[Path] = (),
) -> Grant:
    """Return the narrowest grant that covers a call."""
    outside = _outside(intent, workspace, guarded)
    command = intent.command or intent.preview or intent.summary
    words = leading_words(command) if kind == "execute" else None
    return Grant(tool=tool, words=words, outside=outside)


def covered(grant: Grant) -> str:
    """Say in words what else may run once such a grant is given for longer than one call."""
    if grant.words is None:
        return f"every call of {grant.tool} {_places(grant)}"
    where = f" {_places(grant)}" if grant.outside else ""
    if (words := beginning(grant.words)) is None:
        return f"this very command{where}"
    return f"every command that begins with {words!r}{where}"


def _places(grant: Grant) -> str:
    if not grant.outside:
        return "in the workspace"
    return f"in the workspace and for {', '.join(sorted(grant.outside))}"


def _outside(intent: Intent, workspace: Path, guarded: Iterable[Path]) -> frozenset[str]:
    """Return the paths that do not lie in the workspace; all, if that is more than a home."""
    if is_above_home(workspace):
        return frozenset(map(str, intent.paths))
    return frozenset(str(p) for p in intent.paths if not is_inside(p, workspace, guarded))
