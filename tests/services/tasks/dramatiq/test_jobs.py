"""Jobs on RabbitMQ and on Redis: how they run, are tried again, and become dead letters."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dramatiq.broker
import pytest
from dramatiq import Message

from quorum.errors import ConfigurationError, Rejected, TimedOut, Unavailable, Unsupported
from quorum.services.tasks.base import Job
from quorum.services.tasks.dramatiq import DramatiqTasks
from quorum.services.tasks.dramatiq.errands import Errand
from quorum.services.tasks.dramatiq.travel import Path
from quorum.settings import TasksSettings
from tests.services.tasks.dramatiq import work
from tests.waiting import BUDGET, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import AmqpServer, RedisServer

    Build = Callable[..., DramatiqTasks]

SECRET = "marker-secret"


def test_a_job_that_was_submitted_before_there_was_a_worker_is_run(tasks: DramatiqTasks):
    """It stays on the broker until then; its result travels back."""
    handle = tasks.submit(work.add, 1, right=2)
    assert handle.state == "queued"
    tasks.work()
    assert handle.result(15) == 3
    assert handle.state == "done"
    assert handle.exception is None


def test_another_process_of_the_application_may_run_it(build: Build):
    """Its tasks have nothing but the name in common."""
    worker = build()
    worker.work()
    assert build().submit(work.Shop.sell, "hats").result(15) == "Shop sells hats"
    assert worker.counts.done == 1


def test_two_applications_on_one_broker_do_not_meet(build: Build):
    """Each has a queue of its own, and neither is dramatiq's one global broker."""
    first, second = build(), build(name="another")
    before = dramatiq.broker.global_broker
    first.work()
    second.work()
    handles = [tasks.submit(work.add, 1, 1) for tasks in (first, first, second)]
    assert [handle.result(15) for handle in handles] == [2, 2, 2]
    assert (first.counts.done, second.counts.done) == (2, 1)
    assert dramatiq.broker.global_broker is before


def test_a_job_runs_inside_the_scope(build: Build):
    """That of the application, in its worker; it is left as the job ends."""
    depth = []

    @contextmanager
    def scope() -> Iterator[None]:
        work.calls.append("entered")
        yield
        depth.append(list(work.calls))

    tasks = build(scope=scope)
    tasks.work()
    assert tasks.submit(work.note, 1).wait(15)
    assert depth == [["entered", ((1,), {})]]


def test_a_job_waits_for_its_moment(tasks: DramatiqTasks):
    """It is not run before; the past is now."""
    tasks.work()
    start = time.time()
    handle = tasks.at(start + 1, work.add, 1, 1)
    later = tasks.at(start + 3600, work.add, 1, 1)
    assert tasks.at(start - 3600, work.add, 1, 1).result(15) == 2
    assert handle.result(15) == 2
    assert later.state == "scheduled"
    assert time.time() - start >= 1


def test_a_job_that_raises_is_tried_again(build: Build):
    """Until it does not."""
    tasks = build(retries=2)
    tasks.work()
    assert tasks.submit(work.fail_twice, "first").result(15) == 3
    assert tasks.dead() == []


def test_a_job_that_raises_too_often_is_a_dead_letter(build: Build):
    """It tells the id, the name, the error and when; its handle raises what it raised."""
    tasks = build(retries=1)
    tasks.work()
    before = time.time()
    handle = tasks.submit(work.fail, SECRET)
    with pytest.raises(ValueError, match=SECRET):
        handle.result(15)
    assert handle.state == "failed"
    assert isinstance(handle.exception, ValueError)
    (dead,) = tasks.dead()
    assert (dead.id, dead.name, dead.attempts) == (handle.id, "fail", 2)
    assert dead.error == f"ValueError: {SECRET}"
    assert dead.ended_at is not None
    assert before <= dead.ended_at <= time.time()
    assert [each.id for each in tasks.dead()] == [handle.id]


