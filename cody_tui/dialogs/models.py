"""Choosing a model: what the program knows at once, then what the providers say they have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from cody_core.errors import CodyError
from textual import work

from cody_tui.dialogs.picking import Entry, Picker
from cody_tui.signs import signs
from cody_tui.standing import count

if TYPE_CHECKING:
    from cody_core.schema.models import ModelInfo, ModelList

RECENT = "Recently used"
ASKING = "Asking the providers…"

Ask: TypeAlias = "Callable[[], Awaitable[ModelList]]"


class ModelPicker(Picker):
    """Returns ``provider/name``."""

    def __init__(
        self,
        models: Sequence[ModelInfo],
        *,
        current: str,
        recent: Sequence[str],
        refresh: Ask,
    ) -> None:
        """Prepare.

        Args:
            models: The models that are known.
            current: The one in use, as ``provider/name``.
            recent: Those used before, the last one first.
            refresh: Asks the providers.
        """
        self._current = current
        self._recent = recent
        self._ask = refresh
        super().__init__("Model", entries(models, current, recent), note=ASKING)

    def on_mount(self) -> None:
        """Ask the providers while the user looks at what is known."""
        super().on_mount()
        self._refresh()

    @work(group="models")
    async def _refresh(self) -> None:
        try:
            answer = await self._ask()
        except CodyError as error:
            self.replace(self._entries, signs(self.app).failed + error.message)
            return
        found = entries(answer.models, self._current, self._recent)
        self.replace(found, unreachable(answer.unreachable))


def entries(models: Sequence[ModelInfo], current: str, recent: Sequence[str]) -> list[Entry]:
    """Return the models by provider, those used before first."""
    by_name = {model.name: model for model in models}
    first = [by_name[name] for name in recent if name in by_name]
    rest = [model for model in models if model.name not in recent]
    order = list(dict.fromkeys(model.provider_id for model in rest))
    grouped = sorted(rest, key=lambda model: order.index(model.provider_id))
    return [
        *(_entry(model, model.name, RECENT, current) for model in first),
        *(_entry(model, model.id, model.provider_id, current) for model in grouped),
    ]


def unreachable(names: Sequence[str]) -> str:
    """Say which providers did not answer."""
    return f"{', '.join(names)}: not reachable" if names else ""


def _entry(model: ModelInfo, name: str, group: str, current: str) -> Entry:
    facts = [
        f"{count(model.context_tokens)} window" if model.context_tokens else "",
        f"${model.price.prompt:g} in, ${model.price.completion:g} out" if model.price else "",
        "default" if model.is_default else "",
    ]
    detail = ", ".join(fact for fact in facts if fact)
    return Entry(model.name, name, detail, group, is_current=model.name == current)
