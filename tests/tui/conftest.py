from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest
from cody_core.client import Client
from cody_core.runtime import open_runtime
from cody_core.settings import Settings, load_settings

from cody_tui.app import CodyApp
from cody_tui.messages import Choices

MakeApp: TypeAlias = Callable[..., CodyApp]
MakeSettings: TypeAlias = Callable[..., Settings]


@pytest.fixture
def make_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Settings for the demo provider and a data directory of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def make(model: str = "demo/tour", delay: float = 0.0, **flags: object) -> Settings:
        # The default prompt names the workspace: its tokens would differ from machine to machine.
        fixed = {
            "model": model,
            "demo_delay": delay,
            "home": tmp_path / "home",
            "system": "Be kind.",
        }
        return load_settings(**{**fixed, **flags})

    return make


@pytest.fixture
def make_app(make_settings: MakeSettings) -> MakeApp:
    """Return apps around a runtime of their own; all of them share one data directory."""

    def make(
        model: str = "demo/tour",
        delay: float = 0.0,
        *,
        thread_id: str | None = None,
        notice: str | None = None,
        **flags: object,
    ) -> CodyApp:
        settings = make_settings(model, delay, **flags)

        def open_client() -> AbstractAsyncContextManager[Client]:
            return open_runtime(settings)

        return CodyApp(
            open_client,
            choices=Choices(model=model),
            settings=settings,
            thread_id=thread_id,
            notice=notice,
        )

    return make
