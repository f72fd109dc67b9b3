"""What is built and shipped: all that is needed, nothing else, and that it runs where it lands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from cody_core.convex_functions import FILES
from support.readme import ROOT

METADATA = {"METADATA", "WHEEL", "entry_points.txt", "RECORD", "licenses/LICENSE"}
SHIPPED = {".py", ".ts", ".js", ".json", ".tcss", "py.typed", ".npmrc"}
"""Kinds of files that the packages are made of, by suffix or by name."""


@dataclass(frozen=True)
class Built:
    """A wheel and an archive of the sources."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both, as a release would have them."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel in it.

    Its dependencies are those of this environment, which is read as a folder: what is installed
    into it as a link to the sources is not seen.
    """
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, symlinks=True)
    (packages,) = place.glob("lib/*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    uv = shutil.which("uv")
    assert uv is not None, "uv is what the tests are started with"
    python = str(place / "bin" / "python")
    command = [uv, "pip", "install", "-q", "--no-deps", "--offline", "--python", python]
    subprocess.run([*command, str(built.wheel)], check=True)
    return place / "bin"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's project, which has a package ``core`` and modules with names like ours."""
    project = tmp_path / "project"
    (project / "core").mkdir(parents=True)
    for name in ("core/__init__.py", "cody_core.py", "cody_tui.py"):
        (project / name).write_text("raise RuntimeError('this is not what was meant')\n")
    monkeypatch.chdir(project)
    monkeypatch.setenv("CODY_DEMO_DELAY", "0")
    return project


def build(source: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)


def files_below(folder: str, prefix: str) -> set[str]:
    """Return the files of the sources below a folder that are to be shipped, by their new names."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {
        f"{prefix}/{path.relative_to(ROOT / folder).as_posix()}"
        for path in found
        if path.suffix in SHIPPED or path.name in SHIPPED
    }


def run(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_wheel(names: Iterable[str]) -> set[str]:
    return {name for name in names if ".dist-info/" not in name}


def test_the_wheel_has_the_packages_and_the_functions_and_nothing_else(built: Built) -> None:
    names = ZipFile(built.wheel).namelist()
    functions = files_below("core/convex/functions", "cody_core/convex/functions")
    expected = files_below("cody_tui", "cody_tui") | files_below("core/cody_core", "cody_core")
    expected |= functions | {f"cody_core/convex/{name}" for name in FILES}
    assert in_wheel(names) == expected
    assert {n.partition(".dist-info/")[2] for n in names if ".dist-info/" in n} == METADATA
    assert {
        "cody_core/py.typed",
        "cody_tui/py.typed",
        "cody_core/providers/models.json",
        "cody_tui/app.tcss",
        "cody_tui/screens/chat.tcss",
        "cody_core/convex/functions/schema.ts",
    } <= expected


def test_the_sources_have_what_the_wheel_is_made_of_and_nothing_else(
    built: Built, tmp_path: Path
) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("cody-*")
    names = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    expected = files_below("cody_tui", "cody_tui")
    expected |= files_below("core/cody_core", "core/cody_core")
    expected |= files_below("core/convex/functions", "core/convex/functions")
    expected |= {f"core/convex/{name}" for name in FILES}
    # The build adds the last two by itself.
    expected |= {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", ".gitignore", "PKG-INFO"}
    assert names == expected
    build(source, tmp_path)
    (again,) = tmp_path.glob("*.whl")
    assert set(ZipFile(again).namelist()) == set(ZipFile(built.wheel).namelist())


def test_what_is_installed_runs_in_a_project_that_has_a_folder_named_core(
    installed: Path, elsewhere: Path
) -> None:
    where = "import cody_core, cody_tui; print(cody_core.__file__, cody_tui.__file__)"
    places = run(installed / "python", "-P", "-c", where).split()
    assert [Path(place).is_relative_to(installed.parent) for place in places] == [True, True]
    assert run(installed / "cody", "--version").startswith("cody ")
    answer = run(installed / "cody", "chat", "--model", "demo/tour", "hi")
    assert answer.startswith("# Hello from the demo")


def test_what_is_installed_has_the_functions_to_deploy(installed: Path, elsewhere: Path) -> None:
    code = "from cody_core.convex_functions import shipped; print(shipped())"
    folder = Path(run(installed / "python", "-P", "-c", code).strip())
    assert folder.is_relative_to(installed.parent)
    assert all((folder / name).is_file() for name in (*FILES, "functions/schema.ts"))


def test_what_is_installed_serves(installed: Path, elsewhere: Path) -> None:
    command = [str(installed / "cody"), "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
            assert json.load(answer)["status"] == "ok"
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert server.returncode == 0
