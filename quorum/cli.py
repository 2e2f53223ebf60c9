"""The command line, `quorum` and `flask quorum`."""

from __future__ import annotations

import click


@click.group()
def group() -> None:
    """Look at and run an application."""


def main() -> None:
    """Run the command line."""
    group()
