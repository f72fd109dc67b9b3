"""Folded pastes: whatever is folded is spelled out again as it was."""

from __future__ import annotations

from cody_tui.widgets.pastes import LONG_TEXT, Pastes

SHORT = "\n".join(f"alpha {number}" for number in range(40))
LONG = "beta " * LONG_TEXT


def test_a_text_that_is_folded_as_a_whole_keeps_the_pastes_in_it() -> None:
    pastes = Pastes()
    whole = pastes.expand(f"{pastes.paste(SHORT)}\n{pastes.paste(LONG)}")
    edited = whole.replace("beta", "gamma", 1)
    folded = pastes.fold(edited)
    assert len(folded) < 100
    assert pastes.expand(folded) == edited
