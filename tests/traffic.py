"""Visitors of a guestbook, many at a time, who remember what they sent and what they were told."""

from __future__ import annotations

import json
import queue
import random
import re
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PNG = b"\x89PNG\r\n\x1a\n"
GIVES_UP = 20.0

_ENTRY = re.compile(
    r'<li class="entry">.*?<h3>(?P<name>.*?)</h3>.*?<p>(?P<words>.*?)</p>(?P<rest>.*?)</li>',
    re.DOTALL,
)
_SOURCE = re.compile(r'<img src="([^"]+)"')
_COUNT = re.compile(r"opened <strong>([\d,]+)</strong>")


@dataclass
class Form:
    """What a visitor writes, sent again under the same ticket until it is taken."""

    name: str
    words: str
    picture: bytes = b""
    ticket: str = field(default_factory=lambda: uuid.uuid4().hex)
    tried: int = 0


class Told:
    """What all visitors sent and were told; `bucket` counts the lives of the storage's server.

    It is odd while that server is being restarted: what is stored then may be lost with it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.bucket = 0
        self.answered = 0
        self.slowest = 0.0
        self.statuses: Counter[str] = Counter()
        self.workers: set[str] = set()
        self.wrong: list[str] = []
        self.sent: dict[str, Form] = {}
        self.signed: set[str] = set()
        self.counts: list[int] = []
        self.uncounted = 0
        self.kept: dict[str, int] = {}
        self.lost = 0
        self.sources: dict[str, str] = {}
        self.fetched = 0

    def __enter__(self) -> None:
        self._changed.acquire()

    def __exit__(self, *_: object) -> None:
        self._changed.notify_all()
        self._changed.release()

    def wait_for(self, condition: Callable[[Told], bool]) -> None:
        """Wait until enough happened."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), 60), vars(self)


