"""What `import quorum` costs beyond what it stands on: `python -m benchmarks.imports`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from benchmarks.measure import at_most

PROCESSES = 15
# Printed by each process: seconds and modules of the base, seconds of quorum, its modules.
PROGRAM = """
import sys, time
start, known = time.perf_counter(), set(sys.modules)
import flask, pydantic_settings, dependency_injector.wiring
middle, base = time.perf_counter(), set(sys.modules)
import quorum
end = time.perf_counter()
print(middle - start, len(base - known), end - middle, *(set(sys.modules) - base))
"""


@dataclass(frozen=True)
class Run:
    """What one fresh process saw."""

    base_seconds: float
    base_modules: int
    seconds: float
    modules: tuple[str, ...]


def run(bytecode: str) -> Run:
    """Import in a fresh process that keeps its bytecode in a folder, as an installation does."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    program = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(program, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    printed = done.stdout.split()
    return Run(float(printed[0]), int(printed[1]), float(printed[2]), tuple(printed[3:]))


def main() -> None:
    with TemporaryDirectory() as bytecode:
        run(bytecode)  # compiles everything
        runs = [run(bytecode) for _ in range(PROCESSES)]
    base = min(each.base_seconds for each in runs) * 1000
    own = min(each.seconds for each in runs) * 1000
    modules = runs[0].modules
    print(f"minimum of {PROCESSES} fresh processes          ms   modules")
    print(f"flask, pydantic_settings, dependency_injector {base:6.1f} {runs[0].base_modules:8}")
    print(f"import quorum, after these                    {own:6.1f} {len(modules):8}")
    packages = Counter(name.partition(".")[0] for name in modules).most_common()
    print("its modules:", ", ".join(f"{name} {count}" for name, count in packages))
    print(f"together {(base + own) / base:.2f} times the three alone\n")
    print(at_most("import quorum, after the three", own, 25, " ms"))


if __name__ == "__main__":
    main()
