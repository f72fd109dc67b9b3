"""Widgets, and what renders their lines."""
