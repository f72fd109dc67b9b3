"""What another process has used, as the kernel counts it."""

from __future__ import annotations

import time
from pathlib import Path


class Usage:
    """Time and memory of a process, without those of its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._place = Path(f"/proc/{pid}")

    @property
    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far, also of those that have ended."""
        # The clock that clock_getcpuclockid(3) names, in nanoseconds: /proc counts in 10 ms.
        return time.clock_gettime((~self._pid << 3) | 2)

    @property
    def resident_mb(self) -> float:
        """Resident memory now."""
        return self._status("VmRSS")

    @property
    def peak_mb(self) -> float:
        """The most resident memory there was, since it began or ``forget_peak`` was called."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak count from what there is now."""
        (self._place / "clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        lines = (self._place / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024
