"""What lies inside the workspace, and what never does: Cody's own files, a home's hidden ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cody_core.errors import InvalidRequest
from cody_core.providers.pool import ProviderPool
from cody_core.providers.scripted import Call, Say, ScriptedProvider
from cody_core.runtime import open_runtime
from cody_core.schema.events import ApprovalRequested
from cody_core.schema.items import FunctionCallOutput
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import Settings, load_settings
from cody_core.tools import Intent
from cody_core.tools.policy import judge, needed_grant
from cody_core.tools.workspace import guarded_places, is_guarded, is_inside
from support.core import MODEL

SECRET = "the only secret"
ADDING = "*** Begin Patch\n*** Add File: {}\n+x\n*** End Patch\n"
MOVING = "*** Begin Patch\n*** Update File: notes/a.txt\n*** Move to: {}\n*** End Patch\n"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home directory of somebody who keeps Cody's data and settings below it, unhidden."""
    home = tmp_path / "user"
    for name in ("data/keys.txt", "config/cody/providers/mine.txt", ".ssh/key", "notes/a.txt"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"{SECRET} in {name}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CODY_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    return home


def settings_of(workspace: Path) -> Settings:
    listed = {"scripted": {"kind": "demo", "models": ("model",)}}
    return load_settings(workspace=workspace, policy="auto-edit", model=MODEL, providers=listed)


async def done(workspace: Path, name: str, **arguments: object) -> tuple[bool, str]:
    """Have a call made with the tools that come with the program, and allow nothing.

    Returns:
        Whether anything was asked, and what the model was told.
    """
    provider = ScriptedProvider([[Call(name, arguments)], [Say("end")]])
    settings = settings_of(workspace)
    asked = False
    async with open_runtime(
        settings, providers=ProviderPool(settings, {"scripted": provider})
    ) as client:
        run_id = (await client.submit(SubmitRequest(prompt="go"))).run_id
        async for batch in client.follow(run_id):
            for entry in batch:
                if isinstance(entry.payload, ApprovalRequested):
                    asked = True
                    await client.resolve_approval(run_id, entry.payload.approval_id, "deny")
        response = await client.run(run_id)
    (told,) = [i.output for i in response.output_items if isinstance(i, FunctionCallOutput)]
    return asked, told


@pytest.mark.parametrize(
    "path",
    ["data/keys.txt", "config/cody/providers/mine.txt", "notes/../data/keys.txt", ".ssh/key"],
)
async def test_what_is_private_in_a_workspace_is_not_read_without_asking(
    user: Path, path: str
) -> None:
    asked, told = await done(user, "read_file", path=path)
    assert asked
    assert SECRET not in told
    assert await done(user, "read_file", path="notes/a.txt") == (
        False,
        f"     1\t{SECRET} in notes/a.txt\n",
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("write_file", {"path": "data/approvals.json", "content": "{}"}),
        ("write_file", {"path": "config/cody/providers/new.py", "content": "x"}),
        ("str_replace", {"path": "data/keys.txt", "old_str": SECRET, "new_str": "x"}),
        ("apply_patch", {"patch": ADDING.format("config/cody/config.toml")}),
        ("apply_patch", {"patch": MOVING.format("config/cody/providers/new.py")}),
        ("write_file", {"path": ".bashrc", "content": "x"}),
    ],
)
async def test_what_is_private_in_a_workspace_is_not_edited_without_asking(
    user: Path, name: str, arguments: dict[str, object]
) -> None:
    before = {path: path.read_bytes() for path in (user / "config").rglob("*") if path.is_file()}
    asked, told = await done(user, name, **arguments)
    assert (asked, "did not allow" in told) == (True, True), told
    after = {path: path.read_bytes() for path in (user / "config").rglob("*") if path.is_file()}
    assert after == before
    assert (user / "data/keys.txt").read_text().startswith(SECRET)
    assert not (user / "data/approvals.json").exists()


@pytest.mark.parametrize("program", [None, *filter(None, [shutil.which("rg")])])
async def test_a_search_finds_nothing_that_is_private(
    user: Path, program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if program is None:
        monkeypatch.setenv("PATH", str(user))
    assert await done(user, "grep_files", pattern=SECRET) == (
        False,
        f"notes/a.txt:1: {SECRET} in notes/a.txt\n",
    )


async def test_lists_name_private_directories_and_not_what_is_in_them(user: Path) -> None:
    asked, told = await done(user, "list_dir", depth=4)
    assert not asked
    assert told.startswith("./\n  .ssh/\n  config/\n    cody/\n  data/\n  notes/\n    a.txt")
    asked, told = await done(user, "file_search", query="txt")
    assert (asked, told) == (False, "notes/a.txt\n")


async def test_what_is_private_is_neither_offered_nor_attached(user: Path) -> None:
    async with open_runtime(settings_of(user)) as client:
        assert await client.find_files("") == ["notes/a.txt"]
        assert (await client.read_attachment("notes/a.txt")).content.startswith(SECRET)
        for path in ("data/keys.txt", "config/cody/providers/mine.txt", ".ssh/key"):
            with pytest.raises(InvalidRequest, match="is private"):
                await client.read_attachment(path)


def test_a_guarded_directory_is_known_under_every_name_it_has(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "alias").symlink_to("data")
    for name in ("data", "alias"):
        assert is_guarded(tmp_path / name / "keys.json", [tmp_path / "data"])
    assert is_guarded(tmp_path / "none" / "x", [tmp_path / "none"])
    assert not is_guarded(tmp_path / "data-2", [tmp_path / "data"])
    assert not is_guarded(tmp_path, [tmp_path / "data"])


def test_hidden_files_are_inside_where_the_workspace_is_a_part_of_the_home(user: Path) -> None:
    guarded = guarded_places(settings_of(user))
    assert is_inside(user / ".dotfiles" / ".vimrc", user / ".dotfiles", guarded)
    assert is_inside(user / "notes" / ".env", user / "notes", guarded)
    assert is_inside(user / "notes" / ".env", user, guarded)
    assert not is_inside(user / ".env", user, guarded)


def test_in_a_workspace_above_the_home_everything_is_asked_for(user: Path) -> None:
    read = Intent("x", paths=(user / "notes" / "a.txt",))
    assert judge("auto-edit", "read", read, user) == "run"
    assert judge("auto-edit", "read", read, user.parent) == "ask"
    assert judge("full-auto", "read", read, user.parent) == "run"
    grant = needed_grant("read_file", "read", read, user.parent)
    assert grant.outside == {str(user / "notes" / "a.txt")}
