"""What servers and workers have in common: how seldom they look for garbage, how turns go."""

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
TURNS = """
import threading, time
from cody_core.daemon import switch_often

def milliseconds(turns):
    began = time.perf_counter()
    for _ in range(turns):
        time.sleep(0)  # gives the turn away, and waits for the next
    return (time.perf_counter() - began) * 1e3

def busy():
    while not done:
        pass

done = False
thread = threading.Thread(target=busy)
thread.start()
before = max(milliseconds(8) for _ in range(5))
switch_often()
after = min(milliseconds(8) for _ in range(50))
done = True
thread.join()
print(before, after)
"""


@pytest.mark.parametrize(
    ("seldom", "objects", "looks"),
    [(True, 3_000, range(1)), (False, 3_000, range(2, 100)), (True, 12_500, range(1, 4))],
)
def test_a_server_looks_for_garbage_seldom_but_does(
    seldom: bool, objects: int, looks: range
) -> None:
    code = KEEPING.format(seldom=seldom, objects=objects)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) in looks


def test_a_thread_of_a_server_soon_has_its_turn_while_another_is_busy() -> None:
    done = subprocess.run([sys.executable, "-c", TURNS], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert after < 15 < before  # Python begins with 5 ms for each of the eight turns
