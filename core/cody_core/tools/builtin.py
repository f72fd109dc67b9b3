"""The tools that come with the program."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cody_core.tools import Tool
from cody_core.tools.apply_patch import ApplyPatch
from cody_core.tools.environment import child_environment
from cody_core.tools.file_search import FileSearch
from cody_core.tools.grep_files import GrepFiles
from cody_core.tools.list_dir import ListDir
from cody_core.tools.read_file import ReadFile
from cody_core.tools.shell import Shell
from cody_core.tools.str_replace import StrReplace
from cody_core.tools.update_plan import UpdatePlan
from cody_core.tools.write_file import WriteFile


def builtin_tools(
    environment: Mapping[str, str], *, secrets: Iterable[str], guarded: Sequence[Path] = ()
) -> Sequence[Tool]:
    """Return them all, in the order models are told of them.

    Children get ``environment`` without what looks like a secret or contains one of ``secrets``.
    A look at all of a directory leaves the ``guarded`` ones out.
    """
    return (
        Shell(child_environment(environment, secrets=secrets)),
        ReadFile(),
        ListDir(guarded),
        GrepFiles(shutil.which("rg", path=environment.get("PATH")), guarded=guarded),
        FileSearch(guarded),
        ApplyPatch(),
        StrReplace(),
        WriteFile(),
        UpdatePlan(),
    )
