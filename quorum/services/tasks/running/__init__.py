"""The jobs of one process: which wait, which run, and on which threads."""
