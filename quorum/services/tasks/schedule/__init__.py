"""When work is due: pure arithmetic of times."""
