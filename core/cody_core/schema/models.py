"""What is known of a model."""

from __future__ import annotations

from cody_core.schema.base import NonEmpty, Omittable, Shape


class ModelInfo(Shape):
    """A model somebody can choose, and the size of its window where that is known."""

    id: NonEmpty
    provider_id: NonEmpty
    context_tokens: Omittable[int] = None
    max_output_tokens: Omittable[int] = None
    is_default: bool = False

    @property
    def name(self) -> str:
        """The name that ``--model`` takes: ``provider/model``."""
        return f"{self.provider_id}/{self.id}"
