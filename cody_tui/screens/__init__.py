"""Screens: they compose widgets and route what goes between them."""
