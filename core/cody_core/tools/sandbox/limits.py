"""What a script may use up. The parent measures time and counts; the child's memory is capped."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one script.

    Attributes:
        seconds: Its own time: computing and sleeping; waiting for tools is not counted.
        memory_bytes: What its objects may take.
        source_bytes: How long it may be.
        calls: How many tool calls it may make.
        calls_at_once: How many of them run at the same time; further ones wait.
        argument_chars: How long the arguments of a call may be, as JSON.
        result_bytes: How long its result may be, as JSON.
        log_bytes: How much it may write to the console; more is dropped and counted.
    """

    seconds: float = 30.0
    memory_bytes: int = 64 * MEGABYTE
    source_bytes: int = 20 * 1024
    calls: int = 32
    calls_at_once: int = 5
    argument_chars: int = 512 * 1024
    result_bytes: int = 256 * 1024
    log_bytes: int = 64 * 1024


ENGINE_MEMORY = 16 * MEGABYTE
"""What the engine itself and its fragments take beside the objects of a script."""

CHILD_MEMORY = 384 * MEGABYTE
"""Address space a child may take beyond what it has when it is warm: two engines, and change."""

SCRIPTS_PER_CHILD = 250
"""After so many scripts a child is replaced."""

CHILD_GROWTH = 48 * MEGABYTE
"""A child whose resident memory has grown by more than this is replaced."""

MESSAGE_BYTES = 8 * MEGABYTE
"""The longest message a child may send: the arguments of a call, every character escaped."""

START_SECONDS = 60.0
"""How long a child may take to become warm; compiling takes a second or two on an idle machine."""
