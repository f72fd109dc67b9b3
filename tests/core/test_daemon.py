"""What servers and workers have in common: here, how seldom they look for garbage."""

from __future__ import annotations

import subprocess
import sys

import pytest

KEEPING = """
import gc
from cody_core.daemon import BETWEEN_LOOKS, seldom_collect

looks = 0
def look(phase, info):
    global looks
    looks += phase == "start"

gc.collect()
if {seldom}:
    seldom_collect()
gc.callbacks.append(look)
kept = [[] for _ in range({objects})]
print(looks)
"""


@pytest.mark.parametrize(
    ("seldom", "objects", "looks"),
    [(True, 5_000, range(1)), (False, 5_000, range(2, 100)), (True, 25_000, range(1, 4))],
)
def test_a_server_looks_for_garbage_seldom_but_does(
    seldom: bool, objects: int, looks: range
) -> None:
    code = KEEPING.format(seldom=seldom, objects=objects)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) in looks
