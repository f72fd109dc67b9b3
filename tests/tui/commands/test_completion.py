"""What a shell offers after Tab."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cody_core.glance import config_path
from support.inside import here
from tui.test_cli import SCRIPT, threads

from cody_tui.themes import NAMES


def offered(words: str, shell: str = "fish", **env: str) -> dict[str, str]:
    """Return what is offered at the end of a line, and what is said of each."""
    asked = {
        "_CODY_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = here(env={**asked, **env})
    assert (done.returncode, done.stderr) == (0, "")
    pairs = (line.partition("\t") for line in done.stdout.splitlines())
    return {value: said for value, _, said in pairs if value}


def test_models_that_can_be_used_are_offered_by_either_name() -> None:
    Path(".env").write_text("CODY_POLICY=full-auto\n")  # which is ignored, and not said here
    assert offered("cody -m demo/t") == {"demo/tour": "the default", "demo/tools": ""}
    with_key = offered("cody chat --model ", OPENAI_API_KEY="sk-x")
    assert with_key["openai/gpt-5.1-codex-mini"] == "the default"
    assert with_key["gpt-5"] == "openai gpt-5"
    assert "claude-haiku-4.5" not in with_key


def test_agents_policies_and_themes_are_offered() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('[agents.reviewer]\nmodel = "gpt-5"\n[agents."a b"]\n')
    assert offered("cody --agent ") == {"default": "the usual one", "reviewer": "gpt-5"}
    assert list(offered("cody --policy ")) == ["ask", "auto-edit", "full-auto", "read-only"]
    assert list(offered("cody --theme ")) == ["auto", *NAMES]


def test_threads_are_offered_with_titles_in_which_no_shell_finds_a_command() -> None:
    here(
        "chat", "-q", "-m", "demo/echo", "Käse \"x\" $(touch gone) `touch gone` 'it' : [b] \x1b[1m"
    )
    (thread,) = threads()
    found = {thread["id"]: "Käse x touch gone touch gone it b 1m"}
    assert offered("cody --thread ") == found
    assert offered(f"cody threads show {str(thread['id'])[:4]}") == found
    assert offered("cody threads export ffff") == {}
    evaluated = offered("cody -t ", shell="zsh")
    assert list(evaluated) == [
        f'_arguments \'*: :(("{thread["id"]}":"{found[str(thread["id"])]}"))\''
    ]
    assert list(offered("cody -t ", shell="bash")) == [thread["id"]]
    assert not Path("gone").exists()


@pytest.mark.parametrize(
    "env",
    [
        {"PORT": "many"},
        {"CODY_SERVER": "http://127.0.0.1:1"},
        {"CODY_STORE": "convex"},
        {"CODY_HOME": "/dev/null/home"},
    ],
)
def test_where_threads_cannot_be_looked_up_none_is_offered(env: dict[str, str]) -> None:
    assert offered("cody -t ", **env) == {}


def test_looking_for_threads_makes_no_data_directory(tmp_path: Path) -> None:
    assert offered("cody -t ") == {}
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_written_and_installed_for_the_shell_that_is_named(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    script = here("--show-completion", shell).stdout
    assert f"complete_{shell}" in script
    said = here("--install-completion", shell).stdout
    installed = Path(said.split(" installed in ")[1].split(";")[0])
    assert installed.is_relative_to(tmp_path)
    assert installed.read_text().strip() == script.strip()


def test_in_bash_the_script_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = here("--show-completion", "bash").stdout
    asking = f"{script}\nCOMP_WORDS=(cody -m demo/to); COMP_CWORD=2\n_cody_completion {SCRIPT}\n"
    done = subprocess.run(
        ["bash", "-c", f"{asking} echo ${{COMPREPLY[@]}}"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("demo/tour demo/tools\n", "")
