"""Who leads, of the processes on one machine."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.services.tasks.leaders import SOON
from tests.services.tasks.standing import ALONE, DEADLINE, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORKED = """
if os.fork() == 0:
    assert not leader.leads
    leader = stand()
"""

SERVER = """
leader.stop()
sys.modules["gunicorn.arbiter"] = sys
leader = stand()
"""

SPAWNED = """
import subprocess
if not os.environ.get("CHILD"):
    subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=os.environ | {"CHILD": "1"})
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Standing]:
    with standing(tmp_path) as processes:
        yield processes


def test_one_of_many_leads(processes):
    """Of three processes of one application, always the same."""
    pids = {processes.begin() for _ in range(3)}
    leader = processes.wait()
    assert leader in pids
    assert processes.watch(3) == [leader]


def test_another_leads_when_it_is_killed(processes):
    """Its lock ends with it; three times in a row nobody leads beside another."""
    for _ in range(4):
        processes.begin()
    led = [processes.wait()]
    for _ in range(3):
        killed = processes.signal(led[-1], signal.SIGKILL)
        led.append(processes.wait(since=killed, within=SOON))
    assert len(set(led)) == 4
    assert processes.leaders() == led


def test_another_leads_when_it_is_stopped(processes):
    """It lets go of the lead as it ends."""
    for _ in range(2):
        processes.begin()
    leader = processes.wait()
    stopped = processes.signal(leader, signal.SIGTERM)
    assert processes.wait(since=stopped, within=SOON) != leader


def test_one_that_is_paused_leads_still(processes):
    """Without Redis nobody can know better; when it goes on, it is the only one."""
    for _ in range(2):
        processes.begin()
    leader = processes.wait()
    processes.signal(leader, signal.SIGSTOP)
    processes.watch(1)
    assert processes.watch(3) == []
    processes.signal(leader, signal.SIGCONT)
    assert processes.wait() == leader


@pytest.mark.parametrize("program", [FORKED, SPAWNED], ids=["forked", "spawned"])
def test_a_child_goes_before_its_parent(processes, program):
    """Once it stands, the process that made it leads no more."""
    parent = processes.begin(program + ALONE)
    child = processes.wait(but=parent)
    processes.watch(1)
    assert processes.watch(2.5) == [child]


def test_a_parent_leads_when_its_children_are_gone(processes):
    """As one that is left alone."""
    parent = processes.begin(FORKED + ALONE)
    child = processes.wait(but=parent)
    killed = processes.signal(child, signal.SIGKILL)
    assert processes.wait(since=killed, within=DEADLINE) == parent


def test_a_forked_child_does_not_believe_that_it_leads(processes):
    """It asks the leader that it inherited, for as long as it lives, and stands not."""
    parent = processes.begin("if os.fork() == 0:\n    leader_of_parent = leader\n" + ALONE)
    leader = processes.wait()
    assert leader == parent
    assert processes.watch(2) == [parent]
    other = processes.begin()
    killed = processes.signal(parent, signal.SIGKILL)
    assert processes.wait(since=killed, within=SOON) == other
    assert processes.leaders() == [parent, other]


def test_a_child_that_stands_not_keeps_no_lock(processes):
    """Forked by a leader that is killed then, it does not keep others from leading."""
    parent = processes.begin("time.sleep(1)\nif os.fork() == 0:\n    time.sleep(60)\n" + ALONE)
    processes.wait()
    other = processes.begin()
    killed = processes.signal(parent, signal.SIGKILL)
    assert processes.wait(since=killed, within=SOON) == other


def test_a_server_that_forks_is_waited_for(processes):
    """One that may fork workers yet leaves the lead to them from the start."""
    parent = processes.begin(SERVER + "time.sleep(1)" + FORKED + ALONE)
    child = processes.wait()
    assert child != parent
    processes.watch(4)
    assert processes.leaders() == [child]
