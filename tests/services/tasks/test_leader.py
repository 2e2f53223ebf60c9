"""Who leads, of the applications in one process."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING

import pytest

from quorum.errors import Unavailable
from quorum.services.tasks.leading.leader import Leader
from quorum.settings import RedisSettings
from tests.services.tasks.leaders import (
    SOON,
    check_that_it_stays,
    leading,
    no_redis,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.tasks.leaders import Leaders


@pytest.fixture
def leaders(tmp_path: Path) -> Iterator[Leaders]:
    with leading(tmp_path / "locks") as leaders:
        yield leaders


class TestOneProcess:
    def test_nobody_leads_before_it_stands(self, tmp_path):
        """A leader that was not started touches nothing."""
        leader = Leader("shop", RedisSettings(), no_redis, folder=tmp_path / "locks")
        assert not leader.leads
        assert not (tmp_path / "locks").exists()
        leader.stop()

    def test_one_that_is_alone_leads(self, leaders):
        """At once, and it says so by a call."""
        called = threading.Event()
        leader = leaders(changed=called.set)
        assert called.wait(SOON)
        assert leader.leads

    def test_one_application_that_is_loaded_twice_leads_once(self, leaders):
        """The second waits until the first is stopped."""
        first, second = leaders(), leaders()
        wait_until(lambda: first.leads or second.leads)
        check_that_it_stays(lambda: first.leads != second.leads)
        before, after = (first, second) if first.leads else (second, first)
        before.stop()
        assert not before.leads
        wait_until(lambda: after.leads)

    def test_it_is_settled_once_it_is_known_who_leads(self, leaders):
        """For who leads, and for who waits; before it stands nobody knows."""
        first = leaders()
        wait_until(lambda: first.leads)
        called = threading.Event()
        second = Leader("shop", RedisSettings(), no_redis, folder=leaders.folder)
        assert not second.settled
        leaders.begun.append(second)
        second.start(called.set)
        assert called.wait(SOON)
        assert first.settled
        assert second.settled
        assert not second.leads

    def test_applications_of_different_names_each_have_a_leader(self, leaders):
        """Both lead in one process."""
        shop, blog = leaders("shop"), leaders("blog")
        wait_until(lambda: shop.leads and blog.leads)

    def test_names_that_look_alike_are_different(self, leaders):
        """What a file name cannot hold tells them apart all the same."""
        found = [leaders(name) for name in ("a/b", "a.b", "a b", "ä", "a" * 300, "a" * 301, "")]
        wait_until(lambda: all(leader.leads for leader in found))

    def test_one_name_in_two_folders_is_two_applications(self, leaders, tmp_path, monkeypatch):
        """Many an application is called `app`; each runs in a folder of its own."""
        (tmp_path / "elsewhere").mkdir()
        first = leaders("app")
        monkeypatch.chdir(tmp_path / "elsewhere")
        second = leaders("app")
        wait_until(lambda: first.leads and second.leads)

    def test_it_can_stand_again(self, leaders):
        """After a stop, and a second one that does nothing."""
        leader = leaders()
        wait_until(lambda: leader.leads)
        leader.stop()
        leader.stop()
        assert not leader.leads
        leader.start(bool)
        wait_until(lambda: leader.leads)

    def test_a_second_start_changes_nothing(self, leaders):
        """It stands once, however often it is told to."""
        leader = leaders()
        before = threading.active_count()
        leader.start(bool)
        assert threading.active_count() == before

    def test_it_leaves_nothing_behind(self, leaders):
        """When it stops, its thread ends and its files are gone."""
        before = set(threading.enumerate())
        leader = leaders()
        wait_until(lambda: leader.leads)
        leader.stop()
        assert set(threading.enumerate()) == before
        assert list(leaders.folder.iterdir()) == []

    def test_one_that_nobody_has_leads_no_more(self, leaders):
        """An application that is collected lets go of the lead."""
        leaders()
        wait_until(lambda: leaders.begun[0].leads)
        leaders.begun.clear()
        gc.collect()
        other = leaders()
        wait_until(lambda: other.leads)

    def test_a_call_that_raises_harms_nothing(self, leaders, caplog):
        """Its error is logged, and the leader leads."""

        def changed() -> None:
            raise ValueError("marker")

        leader = leaders(changed=changed)
        wait_until(lambda: "marker" in caplog.text)
        assert leader.leads

    def test_it_may_be_stopped_by_the_call(self, leaders):
        """On the leader's own thread, which does not wait for itself."""
        stopped = threading.Event()

        def changed() -> None:
            leaders.begun[0].stop()
            stopped.set()

        leader = Leader("shop", RedisSettings(), no_redis, folder=leaders.folder)
        leaders.begun.append(leader)
        leader.start(changed)
        assert stopped.wait(SOON)
        assert not leader.leads

    def test_a_system_without_threads_is_an_error(self, leaders, monkeypatch):
        """Ours, and it can be tried again."""

        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(Unavailable, match="thread"):
                leaders()
        leader = leaders()
        wait_until(lambda: leader.leads)


class TestRuns:
    def test_the_last_run_is_told_to_the_others(self, leaders):
        """What one noted, the other knows."""
        first, second = leaders(), leaders()
        now = time.time()
        first.note_run("prune", now - 120.5)
        first.note_run("mail", now - 60.5)
        first.note_run("prune", now)
        assert second.last_run("prune") == now
        assert second.last_run("mail") == now - 60.5

    def test_what_never_ran_is_not_known(self, leaders):
        """None, also of another application."""
        leaders("blog").note_run("prune", 1000.0)
        assert leaders("shop").last_run("prune") is None

    def test_they_outlive_the_leader(self, leaders):
        """A process that starts later knows them."""
        first = leaders()
        first.note_run("prune", 1000.0)
        first.stop()
        assert leaders().last_run("prune") == 1000.0

    def test_a_run_that_is_not_yet_is_not_known(self, leaders):
        """A clock that was wrong by days noted it."""
        leader = leaders()
        leader.note_run("prune", time.time() + 10 * 86_400)
        assert leader.last_run("prune") is None

    def test_a_file_that_is_broken_is_begun_anew(self, leaders):
        """Whatever is in it."""
        leader = leaders()
        leader.note_run("prune", 1000.0)
        (file,) = leaders.folder.glob("*.runs")
        for broken in (b"", b"{", b"[1]", b'{"prune": "soon"}', b"\xff"):
            file.write_bytes(broken)
            assert leader.last_run("prune") is None
            leader.note_run("prune", 1000.0)
            assert leader.last_run("prune") == 1000.0

    def test_threads_that_note_at_once_lose_nothing(self, leaders):
        """Each schedule's run is there."""
        leader = leaders()
        threads = [
            threading.Thread(target=leader.note_run, args=(f"job-{n}", time.time()))
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert None not in [leader.last_run(f"job-{n}") for n in range(20)]
