"""The canonical shapes: items, responses, the events that carry them, and requests."""
