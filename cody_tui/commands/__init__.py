"""The commands of the program, one module a group; ``cody_tui.cli`` puts them together.

A module here is imported whenever the program starts: what it needs for its work, it imports there.
"""
