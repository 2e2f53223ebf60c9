"""The plugins of every test; pytest takes them from the root only."""

pytest_plugins = ["quorum.pytest_plugin", "pytester"]
