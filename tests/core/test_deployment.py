from __future__ import annotations

from pathlib import Path

import pytest
from cody_core.deployment import cloud_name, deployment
from cody_core.errors import SettingsError
from cody_core.resources import open_store
from cody_core.settings import load_settings
from cody_core.stores.convex import ConvexStore
from cody_core.stores.sqlite import SqliteStore

OTTER = "https://happy-otter-123.convex.cloud"
CAT = "https://calm-cat-9.convex.cloud"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (OTTER, "prod:happy-otter-123|secret"),
        (OTTER, "dev:happy-otter-123|secret"),
        (OTTER, "project:team:project|secret"),
        ("https://convex.example.org", "convex-self-hosted|secret"),
    ],
)
def test_a_key_goes_to_its_own_deployment(url: str, key: str) -> None:
    assert deployment(load_settings(convex_url=url, convex_deploy_key=key)) == (url, key)


@pytest.mark.parametrize("url", [CAT, "https://convex.example.org", "http://127.0.0.1:3210"])
def test_a_key_of_the_cloud_goes_to_no_other_deployment_and_is_not_shown(url: str) -> None:
    settings = load_settings(convex_url=url, convex_deploy_key="prod:happy-otter-123|secret")
    with pytest.raises(SettingsError, match=OTTER) as caught:
        deployment(settings)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "named"),
    [({}, "CONVEX_URL"), ({"convex_url": OTTER}, "CODY_STORE=sqlite")],
)
def test_what_is_missing_is_named(flags: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        deployment(load_settings(**flags))


def test_only_deployments_of_the_cloud_have_a_name() -> None:
    assert cloud_name(OTTER) == "happy-otter-123"
    assert cloud_name("https://convex.cloud.example.org") is None


@pytest.mark.parametrize(
    ("store", "kind"), [("auto", ConvexStore), ("convex", ConvexStore), ("sqlite", SqliteStore)]
)
async def test_the_address_of_a_project_can_be_left_alone(
    store: str, kind: type, tmp_path: Path
) -> None:
    flags = {"convex_url": OTTER, "convex_deploy_key": "k", "store": store}
    async with open_store(load_settings(**flags, home=tmp_path)) as opened:
        assert isinstance(opened, kind)
