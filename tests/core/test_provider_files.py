"""Providers in files of the user's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cody_core.errors import SettingsError
from cody_core.glance import config_path
from cody_core.provider_files import provider_files
from cody_core.providers.catalog import known_models
from cody_core.providers.offered import offered_models
from cody_core.providers.pool import ProviderPool
from cody_core.runtime import open_runtime
from cody_core.schema.requests import SubmitRequest
from cody_core.settings import load_settings
from support.core import texts
from support.inside import here
from tui.test_cli import cody

README = Path(__file__).parents[2] / "core" / "README.md"
EXAMPLE = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
SPEAKS = """
from __future__ import annotations
import dataclasses
from collections.abc import Sequence
from cody_core.errors import ProviderBadRequest
from cody_core.ids import new_id
from cody_core.schema.events import ItemDelta, ItemDone, ItemStart, ResponseDone
from cody_core.schema.items import Message

@dataclasses.dataclass
class Acme:
    key: str
    name: str

    async def stream(self, request):
        if request.model == "none":
            raise ProviderBadRequest(f"{self.name} has no such model")
        if request.model == "bug":
            raise ZeroDivisionError
        item_id, text = new_id(), f"{request.model} by {self.name} with {len(self.key)}"
        yield ItemStart(item_id=item_id, item_type="message")
        yield ItemDelta(item_id=item_id, delta_content=text)
        yield ItemDone(item_id=item_id, final_item=Message(id=item_id, content=text))
        yield ResponseDone(
            response_id=request.response_id, status="complete", finish_reason="stop"
        )

    async def models(self) -> Sequence[str]:
        if not self.key:
            raise ZeroDivisionError
        return ["one", "two"]

    async def aclose(self):
        pass

def create(settings, *, name):
    return Acme(settings.api_key.get_secret_value() if settings.api_key else "", name)
"""


def provide(name: str, text: str) -> Path:
    """Write a provider."""
    path = config_path().parent / "providers" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_one_file_that_the_readme_shows_is_a_provider() -> None:
    assert EXAMPLE is not None
    provide("backwards", EXAMPLE[1])
    done = cody("chat", "-q", "-m", "backwards/any", "stressed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "desserts\n", "")


def test_it_is_given_what_the_settings_say_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    provide("acme", SPEAKS)
    config_path().write_text('[providers.acme]\napi_key_env = "ACME"\nmodels = ["one"]\n')
    monkeypatch.setenv("ACME", "12345")
    done = here("chat", "-q", "-m", "one", "hello")
    assert (done.stdout, done.stderr) == ("one by acme with 5\n", "")
    again = here("chat", "-q", "--model", "acme/other", "hello")
    assert again.stdout == "other by acme with 5\n"


async def test_its_models_are_offered_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    provide("acme", SPEAKS)
    assert "acme" in load_settings().provider_names
    assert [m.name for m in known_models(load_settings()) if m.provider_id == "acme"] == []
    config_path().write_text('[providers.acme]\napi_key = "k"\n[providers.other]\nkind = "file"\n')
    provide("other", SPEAKS)
    settings = load_settings()
    pool = ProviderPool(settings)
    found = await offered_models(settings, pool)
    await pool.aclose()
    named = [model.name for model in found.models]
    assert [name for name in named if name.startswith("acme")] == ["acme/one", "acme/two"]
    assert "other" in found.unreachable
    assert "acme" not in found.unreachable


@pytest.mark.parametrize("model", ["none", "bug"])
def test_what_goes_wrong_in_it_ends_the_run_and_not_the_program(model: str) -> None:
    provide("acme", SPEAKS)
    done = here("chat", "-q", "-m", f"acme/{model}", "hello")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert ("no such model" if model == "none" else "ZeroDivisionError") in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nonsense_that_is_not_there\n", "ModuleNotFoundError"),
        ("def create(:\n", "SyntaxError"),
        ("x = 1\n", "no function 'create"),
        ("def create(settings, *, name):\n    raise KeyError('x')\n", "KeyError: 'x'"),
        ("def create(settings):\n    pass\n", "TypeError"),
    ],
)
async def test_a_file_that_does_not_work_is_named(text: str, said: str) -> None:
    path = provide("acme", text)
    pool = ProviderPool(load_settings())
    for _ in range(2):
        with pytest.raises(SettingsError, match=re.escape(said)) as caught:
            await pool.get("acme")
        assert str(path) in caught.value.message
    provide("acme", SPEAKS)
    await pool.get("acme")
    await pool.aclose()


async def test_only_files_of_that_directory_are_run(tmp_path: Path) -> None:
    provide("acme", SPEAKS)
    provide("_shared", "")
    provide("two.words", "")
    assert list(provider_files()) == ["acme"]
    (tmp_path / "evil.py").write_text("raise SystemExit")
    for name in ("evil", "../evil", "../../evil", str(tmp_path / "evil")):
        pool = ProviderPool(load_settings(providers={name: {"kind": "file"}}))
        with pytest.raises(SettingsError, match="there is no"):
            await pool.get(name)


async def test_a_file_may_take_the_place_of_a_provider_that_is_built_in_or_be_left_out() -> None:
    provide("ollama", SPEAKS)
    settings = load_settings()
    provider = settings.provider("ollama")
    assert provider is not None
    assert (provider.kind, provider.base_url) == ("file", "http://127.0.0.1:11434/v1")
    async with open_runtime(load_settings(model="ollama/x")) as core:
        submitted = await core.submit(SubmitRequest(prompt="hi"))
        async for _ in core.follow(submitted.run_id):
            pass
        assert texts((await core.run(submitted.run_id)).output_items) == ["x by ollama with 0"]
    config_path().write_text('[providers.ollama]\nkind = "openai_chat"\n')
    provider = load_settings().provider("ollama")
    assert provider is not None
    assert provider.kind == "openai_chat"
