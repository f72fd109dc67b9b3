"""Dialogs: screens that are opened over the chat, and answer with what was chosen."""
