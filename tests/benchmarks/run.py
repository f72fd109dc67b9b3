"""Runs the benchmarks, one table per subject."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from types import FrameType

from benchmarks import cancelling, latency, logs, reducer, screen, serving, storing, tools

SUBJECTS = {
    "reducer": reducer.tables,
    "logs": logs.tables,
    "latency": latency.tables,
    "storing": storing.tables,
    "tools": tools.tables,
    "cancelling": cancelling.tables,
    "screen": screen.tables,
    "serving": serving.tables,
}


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run all subjects or the chosen one, and print each table as soon as it is there."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what the core costs.")
    parser.add_argument("--only", choices=SUBJECTS, help="run this subject alone")
    only = parser.parse_args().only
    logging.basicConfig(level=logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # through what is to be closed on the way
    began = time.perf_counter()
    for name, tables in SUBJECTS.items():
        if only in (None, name):
            for table in tables():
                print(table, end="\n\n", flush=True)
    print(f"{time.perf_counter() - began:.0f} s in all")
