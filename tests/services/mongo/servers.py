"""A server for the faults of writes, and how tests wait and fork."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import TYPE_CHECKING

from tests.servers import LOCAL, MongoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# MongoDB knows a repeated write by its session and number; SecantusDB also compares what was
# sent, and would take the time that is left of the deadline, `maxTimeMS`, for another write.
_PROGRAM = """
import sys
import secantus.commands
from secantus.cli import main
secantus.commands._RETRY_IDENTITY_IGNORED |= {"maxTimeMS"}
sys.exit(main())
"""


class RetryingMongoServer(MongoServer):
    """SecantusDB, told to recognise a repeated write as MongoDB does."""

    @property
    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", _PROGRAM, *super().command[1:]]


def direct(port: int) -> str:
    """Return a URL for a proxy: a replica set would name the address of the server itself."""
    return f"mongodb://{LOCAL}:{port}/?directConnection=true"


QUIET = "&serverMonitoringMode=poll&heartbeatFrequencyMS=60000"
"""Options for a URL: the driver asks how the server is so seldom that no fault meets that."""


def in_child(work: Callable[[], object]) -> int:
    """Run something in a forked child, and return its exit status; at most 20 seconds."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, 9)
    os.waitpid(process, 0)
    raise AssertionError("the child hangs")
