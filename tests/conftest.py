"""What every test starts from: no leftover environment, no leftover application."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import quorum
from quorum.profiles.variables import table_of
from quorum.settings import Settings
from quorum.startup import on_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in an empty folder, with no setting in the environment and no application loaded."""
    names = {name for variable in table_of(Settings).values() for name in variable.names}
    for name in os.environ:
        if name in names or name.startswith(("SERVER_", "SECRETS_DIR", "FLASK_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield
    quorum.unload()
    on_run.clear()
