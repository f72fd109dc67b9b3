"""Which Convex deployment is meant, and that the key is its own.

``CONVEX_URL`` may come from a file of the directory the program is started in: any project that
uses Convex has one. So a key that says which deployment it is of is not sent to another.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from cody_core.errors import SettingsError
from cody_core.settings import Settings

CLOUD: Final = ".convex.cloud"
_KEY: Final = re.compile(r"(?:prod|dev|preview):([\w-]+)\|")


def deployment(settings: Settings) -> tuple[str, str]:
    """Return the address and the key of the deployment that is set.

    Raises:
        SettingsError: one of them is missing, or the key is of another deployment.
    """
    url = settings.convex_url
    if not url:
        msg = "no Convex deployment is set: set CONVEX_URL and CONVEX_DEPLOY_KEY"
        raise SettingsError(msg)
    if settings.convex_deploy_key is None:
        msg = (
            f"CONVEX_URL is set to {url!r} without a key: set CONVEX_DEPLOY_KEY to a deploy key of"
            " that deployment, or, if it is not for cody, CODY_STORE=sqlite"
        )
        raise SettingsError(msg)
    key = settings.convex_deploy_key.get_secret_value()
    if (found := _KEY.match(key)) and found[1] != cloud_name(url):
        msg = (
            f"CONVEX_DEPLOY_KEY is of the deployment {found[1]!r}, CONVEX_URL is {url!r}: set it to"
            f" 'https://{found[1]}{CLOUD}', or take a key of the other deployment"
        )
        raise SettingsError(msg)
    return url, key


def cloud_name(url: str) -> str | None:
    """Return the name of a deployment of Convex Cloud, or ``None`` if it is self-hosted."""
    host = urlsplit(url).hostname or ""
    return host.removesuffix(CLOUD) if host.endswith(CLOUD) else None
