from __future__ import annotations

import pytest
from cody_core.tools.environment import NO_TERMINAL, child_environment

SECRET = "sk-5b1d7f0c2a"


def kept(name: str, value: str = "value", *secrets: str) -> bool:
    environment = child_environment({name: value}, secrets=secrets)
    assert {**environment, **NO_TERMINAL} == environment
    return environment.get(name) == value


@pytest.mark.parametrize(
    "name",
    [
        *("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "CONVEX_DEPLOY_KEY"),
        *("GITHUB_TOKEN", "GH_PAT", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "REDISCLI_AUTH"),
        *("SENTRY_DSN", "SLACK_WEBHOOK_URL", "KEY", "token", "api-key", "dbPassword", "API_TOKENS"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "SESSION_COOKIE", "GPG_PASSPHRASE", "OPENAI_APIKEY"),
        *("KEY2", "API_KEY_1", "NPM_CONFIG__AUTH"),
    ],
)
def test_a_name_that_says_secret_is_left_out(name: str) -> None:
    assert not kept(name)


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LANG", "LC_ALL", "USER", "SHELL", "PWD", "OLDPWD", "VIRTUAL_ENV"),
        *("SSH_AUTH_SOCK", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_SESSION_ID", "DISPLAY"),
        *("MONKEY", "KEYBOARD", "AUTHOR", "PATTERN", "COMPASS", "SSL_CERT_FILE", "GIT_AUTHOR_NAME"),
        *("CARGO_HOME", "GOPATH", "TOKENIZERS_PARALLELISM", "SECRETARY", "BASH_FUNC_f%%", "_", "0"),
    ],
)
def test_a_name_that_only_sounds_like_it_stays(name: str) -> None:
    assert kept(name)


@pytest.mark.parametrize(
    "value",
    [
        *("redis://:hunter2@localhost:6379/0", "https://me:pw@convex.example", "HTTP://tok@host/x"),
        *("one redis://a:b@c", "ssh://git:pw@host", "git+https://tok@github.com/o/r", "x://:@h"),
        *("postgres://host/db?user=me&password=pw", "https://hook.example/?token=abc"),
        *("Server=db;Password=pw", "AccountName=a;AccountKey=k", "-Djavax.net.keyPassword=pw"),
    ],
)
def test_a_value_with_a_password_in_it_is_left_out(value: str) -> None:
    assert not kept("ADDRESS", value)


@pytest.mark.parametrize(
    "value",
    [
        *("redis://localhost:6379/0", "https://happy-otter-123.convex.cloud", "ssh://git@host/r"),
        *("https://registry.example/@scope/package", "me@example.org", "git@github.com:o/r"),
        *("-Xmx1g -Dfile.encoding=UTF-8", "*.key=01;31:*.pem=00;33", "https://x.example/?q=a", ""),
    ],
)
def test_a_value_without_one_stays(value: str) -> None:
    assert kept("ADDRESS", value)


@pytest.mark.parametrize(
    ("value", "secret", "stays"),
    [
        (SECRET, SECRET, False),
        (f"Bearer {SECRET}", SECRET, False),
        ("pw", "pw", False),
        ("/opt/pwgen", "pw", True),
        ("anything", "", True),
        ("", "", True),
        (SECRET, "another-secret", True),
    ],
)
def test_a_known_secret_is_left_out_under_any_name(value: str, secret: str, stays: bool) -> None:
    assert kept("HEADER", value, "unrelated-secret", secret) is stays


def test_children_are_told_that_there_is_no_terminal() -> None:
    source = {
        "TERM": "xterm-256color",
        "PAGER": "less",
        "FORCE_COLOR": "3",
        "CLICOLOR_FORCE": "1",
        "COLORTERM": "truecolor",
        "HOME": "/home/me",
    }
    before = dict(source)
    assert child_environment(source, secrets=()) == {
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/home/me",
    }
    assert source == before
