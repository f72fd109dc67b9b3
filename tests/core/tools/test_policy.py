"""What runs, what asks, what is refused, and what a grant covers."""

from __future__ import annotations

from pathlib import Path

import pytest
from cody_core.schema.requests import Policy
from cody_core.tools import Intent, ToolKind
from cody_core.tools.grants import Grants
from cody_core.tools.policy import Grant, Verdict, covered, judge, needed_grant


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "space").mkdir()
    return tmp_path / "space"


@pytest.mark.parametrize(
    ("policy", "kind", "inside", "outside"),
    [
        ("ask", "read", "run", "ask"),
        ("ask", "write", "ask", "ask"),
        ("ask", "execute", "ask", "ask"),
        ("auto-edit", "read", "run", "ask"),
        ("auto-edit", "write", "run", "ask"),
        ("auto-edit", "execute", "ask", "ask"),
        ("full-auto", "read", "run", "run"),
        ("full-auto", "write", "run", "run"),
        ("full-auto", "execute", "run", "run"),
        ("read-only", "read", "run", "ask"),
        ("read-only", "write", "refuse", "refuse"),
        ("read-only", "execute", "refuse", "refuse"),
    ],
)
def test_the_table_of_policies(
    policy: Policy, kind: ToolKind, inside: Verdict, outside: Verdict, workspace: Path
) -> None:
    near = Intent("x", paths=(workspace / "a", workspace))
    far = Intent("x", paths=(workspace / "a", workspace.parent / "b"))
    assert judge(policy, kind, near, workspace) == inside
    assert judge(policy, kind, far, workspace) == outside


def test_a_directory_that_only_begins_like_the_workspace_is_outside(workspace: Path) -> None:
    beside = Intent("x", paths=(workspace.with_name("space-2") / "a",))
    assert judge("ask", "read", beside, workspace) == "ask"


def test_a_grant_covers_what_needs_no_more(workspace: Path) -> None:
    def needs(command: str, *paths: Path) -> Grant:
        intent = Intent(
            command[:10], preview=f"in {workspace}:\n{command}", command=command, paths=paths
        )
        return needed_grant("shell", "execute", intent, workspace)

    given = needs("git status", workspace)
    assert given.covers(needs("git status --short", workspace / "sub"))
    assert not given.covers(needs("git push", workspace))
    assert not given.covers(needs("git status", workspace.parent))
    edit = needed_grant("str_replace", "write", Intent("a", paths=(workspace / "a",)), workspace)
    assert edit.covers(
        needed_grant("str_replace", "write", Intent("b", paths=(workspace / "b",)), workspace)
    )
    assert not edit.covers(given)


@pytest.mark.parametrize(
    ("command", "outside", "words"),
    [
        ("git status -s", False, "every command that begins with 'git status'"),
        ("git -C sub status", False, "this very command"),
        ("make", True, "this very command in the workspace and for {}"),
        (None, False, "every call of edit in the workspace"),
        (None, True, "every call of edit in the workspace and for {}"),
    ],
)
def test_what_a_grant_covers_is_said_in_words(
    command: str | None, outside: bool, words: str, workspace: Path
) -> None:
    path = workspace.parent if outside else workspace
    kind: ToolKind = "write" if command is None else "execute"
    intent = Intent("x", command=command, paths=(path,))
    said = covered(needed_grant("edit", kind, intent, workspace))
    assert said == words.format(path)


def test_grants_for_the_session_end_with_it_and_lasting_ones_do_not(
    tmp_path: Path, workspace: Path
) -> None:
    file, other = tmp_path / "home" / "approvals.json", tmp_path / "other"
    one, two = Grant(tool="shell", words="git status"), Grant(tool="str_replace")
    grants = Grants(file, workspace)
    grants.add_for_session(one)
    grants.add_for_good(two)
    grants.add_for_good(two)
    assert grants.allow(one)
    assert grants.allow(two)
    later = Grants(file, workspace)
    assert not later.allow(one)
    assert later.lasting() == [two]
    assert not Grants(file, other).allow(two)
    assert later.revoke(2) is None
    assert later.revoke(1) == two
    assert not grants.allow(two)


def test_a_damaged_file_grants_nothing(tmp_path: Path, workspace: Path) -> None:
    file = tmp_path / "approvals.json"
    file.write_text('{"broken')
    assert not Grants(file, workspace).allow(Grant(tool="shell"))
