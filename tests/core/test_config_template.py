from __future__ import annotations

import re
import tomllib

from cody_core.config_template import template
from cody_core.glance import config_path
from cody_core.settings import AgentSettings, ProviderSettings, Settings, load_settings
from pydantic import BaseModel


def test_all_of_it_is_commented_out() -> None:
    assert [line for line in template().splitlines() if line and not line.startswith("#")] == []
    assert max(map(len, template().splitlines())) <= 100


def test_taken_in_it_is_valid_and_says_every_setting() -> None:
    text = re.sub(r"^# ", "", template(), flags=re.MULTILINE)
    said = tomllib.loads(text)
    assert set(said) == set(Settings.model_fields)
    assert set(said["providers"]["work"]) == set(ProviderSettings.model_fields)
    assert set(said["agents"]["reviewer"]) == set(AgentSettings.model_fields)
    config_path().parent.mkdir(parents=True)
    config_path().write_text(text, encoding="utf-8")
    assert load_settings().agents["reviewer"].max_iterations == 20


def test_what_it_shows_of_a_setting_with_a_default_is_that() -> None:
    text = re.sub(r"^# ", "", template(), flags=re.MULTILINE)
    said = tomllib.loads(text)
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, int | float | bool) or name in ("host", "store", "policy"):
            assert said[name] == default
        if isinstance(default, BaseModel):
            shown = {key: value for key, value in default.model_dump().items() if value != ()}
            assert said[name] | shown == said[name]


def test_every_setting_is_explained_and_named_by_its_variables() -> None:
    blocks = template().split("\n\n")
    port = next(block for block in blocks if "\n# port = " in block)
    assert port.startswith("## The port `cody serve` listens on. (PORT, CODY_PORT)")
    assert not re.search(r"^(?!## ).*\n# \w+ = ", template(), re.MULTILINE)
