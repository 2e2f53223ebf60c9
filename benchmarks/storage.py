"""Putting and getting objects, against a bare boto3 client: `python -m benchmarks.storage`."""

from __future__ import annotations

import io
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import boto3

from benchmarks.measure import at_most
from quorum import Container, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEYS = {"id": "bench", "secret": "bench", "region": "us-east-1", "bucket": "bench"}
SMALL, LARGE = os.urandom(1024), os.urandom(64 * 1024 * 1024)
TARGET = 1.1
# Moto's own server closes each connection after one answer, as S3 does not.
_SERVER = """
import sys, waitress
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
app = DomainDispatcherApplication(create_backend_app)
waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=32)
"""


@dataclass(frozen=True)
class Pair:
    """The same work on the bare client and through the storage."""

    name: str
    bare: Callable[[], object]
    ours: Callable[[], object]
    calls: int
    rounds: int


@contextmanager
def server() -> Iterator[str]:
    """Run the server in its own process, so that what is measured is the client; give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    program = [sys.executable, "-c", _SERVER, str(port)]
    with subprocess.Popen(program, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
        yield f"http://127.0.0.1:{port}"
        process.kill()


def pairs(url: str) -> Iterator[Pair]:
    """Give what is measured, each with its object there."""
    bare = boto3.session.Session(KEYS["id"], KEYS["secret"], region_name=KEYS["region"]).client(
        "s3", endpoint_url=url
    )
    bare.create_bucket(Bucket="bench")
    ours = Container(settings=Settings(storage=KEYS | {"endpoint": url})).storage()
    for name, body, calls, rounds in (("1 kB", SMALL, 20, 41), ("64 MB", LARGE, 1, 15)):
        # Functions of default arguments, since the loop's variables move on.
        def bare_put(body: bytes = body) -> object:
            return bare.put_object(Bucket="bench", Key="object", Body=body)

        def bare_get() -> object:
            return bare.get_object(Bucket="bench", Key="object")["Body"].read()

        def put(body: bytes = body) -> None:
            ours.put("object", body)

        yield Pair(f"put {name}", bare_put, put, calls, rounds)
        yield Pair(f"get {name}", bare_get, lambda: ours.get("object"), calls, rounds)
    yield Pair(
        "put 64 MB of a stream",
        lambda: bare.upload_fileobj(io.BytesIO(LARGE), "bench", "object"),
        lambda: ours.put("object", io.BytesIO(LARGE)),
        1,
        15,
    )
    ours.close()
    bare.close()


def batch(call: Callable[[], object], calls: int) -> tuple[float, float]:
    """Make some calls; return the seconds of one by the clock, and those of this process."""
    clock, process = time.perf_counter(), time.process_time()
    for _ in range(calls):
        call()
    return (time.perf_counter() - clock) / calls, (time.process_time() - process) / calls


def measure(pair: Pair) -> float:
    """Print what each takes, in rounds of another order each; return the ratio by the clock."""
    for call in (pair.bare, pair.ours):
        call()
    bare, ours = [], []
    for _ in range(pair.rounds):
        for call, taken in random.sample([(pair.bare, bare), (pair.ours, ours)], 2):
            taken.append(batch(call, pair.calls))
    # The median of the rounds' ratios: a slow moment of the machine slows both.
    ratio, ratio_of_process = (
        median(one[kind] / other[kind] for one, other in zip(ours, bare, strict=True))
        for kind in (0, 1)
    )
    figures = [median(each[0] for each in taken) * 1000 for taken in (bare, ours)]
    print(
        f"{pair.name:24} {figures[0]:9.2f} {figures[1]:9.2f} {ratio:7.2f} {ratio_of_process:9.2f}"
    )
    return ratio


def main() -> None:
    print("ms a call, one thread         boto3    quorum   ratio   its CPU")
    with server() as url:
        verdicts = [at_most(f"{pair.name}, to boto3", measure(pair), TARGET) for pair in pairs(url)]
    print()
    print("\n".join(verdicts))


if __name__ == "__main__":
    main()
