"""All checks that need no screen, at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

from cody_core.checkup import Finding
from cody_core.checkup.chosen import agents, env_files, keys, model
from cody_core.checkup.home import database, home, outbox
from cody_core.checkup.programs import ripgrep, sandbox
from cody_core.checkup.providers import local_models, provider, providers_meant
from cody_core.checkup.servers import convex, redis, server
from cody_core.errors import CodyError
from cody_core.settings import Settings
from cody_core.sources import Origin, SettingPath
from cody_core.tasks import task_group

Check: TypeAlias = Callable[[], Awaitable[Sequence[Finding]]]

SECONDS: Final = 30.0
"""How long a check may take. An SDK is imported in seconds; a large database takes some to read."""


async def checkup(
    settings: Settings,
    origins: Mapping[SettingPath, Origin],
    tell: Callable[[Finding], None],
    *,
    seconds: float = SECONDS,
) -> None:
    """Check everything, and tell what is found: in the same order always, as soon as it is known.

    Args:
        settings: What is set up.
        origins: Where that comes from; see ``traced_settings``.
        tell: Is given each finding.
        seconds: How long a check may take; one that takes longer is a problem.
    """
    async with task_group() as tasks:
        checks = _checks(settings, origins)
        found = [tasks.create_task(_made(name, check, seconds)) for name, check in checks]
        for task in found:
            for finding in await task:
                tell(finding)


def _checks(
    settings: Settings, origins: Mapping[SettingPath, Origin]
) -> Sequence[tuple[str, Check]]:
    """Return the checks, each with the name of what fails if all of it does."""
    meant = providers_meant(settings)
    return (
        ("settings", env_files),
        ("keys", partial(keys, settings, origins)),
        ("model", partial(model, settings)),
        ("agents", partial(agents, settings)),
        *((f"provider {name}", partial(provider, settings, name)) for name in meant),
        ("local models", partial(local_models, settings)),
        ("server", partial(server, settings)),
        ("redis", partial(redis, settings)),
        ("convex", partial(convex, settings)),
        ("data directory", partial(home, settings)),
        ("database", partial(database, settings)),
        ("outbox", partial(outbox, settings)),
        ("sandbox", partial(sandbox, settings)),
        ("ripgrep", ripgrep),
    )


async def _made(subject: str, check: Check, seconds: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        text = f"it took longer than {seconds:.0f} s to look at it"
        return [Finding(subject, "problem", text, "try again, or see 'cody logs'")]
    except CodyError as error:  # whose message says what to do
        return [Finding(subject, "problem", error.message)]
    except OSError as error:
        return [Finding(subject, "problem", f"{error.strerror or error}: {error.filename}")]
