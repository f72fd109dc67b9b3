from __future__ import annotations

import pytest
from cody_core.hiding import address, hide, holds_any

SECRETS = ("the-key1", "the-key1-and-more", "", "ollama", "7letter")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("nothing in here", "nothing in here"),
        ("the-key1-and-more and the-key1", "[hidden] and [hidden]"),
        ("ollama/qwen3 at http://7letter", "ollama/qwen3 at http://7letter"),
        ("redis://:pw@host:1/0 is away", "redis://[hidden]@host:1/0 is away"),
        ("https://u:p@ss@host/a@b", "https://[hidden]@host/a@b"),
        ("'https://host/path', a@b", "'https://host/path', a@b"),
    ],
)
def test_keys_and_logins_are_taken_out(text: str, hidden: str) -> None:
    assert hide(text, SECRETS) == hidden


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://u:p@host:6379/0?password=p", "redis://host:6379/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("https://token@host/v1#p", "https://host/v1"),
    ],
)
def test_of_an_address_only_the_place_is_left(url: str, where: str) -> None:
    assert address(url) == where


@pytest.mark.parametrize(
    ("text", "holds"), [("a the-key1.", True), ("ollama 7letter", False), ("", False)]
)
def test_only_a_secret_that_is_long_enough_is_found(text: str, holds: bool) -> None:
    assert holds_any(text, SECRETS) is holds
