"""How times are taken and summed up."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def quiet_gc() -> Iterator[None]:
    """Collect before the block and not in it, as ``timeit`` does.

    A collection in the middle costs what is alive in the whole process, most of it the benchmark's
    own prepared events.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def best_seconds(work: Callable[[], object], *, runs: int) -> float:
    """Return how long the fastest run took: on a shared machine the others measure neighbours."""
    times = []
    with quiet_gc():
        for _ in range(runs):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    return min(times)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
