"""A job of every second under Werkzeug's reloader, which runs the application twice."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from tests.programs import serving
from tests.servers import free_port
from tests.test_gunicorn_tasks import APPLICATION, DEADLINE, Runs, gaps

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
if __name__ == "__main__":
    app.run(debug=True, port=int(os.environ["PORT"]))
"""


@pytest.mark.parametrize(
    "words", [["flask", "run", "--debug"], ["python", "application.py"]], ids=["flask", "script"]
)
def test_it_runs_once_a_second_in_the_process_that_serves(tmp_path: Path, words: list[str]):
    """Never in the parent; and it goes on in the process that comes after a change."""
    application = tmp_path / "application.py"
    application.write_text(APPLICATION + SCRIPT)
    runs = Runs(tmp_path / "runs")
    port = str(free_port())
    with serving(
        tmp_path / "log",
        *words,
        RUNS=str(tmp_path / "runs"),
        TMPDIR=str(tmp_path),
        FLASK_APP="application",
        FLASK_RUN_PORT=port,
        PORT=port,
    ) as server:
        before = runs.wait(4, DEADLINE, server)
        os.utime(application)
        count = len(runs.read())
        runs.wait(count + 4, DEADLINE, server)
        server.stop()
    found = runs.read()
    assert {run.parent for run in found} == {server.process.pid}
    assert len({run.process for run in before}) == 1
    assert min(gaps(before)) > 0.9
    # As any process that starts, the next begins with a run.
    processes = [process for process, _ in itertools.groupby(run.process for run in found)]
    assert len(processes) == len(set(processes)) == 2