def test_a_dead_letter_may_be_run_again(tasks: DramatiqTasks):
    """It is a dead letter no more; the others stay, in their order."""
    tasks.work()
    handles = [tasks.submit(work.fail_twice, name) for name in ("one", "two", "three")]
    assert all(handle.wait(15) for handle in handles)
    wait_until(lambda: len(tasks.dead()) == 3)
    work.tries["two"] = 2
    assert tasks.retry(handles[1].id).name == "fail_twice"
    wait_until(lambda: work.tries["two"] == 3)
    assert {each.id for each in tasks.dead()} == {handles[0].id, handles[2].id}
    with pytest.raises(Rejected, match="no dead letter 'none'"):
        tasks.retry("none")


def test_a_job_that_exits_harms_no_other(tasks: DramatiqTasks):
    """The worker goes on."""
    workers = tasks.work(1)
    assert tasks.submit(work.leave).wait(15)
    assert tasks.submit(work.add, 1, 1).result(15) == 2
    assert (workers.performer.done, workers.performer.failed) == (1, 1)


def test_a_callback_is_told_how_it_ended(build: Build):
    """Once, after the last try; one that raises harms nobody."""
    tasks = build(retries=1)
    tasks.work(1)
    tasks.enqueue(Job(work.add, [1, 1], callback=work.told))
    handle = tasks.enqueue(Job(work.fail, callback=work.told_wrongly))
    assert handle.wait(15)
    wait_until(lambda: len(work.calls) == 2)
    assert work.calls[0] is None
    assert str(work.calls[1]) == "no"


def test_a_failure_is_logged_without_arguments(
    tasks: DramatiqTasks, caplog: pytest.LogCaptureFixture
):
    """Nor does dramatiq write them, whatever the level; the traceback is there."""
    caplog.set_level(logging.DEBUG)
    tasks.work()
    tasks.submit(work.add, SECRET, 1).wait(15)
    tasks.submit(work.note, SECRET).wait(15)
    text = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert "the job add (" in text
    assert "TypeError" in text
    assert SECRET not in text


def test_what_cannot_travel_is_refused_at_submit(tasks: DramatiqTasks):
    """Nothing is sent."""
    for function, args in ((work.anonymous, ()), (work.add, (b"1", 2)), (work.Shop().stock, ())):
        with pytest.raises(Rejected):
            tasks.submit(function, *args)
    with pytest.raises(Rejected):
        tasks.enqueue(Job(work.add, [1, 1], callback=lambda error: None))
    with pytest.raises(Rejected, match="lambda"):
        tasks.every(60, lambda: None)


def test_a_result_that_is_no_json_is_told_as_such(tasks: DramatiqTasks):
    """The job is done all the same."""
    tasks.work()
    handle = tasks.submit(work.pair, 1, 2)
    with pytest.raises(Rejected, match="what pair returned is or holds one of type object"):
        handle.result(15)
    assert handle.state == "done"


def test_a_job_that_waits_may_be_cancelled(tasks: DramatiqTasks):
    """It is not run; one that has ended cannot be."""
    handle = tasks.submit(work.note, "cancelled")
    assert handle.cancel()
    assert handle.cancel()
    tasks.work(1)
    other = tasks.submit(work.note, "run")
    assert other.wait(15)
    assert not other.cancel()
    assert handle.state == "cancelled"
    with pytest.raises(Unavailable, match="was cancelled"):
        handle.result(1)
    assert work.calls == [(("run",), {})]


def test_a_wait_ends_in_time(tasks: DramatiqTasks):
    """Without a worker."""
    handle = tasks.submit(work.add, 1, 1)
    start = time.monotonic()
    assert not handle.wait(0.2)
    with pytest.raises(TimedOut):
        handle.result(0.2)
    assert time.monotonic() - start < BUDGET


def test_closing_lets_what_runs_end_and_keeps_the_rest(build: Build):
    """What was taken and not begun is run by another worker at once."""
    tasks = build()
    tasks.work(1)
    running = tasks.submit(work.wait_for_gate)
    wait_until(lambda: work.calls == ["begun"])
    waiting = tasks.submit(work.add, 1, 1)
    threading.Timer(0.5, work.gate.set).start()
    assert tasks.close(10) == []
    other = build()
    other.work(1)
    wait_until(lambda: other.counts.done == 1)
    assert work.calls == ["begun"]
    for handle in (running, waiting):
        assert handle.name in {"wait_for_gate", "add"}
        with pytest.raises(Unavailable, match="closed"):
            _ = handle.state
    with pytest.raises(Unavailable, match="closed"):
        tasks.submit(work.add, 1, 1)
    assert tasks.close() == []


