"""What servers and workers have in common: here, how seldom they look for garbage."""

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
print(looks_while_coming_to_be(5_000))
seldom_collect()
print(looks_while_coming_to_be(5_000))
print(looks_while_coming_to_be(25_000))
"""


def test_a_server_looks_for_garbage_seldom_but_does() -> None:
    command = [sys.executable, "-c", KEEPING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, few, many = map(int, done.stdout.split())
    assert before in range(2, 100)
    assert few == 0
    assert many in range(1, 4)