class Visitor:
    """One browser: views, signs, looks at pictures, and asks for the health."""

    def __init__(self, url: str, told: Told, seed: int = 0) -> None:
        self._url = url
        self._told = told
        self._random = random.Random(seed)
        self._name = f"visitor-{seed}"
        self._unsigned: list[Form] = []
        # A connection each: one that the server closes as idle would look like a fault.
        self._http = urllib3.PoolManager(
            retries=False, timeout=GIVES_UP, headers={"Connection": "close"}
        )

    def close(self) -> None:
        self._http.clear()

    def view(self) -> None:
        """Look at the page, and compare it with all that anybody was told before."""
        with self._told:
            signed, kept = set(self._told.signed), set(self._told.kept)
        answer = self._ask("view", "GET", "/", {200, 503})
        if answer is None or answer.status == 503:
            with self._told:
                self._told.uncounted += answer is None
            return self._closed(answer)
        page = answer.data.decode()
        shown = {
            unescape(each["name"]): (unescape(each["words"]), _SOURCE.search(each["rest"]))
            for each in _ENTRY.finditer(page)
        }
        count = _COUNT.search(page)
        told = self._told
        with told:
            self._claim(len(shown) == page.count('<li class="entry">'), "an entry is there twice")
            self._claim(signed <= shown.keys(), f"lacks {signed - shown.keys()}")
            for name, (words, source) in shown.items():
                self._claim(
                    name in told.sent and told.sent[name].words == words, f"{name}: {words}"
                )
                self._claim(name not in kept or source is not None, f"{name} lost its picture")
                if source:
                    told.sources[name] = unescape(source[1])
            if count:
                told.counts.append(int(count[1].replace(",", "")))
            else:
                told.uncounted += 1
        return None

    def sign(self) -> None:
        """Sign, or try again what was not taken."""
        self._sign(self._unsigned.pop() if self._unsigned else self._form())

    def sign_with_picture(self) -> None:
        """Sign with a picture that nobody else has."""
        form = self._form()
        form.picture = PNG + form.name.encode() + self._random.randbytes(20_000)
        self._sign(form)

    def finish(self) -> None:
        """Sign what was not taken before."""
        while self._unsigned:
            self._sign(self._unsigned.pop())

    def ready(self) -> None:
        """Ask whether all services answer."""
        answer = self._ask("ready", "GET", "/health/ready", {200, 503})
        if answer is not None:
            status = json.loads(answer.data)["status"]
            self._claim(status == ("up" if answer.status == 200 else "down"), f"ready: {status}")

    def live(self) -> None:
        """Ask whether the process lives."""
        self._ask("live", "GET", "/health/live", {200})

    def fetch(self) -> None:
        """Look at a picture by its signed address; it must be there if its server lived on."""
        told = self._told
        with told:
            bucket = told.bucket
            names = [each for each in told.sources if told.kept.get(each) == bucket]
            if not names:
                return
            name = self._random.choice(names)
            source = told.sources[name]
        try:
            answer = self._http.request("GET", source)
            right = answer.status == 200 and answer.data == told.sent[name].picture
        except urllib3.exceptions.HTTPError:
            right = False
        with told:
            if told.bucket == bucket:
                self._claim(right, f"the picture of {name} is not the one that was sent")
                told.fetched += right

    def _form(self) -> Form:
        name = f"{self._name}-{uuid.uuid4().hex[:8]}"
        return Form(name, f"The words of {name} & <nobody> else")

    def _sign(self, form: Form) -> None:
        with self._told:
            self._told.sent[form.name] = form
            bucket = self._told.bucket
        form.tried += 1
        fields = {"name": form.name, "message": form.words, "ticket": form.ticket}
        files = {"picture": ("p.png", form.picture)} if form.picture else {}
        answer = self._ask("sign", "POST", "/", {303, 503}, fields | files)
        if answer is None or answer.status == 503:
            self._unsigned.append(form)
            return self._closed(answer, form.name)
        about = parse_qs(urlsplit(answer.headers["Location"]).query)
        kept = about.get("picture")
        self._claim(about["signed"] == ["now"] or form.tried > 1, f"{form.name} was there before")
        with self._told:
            self._told.signed.add(form.name)
            self._told.lost += kept == ["failed"]
            if kept == ["kept"]:
                # Even: its server lived through all of the request.
                lived = bucket == self._told.bucket and bucket % 2 == 0
                self._told.kept[form.name] = bucket if lived else -1
        return None

    def _closed(self, answer: urllib3.BaseHTTPResponse | None, kept: str = "") -> None:
        """Look at an answer which says that the book cannot be opened."""
        if answer is not None:
            page = answer.data.decode()
            self._claim("cannot be opened right now" in page, "503 without a word")
            self._claim(f'value="{kept}"' in page, f"what {kept} typed is lost")
            self._claim("Retry-After" in answer.headers, "503 without Retry-After")

    def _ask(
        self,
        what: str,
        method: str,
        path: str,
        expected: set[int],
        fields: dict[str, object] | None = None,
    ) -> urllib3.BaseHTTPResponse | None:
        began = time.monotonic()
        try:
            answer = self._http.request(
                method,
                self._url + path,
                fields=fields,  # type: ignore[arg-type] # dict is invariant
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            answer = None
            self._claim(False, f"{what} got no answer: {error!r}")
        with self._told:
            self._told.answered += 1
            self._told.slowest = max(self._told.slowest, time.monotonic() - began)
            self._told.statuses[f"{what} {answer.status if answer else None}"] += 1
            if answer is not None:
                self._claim(
                    answer.status in expected, f"{what} got {answer.status}: {answer.data!r}"
                )
                self._told.workers.add(answer.headers.get("X-Worker", "none"))
        return answer

    def _claim(self, right: bool, otherwise: str) -> None:
        if not right:
            self._told.wrong.append(otherwise)


def visit(url: str, told: Told, mix: Mapping[str, int], visitors: int = 16) -> None:
    """Let many visitors do what is in the mix, in any order, and then finish what they began."""
    actions = [each for each, times in mix.items() for _ in range(times)]
    random.Random(1).shuffle(actions)
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for action in actions:
        waiting.put(action)

    def one(seed: int) -> None:
        visitor = Visitor(url, told, seed)
        try:
            while True:
                getattr(visitor, waiting.get_nowait())()
        except queue.Empty:
            visitor.finish()
        finally:
            visitor.close()

    with ThreadPoolExecutor(visitors) as pool:
        list(pool.map(one, range(visitors)))
