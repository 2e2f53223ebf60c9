"""Background work: now, at a moment, or again and again."""
