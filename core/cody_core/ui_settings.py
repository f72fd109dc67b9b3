"""What can be set of the terminal program: a table that the core only reads and hands on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class UiSettings(BaseModel):
    """How the terminal program looks and behaves: ``[ui]`` in ``config.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    theme: str = "auto"
    """A theme by name; ``auto`` follows the terminal's background."""
    reduced_motion: bool = False
    """Nothing on the screen moves that does not have to."""
    screen_reader: bool = False
    """Linear text: no boxes, no marks that say nothing when they are read out."""
    on_quit: Literal["answer", "thread", "nothing"] = "answer"
    """What is left in the terminal when the program ends."""
    notify: Literal["auto", "bell", "desktop", "off"] = "auto"
    """How it calls when a question waits or a long answer ends, and nobody is looking."""
    long_run: float = Field(default=30.0, ge=0)
    """Seconds after which the end of an answer is worth a call."""
