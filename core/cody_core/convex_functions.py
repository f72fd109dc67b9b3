"""The functions that run inside Convex: where they are shipped, and how they get to a deployment.

``npx convex deploy`` does that, from a copy below the data directory: it installs its tools beside
the functions, and what was installed with this program is not for it to change.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cody_core.deployment import cloud_name, deployment
from cody_core.errors import SettingsError
from cody_core.settings import Settings
from cody_core.tools.environment import child_environment

FILES: Final = ("package.json", "package-lock.json", "convex.json", "tsconfig.json", ".npmrc")
FUNCTIONS: Final = "functions"
_PACKAGE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment to bring the functions to, and the directory that it is done from."""

    url: str
    directory: Path
    environment: Mapping[str, str]

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the commands that bring them there, to be run one after the other.

        Raises:
            SettingsError: Node.js is not installed, or incomplete.
        """
        npm, npx = (shutil.which(name) for name in ("npm", "npx"))
        if npm is None or npx is None:
            msg = "npm and npx are needed to deploy: install Node.js, 18 or newer"
            raise SettingsError(msg)
        deploy = ("convex", "deploy", "--yes", "--typecheck", "disable", "--codegen", "disable")
        return ((npm, "ci", "--omit=dev"), (npx, "--no-install", *deploy))

    def run(self, command: Sequence[str]) -> int:
        """Run a command there, on this terminal, and return its exit code."""
        done = subprocess.run(command, cwd=self.directory, env={**self.environment}, check=False)
        return done.returncode


def shipped() -> Path:
    """Return the folder that holds the functions: beside this package, or in a clone below it.

    Raises:
        SettingsError: they are in neither place.
    """
    places = (_PACKAGE / "convex", _PACKAGE.parent / "convex")
    for place in places:
        if (place / FUNCTIONS / "schema.ts").is_file():
            return place
    msg = f"the functions for Convex are missing from {str(_PACKAGE)!r}: install cody anew"
    raise SettingsError(msg)


def prepare(settings: Settings, environment: Mapping[str, str]) -> Deployment:
    """Copy the functions to where they are deployed from.

    Args:
        settings: Which deployment, and where the data directory is.
        environment: What this program was started with; secrets in it stay here.

    Raises:
        SettingsError: no deployment is set, or its key is missing or of another one.
        OSError: the copy cannot be made.
    """
    url, key = deployment(settings)
    directory = settings.home / "convex"
    _copy(shipped(), directory)
    kept = child_environment(environment, secrets=settings.secrets)
    kept = {name: value for name, value in kept.items() if not name.startswith("CONVEX_")}
    return Deployment(url, directory, {**kept, **_target(url, key)})


def _target(url: str, key: str) -> Mapping[str, str]:
    """Return the variables that name a deployment of Convex Cloud, or a self-hosted one."""
    if cloud_name(url) is not None:
        return {"CONVEX_DEPLOY_KEY": key}
    return {"CONVEX_SELF_HOSTED_URL": url, "CONVEX_SELF_HOSTED_ADMIN_KEY": key}


def _copy(source: Path, directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(source / name, directory / name)
    shutil.rmtree(directory / FUNCTIONS, ignore_errors=True)
    shutil.copytree(source / FUNCTIONS, directory / FUNCTIONS)
