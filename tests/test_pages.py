"""The pages about the design and about what is measured, and what they are about, agree."""

from __future__ import annotations

import re
import tomllib

import pytest
from benchmarks.run import SUBJECTS
from support.readme import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
USERS = {"NAME.py", "config.toml"}
"""Files of whoever uses the program."""


@pytest.mark.parametrize(
    ("page", "package", "name"),
    [
        ("core/README.md", "cody_core", "The core points one way"),
        ("cody_tui/README.md", "cody_tui", "The screen points one way"),
    ],
)
def test_a_page_shows_the_layers_that_are_checked(page: str, package: str, name: str) -> None:
    (layers,) = [each["layers"] for each in CONTRACTS["contracts"] if each["name"] == name]
    section = (ROOT / page).read_text().partition("## Layers\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^ {4}(.+)$", section, re.MULTILINE)
    assert shown == [layer.replace(f"{package}.", "") for layer in layers]


@pytest.mark.parametrize("page", ["core/README.md", "cody_tui/README.md"])
def test_a_page_names_files_and_folders_that_are_there(page: str) -> None:
    named = set(
        re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?|\w+\.(?:py|toml))`", (ROOT / page).read_text())
    )
    assert len(named) > 10
    there = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*")]
    for folder in ("core", "cody_tui", "tests"):
        there += [path.as_posix() for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"]
    lost = [
        name
        for name in named - USERS
        if not any(f"/{path}".endswith(f"/{name.rstrip('/')}") for path in there)
    ]
    assert lost == []


def test_every_benchmark_is_in_the_table() -> None:
    table = (ROOT / "tests/benchmarks/README.md").read_text()
    rows = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)
    assert set(rows) - {"subject"} == set(SUBJECTS)
