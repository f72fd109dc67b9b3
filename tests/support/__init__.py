"""What several test modules need: generated shapes, scripted turns, real servers."""
