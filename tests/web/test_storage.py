"""The signed URLs of the embedded storage: who gets what, and who is refused."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask, request

import quorum
from quorum.services.storage.folder import FolderStorage
from quorum.settings import Settings, StorageSettings
from quorum.testing import fakes
from tests.programs import serving
from tests.services.storage.site import Site, ask
from tests.services.storage.test_names import hostile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient


@pytest.fixture
def app() -> Iterator[Flask]:
    """Load an application that serves an embedded storage."""
    app = Flask("site")
    quorum.load(app, settings=Settings())
    yield app
    quorum.unload(app)


@pytest.fixture
def storage(app: Any) -> FolderStorage:
    """Give the storage of the application."""
    storage: FolderStorage = app.container.storage()
    return storage


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def site(app: Flask) -> Iterator[Site]:
    """Serve the application on a port."""
    site = Site(app)
    yield site
    site.close()


class TestGiving:
    """GET and HEAD."""

    def test_an_object_comes_with_what_is_known_of_it(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Type, length, ETag and date; kept by nobody but the browser, and not guessed about."""
        storage.put("a/photo.png", b"pixels")
        answer = client.get(storage.url("a/photo.png"))
        assert (answer.status_code, answer.data) == (200, b"pixels")
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.content_length == 6
        assert answer.get_etag() == (storage.stat("a/photo.png").etag, False)
        assert answer.last_modified == storage.stat("a/photo.png").modified
        assert answer.headers["Cache-Control"] == "private"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Accept-Ranges"] == "bytes"

    def test_head_gives_the_same_without_the_bytes(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """By the URL of GET."""
        storage.put("a", b"figures")
        url = storage.url("a")
        answer = client.head(url)
        assert (answer.status_code, answer.data, answer.content_length) == (200, b"", 7)
        assert answer.headers["ETag"] == client.get(url).headers["ETag"]

    @pytest.mark.parametrize(
        ("asked", "given", "where"),
        [
            ("bytes=0-3", b"0123", "bytes 0-3/10"),
            ("bytes=4-", b"456789", "bytes 4-9/10"),
            ("bytes=-2", b"89", "bytes 8-9/10"),
            ("bytes=8-100", b"89", "bytes 8-9/10"),
        ],
    )
    def test_a_range_is_given(
        self, storage: FolderStorage, client: FlaskClient, asked: str, given: bytes, where: str
    ) -> None:
        """Just those bytes, and never one past the object."""
        storage.put("a", b"0123456789", metadata={"secret": "of ours"})
        answer = client.get(storage.url("a"), headers={"Range": asked})
        assert (answer.status_code, answer.data) == (206, given)
        assert answer.headers["Content-Range"] == where

    @pytest.mark.parametrize("asked", ["bytes=10-", "bytes=5-2", "bytes=a-b"])
    def test_a_range_outside_is_not_satisfiable(
        self, storage: FolderStorage, client: FlaskClient, asked: str
    ) -> None:
        """There is nothing to give."""
        storage.put("a", b"0123456789")
        assert client.get(storage.url("a"), headers={"Range": asked}).status_code == 416

    def test_what_the_browser_has_is_not_sent_again(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """By ETag and by date; another version is."""
        storage.put("a", b"figures")
        url = storage.url("a")
        first = client.get(url)
        for headers in (
            {"If-None-Match": first.headers["ETag"]},
            {"If-Modified-Since": first.headers["Last-Modified"]},
        ):
            again = client.get(url, headers=headers)
            assert (again.status_code, again.data) == (304, b"")
        storage.put("a", b"new figures")
        changed = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert (changed.status_code, changed.data) == (200, b"new figures")

    def test_a_condition_that_fails_gives_nothing(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Of another version no byte is sent."""
        storage.put("a", b"figures")
        answer = client.get(storage.url("a"), headers={"If-Match": '"other"'})
        assert answer.status_code == 412
        assert b"figures" not in answer.data

    @pytest.mark.parametrize(
        ("content_type", "shown"),
        [
            ("image/png", True),
            ("image/jpeg", True),
            ("text/plain; charset=utf-8", True),
            ("video/mp4", True),
            ("application/pdf", True),
            ("application/json", True),
            ("text/html", False),
            ("TEXT/HTML", False),
            ("text/html; charset=utf-8", False),
            ("image/svg+xml", False),
            ("application/xhtml+xml", False),
            ("text/xml", False),
            ("text/javascript", False),
            ("application/javascript", False),
            ("application/octet-stream", False),
            ('text/plain; a="b, text/html"', False),
            ("image/png; charset=utf-8; x=y", False),
        ],
    )
    def test_what_could_run_is_not_shown(
        self, storage: FolderStorage, client: FlaskClient, content_type: str, shown: bool
    ) -> None:
        """A page that a visitor uploaded must not act for the application, whose origin it has."""
        storage.put("page", b"<script>alert(1)</script>", content_type=content_type)
        headers = client.get(storage.url("page")).headers
        assert headers["Content-Type"] == content_type
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers.get("Content-Disposition", "").startswith("attachment") is not shown
        assert (headers.get("Content-Security-Policy") == "sandbox") is not shown

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("a/page.html", "page.html"),
            ('a/"quo;ted\\.html', "%22quo%3Bted%5C.html"),
            ("日本.html", "%E6%97%A5%E6%9C%AC.html"),
        ],
    )
    def test_a_download_is_named(
        self, storage: FolderStorage, client: FlaskClient, name: str, told: str
    ) -> None:
        """After the last part, whatever its alphabet."""
        storage.put(name, b"x")
        headers = client.get(storage.url(name)).headers
        assert headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{told}"

    def test_large_objects_take_little_memory(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """64 MB are sent in pieces."""
        storage.put("a", bytes(64 * 2**20))
        tracemalloc.start()
        try:
            with client.get(storage.url("a")) as answer:
                assert sum(map(len, answer.response)) == 64 * 2**20
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()

    def test_what_is_not_there_is_not_found(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """To whoever may ask for it."""
        assert client.get(storage.url("missing")).status_code == 404

    def test_every_answer_lets_go_of_the_file(
        self, storage: FolderStorage, client: FlaskClient, tmp_path: Path
    ) -> None:
        """Also those that do not send it."""
        storage.put("a", b"x" * 100_000)
        url = storage.url("a")

        def use() -> None:
            etag = client.head(url).headers["ETag"]
            client.get(url).close()
            client.get(url, headers={"If-None-Match": etag}).close()
            client.get(url, headers={"If-Match": '"other"'}).close()
            client.get(url, headers={"Range": "bytes=1-5"}).close()
            client.get(url, headers={"Range": "bytes=900000-"}).close()

        use()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(10):
            use()
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestStoring:
    """PUT."""

    def test_what_is_put_is_stored_with_its_type(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """In the place of what was there."""
        storage.put("a.png", b"old", metadata={"by": "ana"})
        url = storage.url("a.png", method="PUT")
        assert client.put(url, data=b"new", content_type="image/x").status_code == 200
        found = storage.stat("a.png")
        assert (storage.get("a.png"), found.content_type) == (b"new", "image/x")
        assert dict(found.metadata) == {}

    def test_without_a_type_it_is_guessed(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """From the name, as put does."""
        client.put(storage.url("a.png", method="PUT"), data=b"pixels")
        assert storage.stat("a.png").content_type == "image/png"

    def test_a_form_is_stored_as_it_was_sent(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Flask does not read it first."""
        kind = "application/x-www-form-urlencoded"
        client.put(storage.url("a", method="PUT"), data=b"a=1&b=2", content_type=kind)
        assert storage.get("a") == b"a=1&b=2"

    def test_a_body_that_was_read_before_is_not_stored_as_nothing(
        self, app: Flask, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Such as by a function before the request; the old object stays."""
        app.before_request(lambda: request.get_data() and None)
        storage.put("a", b"old")
        answer = client.put(storage.url("a", method="PUT"), data=b"new")
        assert answer.status_code in {200, 400}
        assert storage.get("a") == (b"new" if answer.status_code == 200 else b"old")

    def test_a_type_that_is_none_is_told(self, storage: FolderStorage, client: FlaskClient) -> None:
        """As a bad request; nothing is stored."""
        answer = client.put(storage.url("a", method="PUT"), data=b"x", content_type="a/b, c/d")
        assert answer.status_code == 400
        assert not storage.exists("a")

    def test_max_content_length_holds(
        self, app: Flask, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """A larger body is refused, one of just that size is stored."""
        app.config["MAX_CONTENT_LENGTH"] = 1000
        url = storage.url("a", method="PUT")
        assert client.put(url, data=b"x" * 1001).status_code == 413
        assert not storage.exists("a")
        for terminated in (True, False):
            extra = {"wsgi.input_terminated": True} if terminated else {}
            assert client.put(url, data=b"x" * 1000, environ_overrides=extra).status_code == 200
            assert storage.stat("a").size == 1000
            storage.delete("a")

    @pytest.mark.parametrize("terminated", [True, False])
    def test_half_a_body_is_not_stored(
        self, storage: FolderStorage, client: FlaskClient, terminated: bool
    ) -> None:
        """Whether the server tells of the lost connection or, as gunicorn, just ends the body."""
        storage.put("a", b"old")
        environ: dict[str, Any] = {"CONTENT_LENGTH": "1000"}
        if terminated:
            environ["wsgi.input_terminated"] = True
        url = storage.url("a", method="PUT")
        answer = client.put(url, data=b"half", environ_overrides=environ)
        assert answer.status_code == 400
        assert storage.get("a") == b"old"

    def test_a_body_without_a_length_needs_an_end(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Where the server cannot tell it, it is not taken for nothing."""
        url = storage.url("a", method="PUT")
        unknown = {"CONTENT_LENGTH": ""}
        answer = client.put(url, data=b"figures", environ_overrides=unknown)
        assert answer.status_code == 411
        assert not storage.exists("a")
        ended = {**unknown, "wsgi.input_terminated": True}
        answer = client.put(url, data=b"figures", environ_overrides=ended)
        assert answer.status_code == 200
        assert storage.get("a") == b"figures"

    def test_a_chunked_body_is_stored(self, site: Site, storage: FolderStorage) -> None:
        """Over a real connection."""
        url = urlsplit(storage.url("a", method="PUT"))
        where = urlsplit(site.url)
        connection = http.client.HTTPConnection("127.0.0.1", where.port, timeout=15)
        connection.request("PUT", f"{url.path}?{url.query}", body=iter([b"one ", b"two"]))
        assert connection.getresponse().status == 200
        connection.close()
        assert storage.get("a") == b"one two"

    def test_a_connection_that_is_lost_stores_nothing(
        self, site: Site, storage: FolderStorage
    ) -> None:
        """Over a real connection; no draft stays."""
        storage.put("a", b"old")
        url = storage.url("a", method="PUT")
        with socket.create_connection(("127.0.0.1", urlsplit(site.url).port), 15) as lost:
            lost.sendall(
                f"PUT {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf".encode()
            )
            end = time.monotonic() + 15
            while not list((storage.path / "drafts").iterdir()) and time.monotonic() < end:
                time.sleep(0.01)
            assert list((storage.path / "drafts").iterdir())
        while list((storage.path / "drafts").iterdir()) and time.monotonic() < end:
            time.sleep(0.01)
        assert not list((storage.path / "drafts").iterdir())
        assert storage.get("a") == b"old"


class TestRefusing:
    """Everything that was not signed."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
            lambda url: url[:-1],
            lambda url: url + "0",
            lambda url: url.rpartition("&")[0],
            lambda url: url.partition("?")[0],
            lambda url: url.replace("signature=", "signature=%C3%A9"),
            lambda url: url.partition("signature=")[0] + "signature=%ED%A0%80",
            lambda url: url.partition("signature=")[0] + "signature=%00",
            lambda url: url.partition("signature=")[0] + "signature=",
            lambda url: url.replace("expires=", "expires=9"),
            lambda url: url.replace("expires=", "expires=%2B"),
            lambda url: url.replace("expires=", "expires=+"),
            lambda url: url.replace("expires=", "expires=" + "9" * 5000),
            lambda url: url.replace("expires=", "expires=x"),
            lambda url: url.replace("expires=", "expires=&e="),
            lambda url: url.replace("/a?", "/b?"),
            lambda url: url.replace("/a?", "/A?"),
            lambda url: url.replace("/a?", "/a/b?"),
            lambda url: url.replace("/a?", "/a/?"),
            lambda url: url.replace("/a?", "/x/../a?"),
            lambda url: url.replace("/a?", "/%2e%2e/%2e%2e/etc/passwd?"),
            lambda url: url.replace("/a?", "/..%2F..%2Fetc%2Fpasswd?"),
            lambda url: url.replace("/a?", "/%00?"),
            lambda url: url.replace("/a?", "/%FF%FE?"),
        ],
    )
    def test_a_changed_url_is_forbidden(
        self, storage: FolderStorage, client: FlaskClient, change: Any
    ) -> None:
        """Whatever part of it; nothing is given, and nothing stored."""
        for name in ("a", "b", "A", "a/b"):
            storage.put(name, b"figures")
        answer = client.get(change(storage.url("a")))
        assert answer.status_code == 403
        assert b"figures" not in answer.data
        assert client.put(change(storage.url("a", method="PUT")), data=b"x").status_code == 403
        assert {storage.get(name) for name in storage.names()} == {b"figures"}

    def test_the_url_of_one_method_is_not_that_of_another(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Who may read may not write, nor the other way."""
        storage.put("a", b"figures")
        assert client.put(storage.url("a"), data=b"x").status_code == 403
        assert client.get(storage.url("a", method="PUT")).status_code == 403
        assert client.head(storage.url("a", method="PUT")).status_code == 403
        for method in ("POST", "DELETE", "PATCH"):
            assert client.open(storage.url("a"), method=method).status_code in {403, 405}
        assert storage.get("a") == b"figures"

    def test_a_url_expires(
        self, storage: FolderStorage, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After the seconds that were asked for, and not before."""
        storage.put("a", b"figures")
        url = storage.url("a", expires_in=60)
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now + 59)
        assert client.get(url).status_code == 200
        monkeypatch.setattr("time.time", lambda: now + 62)
        assert client.get(url).status_code == 403

    def test_hostile_names_are_never_outside(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Without a signature, and with one that was stolen from another name."""
        storage.put("good", b"x")
        query = storage.url("good", method="PUT").partition("?")[2]
        for name in hostile(300):
            path = f"/_quorum/storage/{quote(name, safe='', errors='surrogatepass')}?{query}"
            assert client.put(path, data=b"evil").status_code in {308, 403, 404, 405}
        assert list(storage.names()) == ["good"]

    def test_the_signature_of_another_application_is_none(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Each has a key of its own."""
        other = FolderStorage(StorageSettings(), locate=str)
        storage.put("a", b"figures")
        assert client.get(other.url("a")).status_code == 403

    def test_s3_is_not_served_here(self, app: Any, client: FlaskClient) -> None:
        """Its own server does that."""
        quorum.unload(app)
        quorum.load(app, settings=Settings(storage=StorageSettings(bucket="b", region="us-east-1")))
        assert client.get("/_quorum/storage/a?expires=1&signature=x").status_code == 404
        assert client.put("/_quorum/storage/a?expires=1&signature=x").status_code == 404

    def test_a_storage_that_must_not_be_embedded_is_not_served(
        self, app: Any, client: FlaskClient
    ) -> None:
        """EMBEDDED=never: whoever asks is told nothing, and nothing breaks."""
        quorum.unload(app)
        quorum.load(app, settings=Settings(embedded="never"))
        assert client.get("/_quorum/storage/a?expires=1&signature=x").status_code == 404

    def test_a_storage_out_of_order_is_told(
        self, app: Flask, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """As a service that is not available; the reason is in the log alone."""
        storage.put("a", b"x")
        (storage.path / "objects" / "a").write_bytes(b"spoiled")
        answer = client.get(storage.url("a"))
        assert answer.status_code == 503
        assert str(storage.path) not in answer.text


class TestPlaces:
    """Where a URL is."""

    def test_outside_of_a_request_it_is_a_path(
        self, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """Without anything that tells the host."""
        storage.put("a", b"figures")
        assert storage.url("a").startswith("/_quorum/storage/a?expires=")
        assert client.get(storage.url("a")).data == b"figures"

    def test_in_a_request_it_is_where_that_came_in(
        self, app: Flask, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """With scheme, host, port and SCRIPT_NAME; and it works there."""
        app.add_url_rule("/url", view_func=lambda: storage.url("a b"))
        storage.put("a b", b"figures")
        mounted = {"SCRIPT_NAME": "/shop"}
        url = client.get(
            "/url", base_url="https://example.org:8443/shop", environ_overrides=mounted
        ).text
        assert url.startswith("https://example.org:8443/shop/_quorum/storage/a%20b?")
        path = url.removeprefix("https://example.org:8443/shop")
        assert client.get(path, environ_overrides=mounted).data == b"figures"

    @pytest.mark.parametrize("base", ["https://example.org/shop", "https://example.org/shop/"])
    def test_with_base_url_it_is_there(self, base: str) -> None:
        """Inside and outside of a request, with the path of BASE_URL."""
        app: Any = Flask("site")
        quorum.load(app, settings=Settings(base_url=base))
        storage = app.container.storage()
        app.add_url_rule("/url", view_func=lambda: storage.url("a"))
        start = "https://example.org/shop/_quorum/storage/a?"
        assert storage.url("a").startswith(start)
        assert app.test_client().get("/url").text.startswith(start)
        quorum.unload(app)

    def test_with_server_name_it_is_there(self, app: Flask, storage: FolderStorage) -> None:
        """Outside of a request, as with Flask's own URLs."""
        app.config["SERVER_NAME"] = "example.org"
        app.config["APPLICATION_ROOT"] = "/shop"
        app.config["PREFERRED_URL_SCHEME"] = "https"
        assert storage.url("a").startswith("https://example.org/shop/_quorum/storage/a?")
        with app.app_context():
            assert storage.url("a").startswith("https://example.org/shop/_quorum/storage/a?")

    def test_the_request_of_another_application_tells_nothing(self, storage: FolderStorage) -> None:
        """Its host does not serve this one's objects."""
        other = Flask("other")
        with other.test_request_context(base_url="https://other.example.org"):
            assert storage.url("a").startswith("/_quorum/storage/a?")

    def test_fakes_serve_theirs(
        self, app: Flask, storage: FolderStorage, client: FlaskClient
    ) -> None:
        """In a test, the URL of the fake gives the object of the fake."""
        storage.put("a", b"of the application")
        with fakes(app) as faked:
            faked.storage.put("a", b"of the test")
            assert client.get(faked.storage.url("a")).data == b"of the test"
            assert client.get(storage.url("a")).status_code == 403
        assert client.get(storage.url("a")).data == b"of the application"


APP = """
import quorum
from flask import Flask, Response, current_app

app = Flask("site")
quorum.load(app)

@app.get("/url/<method>")
def url(method):
    return quorum.current.container().storage().url("shared.bin", method=method)

@app.get("/worker")
def worker():
    import os
    return str(os.getpid())
"""


def test_workers_serve_the_urls_of_each_other(tmp_path: Path) -> None:
    """Under gunicorn, with DATA_PATH: what one signs and stores, another gives."""
    (tmp_path / "site_app.py").write_text(APP)
    words = ("gunicorn", "-w", "3", "-b", "127.0.0.1:0", "--chdir", str(tmp_path), "site_app:app")
    with serving(tmp_path / "log", *words, DATA_PATH=str(tmp_path / "data")) as server:
        root = server.wait_for(r"Listening at: (http://[\d.:]+)")[1]
        # Each connection is new, so the workers take turns, once they have started.
        workers = set()
        end = time.monotonic() + 15
        while len(workers) < 2 and time.monotonic() < end:
            workers.add(ask(f"{root}/worker").body)
        assert len(workers) == 2
        bodies = [bytes([65 + number]) * 100_000 for number in range(4)]

        def put(body: bytes) -> int:
            return ask(ask(f"{root}/url/PUT").body.decode(), "PUT", body).status

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(put, bodies)) == [200] * 4
        urls = {ask(f"{root}/url/GET").body.decode() for _ in range(3)}
        answers = [ask(url) for url in urls for _ in range(10)]
        assert {answer.status for answer in answers} == {200}
        (body,) = {answer.body for answer in answers}
        assert body in bodies
        # Half a body: gunicorn only ends it.
        url = urlsplit(ask(f"{root}/url/PUT").body.decode())
        with socket.create_connection(("127.0.0.1", url.port), 15) as lost:
            head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"
            lost.sendall(head.encode() + b"half")
            lost.shutdown(socket.SHUT_WR)
            assert b" 400 " in lost.recv(1000)
        assert ask(next(iter(urls))).body == body


def test_threads_that_put_by_url_store_whole_objects(site: Site, storage: FolderStorage) -> None:
    """Of eight at once one wins."""
    url = site.url + storage.url("a", method="PUT")
    bodies = [bytes([65 + number]) * 200_000 for number in range(8)]
    barrier = threading.Barrier(8)

    def put(body: bytes) -> int:
        barrier.wait(10)
        return ask(url, "PUT", body).status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put, bodies)) == [200] * 8
    assert storage.get("a") in bodies
