"""What servers and workers have in common: how seldom they look for garbage, how turns go."""

from __future__ import annotations

import subprocess
import sys

KEEPING = """
import gc
from cody_core.daemon import seldom_collect

looks = 0
def look(phase, info):
    global looks
    looks += phase == "start"

def looks_while_coming_to_be(objects):
    global looks
    gc.collect()
    looks = 0
    kept = [[] for _ in range(objects)]
    return looks

gc.callbacks.append(look)
print(looks_while_coming_to_be(3_000))
seldom_collect()
print(looks_while_coming_to_be(3_000))
print(looks_while_coming_to_be(12_500))
"""
TURNS = """
import threading, time
from cody_core.daemon import switch_often

def milliseconds(turns):
    began = time.perf_counter()
    for _ in range(turns):
        time.sleep(0.001)  # long enough for the other to take the turn, whatever else runs
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


def test_a_server_looks_for_garbage_seldom_but_does() -> None:
    command = [sys.executable, "-c", KEEPING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, few, many = map(int, done.stdout.split())
    assert before in range(2, 100)
    assert few == 0
    assert many in range(1, 4)


def test_a_thread_of_a_server_soon_has_its_turn_while_another_is_busy() -> None:
    done = subprocess.run([sys.executable, "-c", TURNS], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert after < before / 2  # Python begins with 5 ms for each of the eight turns
