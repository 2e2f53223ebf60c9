"""Files for mypy: what must pass, and what must not."""