def test_closing_tells_what_did_not_end_in_time(build: Build):
    """By name; it is run again by another worker, since it may not have ended."""
    tasks = build()
    tasks.work(1)
    tasks.submit(work.wait_for_gate)
    wait_until(lambda: work.calls == ["begun"])
    start = time.monotonic()
    assert tasks.close(0.5) == ["wait_for_gate"]
    assert time.monotonic() - start < 10


def test_a_schedule_is_run_again_and_again(tasks: DramatiqTasks):
    """The leader hands each run to the workers."""
    tasks.work()
    schedule = tasks.every(0.3, work.note, "again")
    wait_until(lambda: len(work.calls) >= 3)
    tasks.cancel(schedule)


def test_runs_of_a_schedule_that_nobody_takes_become_one(tasks: DramatiqTasks):
    """As long as no worker has run the last one, no other is sent."""
    schedule = tasks.every(0.1, work.note, "again")
    wait_until(lambda: tasks._timer.get().leader.leads)
    time.sleep(1.5)  # Ten runs and more are due meanwhile.
    tasks.pause(schedule)
    tasks.work()
    wait_until(lambda: work.calls)
    time.sleep(0.5)  # Nothing can be waited for where nothing is to come.
    assert len(work.calls) == 1


def test_a_run_of_a_schedule_that_fails_is_no_dead_letter(build: Build):
    """It is tried again as it is due again."""
    tasks = build(retries=3)
    workers = tasks.work()
    tasks.every(0.2, work.fail)
    wait_until(lambda: workers.performer.failed >= 2)
    assert tasks.dead() == []


def test_a_schedule_never_overlaps_with_itself(tasks: DramatiqTasks):
    """Nor while a run takes longer than its interval."""
    workers = tasks.work()
    tasks.every(0.1, work.wait_for_gate)
    wait_until(lambda: work.calls)
    time.sleep(1)  # Ten runs are due meanwhile.
    assert len(workers.performer.running) == 1
    work.gate.set()
    wait_until(lambda: len(work.calls) >= 2)


@pytest.mark.live("amqp")
def test_without_redis_only_id_and_name_are_known(connect: Build, amqp_server: AmqpServer):
    """The rest says what to set; the job is run all the same."""
    tasks = connect(amqp=amqp_server.url)
    workers = tasks.work()
    handle = tasks.submit(work.add, 1, 1)
    assert handle.id
    assert handle.name == "add"
    for ask in (lambda: handle.state, lambda: handle.wait(1), handle.cancel, handle.result):
        with pytest.raises(Unsupported, match="set REDIS_URL"):
            ask()
    wait_until(lambda: workers.performer.done == 1)


@pytest.mark.live("redis")
def test_a_client_of_redis_that_gives_text_does(connect: Build, redis_server: RedisServer):
    """`decode_responses` in REDIS_URL is the application's own choice."""
    tasks = connect(redis=f"{redis_server.url}?decode_responses=true")
    tasks.work()
    assert tasks.submit(work.add, 1, 1).result(15) == 2
    assert tasks.submit(work.fail).wait(15)
    wait_until(tasks.dead)


def test_without_a_broker_it_cannot_be_made():
    """The sentence says what to set."""
    with pytest.raises(ConfigurationError, match="AMQP_URL or REDIS_URL"):
        DramatiqTasks(TasksSettings(engine="dramatiq"), name="shop")


def test_no_thread_and_no_connection_before_first_use(connect: Build):
    """To make it costs nothing, whether or not there is a server."""
    before = {*threading.enumerate()}
    connect(amqp="amqp://127.0.0.1:1/", redis="redis://127.0.0.1:1/0")
    assert before.issuperset(threading.enumerate())


def test_a_function_that_a_worker_does_not_have_is_a_failure(build: Build):
    """It may be deployed in a moment: it is tried again, and is a dead letter then."""
    tasks = build(retries=1)
    tasks.work()
    tasks._backend.send(Errand("1", "sell", Path("no_such_module:sell")))
    wait_until(tasks.dead)
    (dead,) = tasks.dead()
    assert dead.error == "ModuleNotFoundError: No module named 'no_such_module'"
    assert dead.attempts == 2


