"""What of the environment the children of a tool get: everything but secrets.

A variable is left out if its name says that it holds a secret, if its value holds one that is
known, or if it holds a URL or connection string with a password in it. Names are judged by their
parts: ``MONKEY`` stays where ``MON_KEY`` goes. A variable too few can be set in the command, a
key that leaked cannot be called back; so paths of credential files, numbers of tokens and
proxies with a password go as well. ``SSH_AUTH_SOCK`` stays: it is the address of an agent that
signs but never tells a key, and without it ``git push`` does not work.

This keeps keys out of the reach of accidents (``env`` in a transcript, a crash report), not out
of the reach of a program that runs as the same user and reads that user's files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from cody_core.hiding import holds_any

NO_TERMINAL: Mapping[str, str] = MappingProxyType(
    {
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
    }
)
"""Told to every child, so that none of them paints, pages or waits for somebody to type."""

_FORCING_COLOUR = frozenset({"COLORTERM", "FORCE_COLOR", "CLICOLOR_FORCE"})
_HARMLESS = frozenset({"SSH_AUTH_SOCK", "PWD", "OLDPWD"})
_SECRET_PART = re.compile(
    r"(AUTH|COOKIE|CREDS|DSN|JWT|KEYS?|PASS|PAT|PRIVATE|PWD|WEBHOOKS?)"
    # Words that mean the same at the end of a longer one: PGPASSWORD, GITHUBTOKEN.
    r"|\w*(APIKEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|SSHPASS|CREDENTIAL)S?"
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_USER_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s'\"]*)@")
_ASSIGNMENT = re.compile(r"(?:^|[?&;\s])([\w.-]+)=(?=[^&;\s])")


def child_environment(source: Mapping[str, str], *, secrets: Iterable[str]) -> dict[str, str]:
    """Return what of an environment a tool's child processes get.

    Args:
        source: The environment cody itself was given.
        secrets: The values of known secrets, wherever they came from; empty ones are ignored.
    """
    known = tuple(secret for secret in secrets if secret)
    kept = {
        name: value
        for name, value in source.items()
        if name not in _FORCING_COLOUR and not _is_secret(name, value, known)
    }
    return {**kept, **NO_TERMINAL}


def _is_secret(name: str, value: str, known: Collection[str]) -> bool:
    return (
        (name not in _HARMLESS and _names_secret(name))
        or value in known
        or holds_any(value, known)
        or _holds_password(value)
    )


def _names_secret(name: str) -> bool:
    return any(_SECRET_PART.fullmatch(part.upper()) for part in _PART.findall(name))


def _holds_password(value: str) -> bool:
    """Tell whether there is a password or a token in a URL or connection string."""
    for scheme, user in _USER_IN_URL.findall(value):
        # ssh://git@host names an account; a user without password elsewhere is often a token.
        if user and not (scheme.lower().endswith("ssh") and ":" not in user):
            return True
    return any(_names_secret(name) for name in _ASSIGNMENT.findall(value))
