from __future__ import annotations

import pytest
from cody_core.errors import ProviderBadRequest, ProviderOverloaded, ProviderRateLimited
from cody_core.retry import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, pause_before_retry


def pauses(failures: int, retry_after: float | None = None) -> list[float]:
    error = ProviderRateLimited("busy", retry_after=retry_after)
    found = [pause_before_retry(error, failures) for _ in range(200)]
    return [pause for pause in found if pause is not None]


def test_what_waiting_cannot_help_is_not_sent_again() -> None:
    assert pause_before_retry(ProviderBadRequest("no"), 1) is None


@pytest.mark.parametrize("failures", [1, 2, 3, 4])
def test_the_pause_doubles_and_is_spread_by_half(failures: int) -> None:
    middle = FIRST_PAUSE * 2 ** (failures - 1)
    found = pauses(failures)
    assert len(found) == 200
    assert middle * 0.5 <= min(found) < middle * 0.75
    assert middle * 1.25 < max(found) <= middle * 1.5


@pytest.mark.parametrize("failures", [10, 100, 5000])
def test_the_pause_stops_growing(failures: int) -> None:
    assert LONGEST_PAUSE * 0.5 <= min(pauses(failures)) <= max(pauses(failures)) <= 30


def test_what_the_provider_asks_for_is_the_least_it_gets() -> None:
    assert set(pauses(1, retry_after=17.0)) == {17.0}
    assert min(pauses(9, retry_after=0.1)) >= LONGEST_PAUSE * 0.5


def test_a_provider_that_asks_for_too_much_is_given_up() -> None:
    assert set(pauses(1, retry_after=PATIENCE)) == {PATIENCE}
    assert pause_before_retry(ProviderOverloaded("x", retry_after=PATIENCE + 1), 1) is None
