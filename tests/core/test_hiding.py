from __future__ import annotations

import pytest
from cody_core.hiding import address, hide

SECRETS = ("key", "key-and-more", "")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("nothing in here", "nothing in here"),
        ("the key-and-more and the key", "the [hidden] and the [hidden]"),
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
