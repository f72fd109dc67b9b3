"""Workers: they follow the log of a run, and act on what they read."""
