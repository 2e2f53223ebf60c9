"""What is due when, and who waits for it."""
