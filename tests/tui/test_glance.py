"""The glance at the settings: it says what the settings say, and a wrong source is told of."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pexpect
import pytest
from cody_core.errors import SettingsError
from cody_core.glance import Glance, config_path, glance
from cody_core.settings import load_settings

from cody_tui.app import look_of

Say: TypeAlias = Callable[[dict[str, str]], None]
FILES = ("config.toml", ".env", ".env.local")
SAID = {
    "nothing": {},
    "how it looks": {
        "config.toml": "[ui]\ntheme = 'cody-light'\nreduced_motion = true\nscreen_reader = true"
    },
    "a home in config.toml": {"config.toml": "home = '~/elsewhere'"},
    "an empty home in config.toml": {"config.toml": "home = ''"},
    "a home in .env": {"config.toml": "home = '/a'", ".env": "CODY_HOME=~/b"},
    "a home in .env.local": {".env.local": "export CODY_HOME='/c d' # x"},
    "a home in the environment": {"config.toml": "home = '/a'", "CODY_HOME": "/d"},
    "empty looks in .env": {".env": "CODY_UI=", ".env.local": "CODY_UI"},
    "a small name in the environment": {"config.toml": "home = '/a'", "cody_home": "~/d"},
    "an empty home in the environment": {".env": "CODY_HOME=/b", "CODY_HOME": ""},
}
UNUSUAL = {
    "the looks in the environment": {"CODY_UI": '{"theme": "cody-light"}'},
    "the looks in .env": {".env": 'CODY_UI={"screen_reader": true}'},
    "the looks under a small name": {".env.local": 'export cody_ui={"screen_reader": true} # x'},
    "looks put together": {".env": 'IS=true\nCODY_UI={"screen_reader": ${IS}}'},
    "a flag in words": {"config.toml": "[ui]\nreduced_motion = 'yes'"},
}
WRONG = {
    "nobody's home": {"config.toml": "home = '~nosuchuser'"},
    "no TOML": {"config.toml": "[ui"},
    "no text": {"config.toml": "\udcff"},
    "no table": {"config.toml": "ui = 3"},
    "no theme": {"config.toml": "[ui]\ntheme = 3"},
    "no home": {"config.toml": "home = 3"},
}


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CODY_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    config_path().parent.mkdir(parents=True)

    def write(said: dict[str, str]) -> None:
        for name, text in said.items():
            if name in FILES:
                path = config_path() if name == "config.toml" else Path(name)
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
            else:
                monkeypatch.setenv(name, text)

    return write


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_glance_finds_what_the_settings_say(say: Say, said: dict[str, str]) -> None:
    say(said)
    found = glance()
    assert found is not None
    assert found == look_of(load_settings())


@pytest.mark.parametrize("said", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_out_of_the_ordinary_is_left_to_the_settings(
    say: Say, said: dict[str, str]
) -> None:
    say(said)
    assert glance() is None
    assert look_of(load_settings()) != Glance(load_settings().home)


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_left_to_the_settings(say: Say, said: dict[str, str]) -> None:
    say(said)
    assert glance() is None
    with pytest.raises(SettingsError):
        load_settings()


def test_an_error_found_after_the_first_frame_is_one_line_once_the_terminal_is_back(
    tmp_path: Path,
) -> None:
    script = str(Path(sys.executable).with_name("cody"))
    env = {**os.environ, "CODY_HOME": str(tmp_path), "CODY_PORT": "no port", "TERM": "xterm"}
    child = pexpect.spawn(script, [], env=env, timeout=30, encoding="utf-8")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert child.before is not None
    screen, _, after = child.before.rpartition("\x1b[?1049l")
    assert screen
    assert after.count("cody: setting") == 1
    assert "PORT" in after
    assert "Traceback" not in after