def test_a_message_that_is_no_job_harms_no_other(build: Build, caplog: pytest.LogCaptureFixture):
    """It is put aside, and nothing that it was given is in the log."""
    tasks = build()
    queue = f"{tasks.name}-tasks"
    message = Message(queue, "quorum", (), {}, {"quorum": {"id": SECRET}})
    by_hand = Message(queue, "quorum", (), {}, {"quorum": SECRET})
    other = Message(queue, "unknown", (SECRET,), {}, {})
    backend: Any = tasks._backend
    for each in (message, by_hand, other):
        if hasattr(backend, "publish"):
            backend.publish(each)
        else:
            backend._sending.get().put(each)
    tasks.work(1)
    assert tasks.submit(work.add, 1, 1).result(15) == 2
    assert tasks.dead() == []
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert text.count("is no job") == 2
    assert SECRET not in caplog.text


def test_what_is_cancelled_months_ahead_stays_so_until_its_moment(tasks: DramatiqTasks):
    """The record that keeps it from being run outlives it."""
    handle = tasks.at(time.time() + 60 * 86_400, work.note)
    assert handle.cancel()
    records: Any = tasks._records
    assert records._service.client.ttl(records._key(handle.id)) > 60 * 86_400


def test_a_job_may_close_the_tasks_it_runs_on(build: Build):
    """It does not wait for itself."""
    tasks = build()
    work.calls.append(tasks)
    workers = tasks.work(1)
    tasks.submit(work.close_first)
    wait_until(lambda: len(work.calls) == 2)
    assert work.calls[1] == []
    wait_until(lambda: not workers.performer.running)


@pytest.mark.live("amqp")
def test_a_queue_that_somebody_deleted_is_made_again(connect: Build, amqp_server: AmqpServer):
    """By the next who submits."""
    tasks = connect(amqp=amqp_server.url)
    tasks.submit(work.note, 1)
    amqp_server.control("delete_queue", f"{tasks.name}-tasks")
    tasks.submit(work.note, 2)
    tasks.work()
    wait_until(lambda: work.calls == [((2,), {})])


@pytest.mark.live("amqp")
def test_an_answer_to_an_earlier_connection_answers_nothing_else(
    connect: Build, amqp_server: AmqpServer
):
    """The same tag is another message's by then, which would be lost with its worker."""
    tasks = connect(amqp=amqp_server.url)
    tasks.submit(work.note, 1)
    broker: Any = tasks._backend.broker([])
    taken = []
    for _ in range(2):
        consumer = broker.consumer_class(broker, f"{tasks.name}-tasks", 1, 5000)
        taken.append((consumer, wait_until(lambda consumer=consumer: next(consumer))))
        if len(taken) == 1:
            consumer.close()
    (_, before), (consumer, now) = taken
    assert before._tag == now._tag
    for answer in (consumer.ack, consumer.nack):
        answer(before)
        assert consumer.known_tags == {now._tag}
    consumer.ack(now)
    assert consumer.known_tags == set()
    consumer.close()


def test_an_error_that_cannot_be_told_is_a_failure_as_others(build: Build):
    """It is tried again after a pause, and is a dead letter then."""
    tasks = build(retries=1)
    tasks.work()
    handle = tasks.submit(work.fail_unsayably)
    wait_until(tasks.dead)
    assert work.calls == ["unsayable"] * 2
    wait_until(lambda: handle.state == "failed")
    assert isinstance(handle.exception, work.Unsayable)


def test_a_result_that_cannot_be_kept_ends_the_job_all_the_same(tasks: DramatiqTasks):
    """It is done once; who asks for the result is told why there is none."""
    tasks.work()
    handle = tasks.submit(work.huge)
    assert handle.wait(15)
    assert (handle.state, work.calls) == ("done", ["huge"])
    with pytest.raises(Rejected, match="too many digits"):
        handle.result(1)


def test_what_is_far_away_keeps_nothing_from_its_moment(tasks: DramatiqTasks):
    """A worker has room for what is due tomorrow, and for what is due now."""
    tasks.work()
    for number in range(1100):
        tasks.at(time.time() + 86_400, work.note, number)
    assert tasks.at(time.time() + 0.5, work.add, 1, 1).result(15) == 2
