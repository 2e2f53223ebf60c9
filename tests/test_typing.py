"""What a type checker sees of the container and of `Provide`."""

from __future__ import annotations

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent / "typing"


def errors_in(name: str, tmp_path: Path) -> dict[int, str]:
    """Run mypy --strict on a file, and return its errors by their lines."""
    # Its own settings: those of the repository look at the package alone.
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = True\n")
    arguments = ["--config-file", str(settings), "--cache-dir", str(tmp_path), "--no-error-summary"]
    output, complaint, _ = api.run([*arguments, "--hide-error-context", str(HERE / name)])
    assert complaint == ""
    lines = re.findall(rf"{re.escape(name)}:(\d+): error: (.*)", output)
    return {int(line): text for line, text in lines}


def test_what_is_right_passes(tmp_path):
    """Views, containers, choices, objects per request, async functions and the loaded app."""
    assert errors_in("right.py", tmp_path) == {}


def test_what_is_wrong_is_found(tmp_path):
    """Each on its line: a wrong service, a wrong driver, a wrong name, a wrong call."""
    expected = {
        number
        for number, line in enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
        if line.endswith("# error")
    }
    found = errors_in("wrong.py", tmp_path)
    assert found.keys() == expected, found
