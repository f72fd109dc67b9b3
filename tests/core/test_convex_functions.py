"""What is shipped of the functions, and how it is made ready for ``npx convex deploy``."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from cody_core import convex_functions
from cody_core.convex_functions import FILES, prepare, shipped
from cody_core.errors import SettingsError
from cody_core.settings import Settings, load_settings

CLOUD = "https://happy-otter-123.convex.cloud"
ROOT = Path(__file__).parents[2]


def settings(tmp_path: Path, url: str = CLOUD, key: str = "prod:happy-otter-123|k") -> Settings:
    return load_settings(convex_url=url, convex_deploy_key=key, home=tmp_path / "home")


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_functions_are_copied_below_the_data_directory_and_old_ones_are_gone(
    tmp_path: Path,
) -> None:
    old = tmp_path / "home" / "convex" / "functions" / "old.ts"
    kept = tmp_path / "home" / "convex" / "node_modules" / "convex" / "package.json"
    for path in (old, kept):
        path.parent.mkdir(parents=True)
        path.touch()
    deployment = prepare(settings(tmp_path), {})
    assert deployment.directory == tmp_path / "home" / "convex"
    assert kept.exists()
    functions = files_below(shipped() / "functions")
    assert files_below(deployment.directory / "functions") == functions
    assert {"schema.ts", "runs.ts", "_generated/api.js"} <= functions
    assert {*FILES} < {path.name for path in deployment.directory.iterdir()}


def test_a_deployment_in_the_cloud_is_named_by_its_key_and_no_other_secret_goes_along(
    tmp_path: Path,
) -> None:
    environment = {
        "PATH": "/bin",
        "OPENAI_API_KEY": "sk-secret",
        "CONVEX_DEPLOYMENT": "dev:another",
        "CONVEX_DEPLOY_KEY": "prod:another|k",
    }
    deployment = prepare(settings(tmp_path), environment)
    said = {name: deployment.environment.get(name) for name in ("PATH", *environment)}
    assert said == {
        "PATH": "/bin",
        "OPENAI_API_KEY": None,
        "CONVEX_DEPLOYMENT": None,
        "CONVEX_DEPLOY_KEY": "prod:happy-otter-123|k",
    }


def test_a_deployment_of_ones_own_is_named_by_its_address(tmp_path: Path) -> None:
    url = "https://convex.example.org"
    deployment = prepare(settings(tmp_path, url, "convex-self-hosted|k"), {"A": "b"})
    found = {name: value for name, value in deployment.environment.items() if "CONVEX" in name}
    assert found == {
        "CONVEX_SELF_HOSTED_URL": url,
        "CONVEX_SELF_HOSTED_ADMIN_KEY": "convex-self-hosted|k",
    }


def test_a_key_of_another_deployment_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'calm-cat-9'.*happy-otter-123") as caught:
        prepare(settings(tmp_path, key="prod:calm-cat-9|secret"), {})
    assert "secret" not in str(caught.value)


def test_without_a_deployment_there_is_nothing_to_prepare(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set CONVEX_URL and CONVEX_DEPLOY_KEY"):
        prepare(load_settings(home=tmp_path / "home"), {})


def test_without_node_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=r"install Node\.js"):
        prepare(settings(tmp_path), {}).commands()


def test_functions_that_are_missing_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convex_functions, "_PACKAGE", tmp_path / "cody_core")
    with pytest.raises(SettingsError, match="install cody anew"):
        shipped()


def test_a_wheel_holds_all_that_is_deployed(tmp_path: Path) -> None:
    command = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if name.startswith("cody_core/convex/")}
    expected = {*FILES, *(f"functions/{name}" for name in files_below(shipped() / "functions"))}
    assert names == {f"cody_core/convex/{name}" for name in expected}
