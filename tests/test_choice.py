"""Naming drivers without importing them, and picking one by the settings."""

from __future__ import annotations

import logging
import sys

import pytest

import quorum
from quorum import (
    ConfigurationError,
    Container,
    Group,
    MissingExtra,
    Settings,
    ThreadSafeSingleton,
    choose,
    graph,
    lazy,
)
from quorum.services.mailer.memory import MemoryMailer
from quorum.services.mailer.smtp import SmtpMailer
from quorum.testing import fakes


class Clock:
    """A contract."""

    def __init__(self, settings, zone=None):
        self.settings = settings
        self.zone = zone


class ServerClock(Clock):
    """A driver of it."""


class ClockSettings(Group):
    """Where the time comes from."""

    noun = "clock"
    address_names = ("CLOCK_URL", "CLOCK_HOST")

    named: str = "memory"

    @property
    def driver(self) -> str:
        return self.named


class AppSettings(Settings):
    """Settings with a group of the application."""

    clock: ClockSettings = ClockSettings()


class Clocks(Container):
    clock = ThreadSafeSingleton(
        choose(Clock, memory=Clock, server=lazy("tests.test_choice:ServerClock")),
        Container.settings.provided.clock,
        embedded=Container.settings.provided.embedded,
        zone="UTC",
    )


class KeptClock(Clock):
    """A twin that keeps its data."""

    def __init__(self, settings, zone=None, data_path=None):
        super().__init__(settings, zone)
        self.data_path = data_path


class Kept(Container):
    clock = ThreadSafeSingleton(
        choose(Clock, memory=KeptClock, server=ServerClock),
        Container.settings.provided.clock,
        embedded=Container.settings.provided.embedded,
        data_path=Container.settings.provided.data_path,
        zone="UTC",
    )


def clocks(**settings) -> Container:
    return Clocks(settings=AppSettings(**settings))


def test_the_settings_group_names_the_driver():
    """It is built with the group first, and with the other arguments of the paragraph."""
    clock = clocks(clock=ClockSettings(named="server")).clock()
    assert type(clock).__name__ == "ServerClock"
    assert clock.settings.named == "server"
    assert clock.zone == "UTC"


def test_the_container_picks_the_mailer_by_its_address(monkeypatch):
    """With SMTP_URL it is the SMTP mailer, without one the twin."""
    assert isinstance(Container(settings=Settings()).mailer(), MemoryMailer)
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1:2525")
    assert isinstance(Container(settings=Settings()).mailer(), SmtpMailer)


def test_an_unknown_driver_is_refused_by_name():
    """The error names the service, the driver asked for and those there are."""
    with pytest.raises(
        ConfigurationError, match="clock: there is no driver 'sundial'; there are memory, server"
    ):
        clocks(clock=ClockSettings(named="sundial")).clock()


def test_the_twin_is_refused_where_embedded_is_never():
    """EMBEDDED=never: the error names what would give the service an address."""
    with pytest.raises(ConfigurationError, match="set CLOCK_URL or CLOCK_HOST") as caught:
        clocks(embedded="never").clock()
    assert "EMBEDDED=never" in str(caught.value)


def test_the_server_is_not_refused_where_embedded_is_never():
    """What has an address is built as ever."""
    assert clocks(embedded="never", clock=ClockSettings(named="server")).clock() is not None


def test_the_twin_says_so_once_in_the_log(caplog):
    """One line at INFO, under the noun, however often the service is asked for."""
    container = clocks()
    with caplog.at_level(logging.INFO):
        container.clock()
        container.clock()
    lines = [(each.name, each.levelname, each.getMessage()) for each in caplog.records]
    assert lines == [
        (
            "quorum.clock",
            "INFO",
            "CLOCK_URL or CLOCK_HOST is not set: the embedded twin serves, in this process only",
        )
    ]


def test_a_key_without_an_address_is_a_warning(caplog):
    """Whoever gave one did not mean the twin."""
    with caplog.at_level(logging.INFO):
        Container(settings=Settings(storage={"id": "key", "secret": "word"})).storage()
    assert [(each.name, each.levelname) for each in caplog.records] == [
        ("quorum.storage", "WARNING")
    ]


def test_a_twin_that_keeps_its_data_says_so(caplog, tmp_path):
    """With DATA_PATH the line says where its data is."""
    container = Kept(settings=AppSettings(data_path=tmp_path))
    with caplog.at_level(logging.INFO):
        container.clock()
    assert "the embedded twin serves, out of DATA_PATH" in caplog.text


def test_the_twin_alone_is_given_the_data_path(tmp_path):
    """A driver with an address takes no such argument."""
    settings = AppSettings(data_path=tmp_path)
    assert Kept(settings=settings).clock().data_path == tmp_path
    served = AppSettings(data_path=tmp_path, clock=ClockSettings(named="server"))
    assert Kept(settings=served).clock().zone == "UTC"


def test_the_check_knows_that_only_the_twin_takes_the_data_path(tmp_path):
    """`data_path` is an argument too many for no driver."""
    for named in ("memory", "server"):
        container = Kept(settings=AppSettings(clock=ClockSettings(named=named)))
        assert list(graph.problems(container, [container.clock])) == []


def test_a_twin_in_a_test_keeps_nothing(tmp_path):
    """`fakes` builds twins without DATA_PATH."""
    settings = AppSettings(data_path=tmp_path)
    app = quorum.load(name="clocks", container=Kept, settings=settings)
    assert app.container.clock().data_path == tmp_path
    with fakes(app, only="clock") as twins:
        assert twins.clock.data_path is None


def test_a_driver_that_has_an_address_says_nothing(caplog):
    """The line is about twins."""
    with caplog.at_level(logging.INFO):
        clocks(clock=ClockSettings(named="server")).clock()
    assert caplog.records == []


def test_a_driver_is_imported_when_it_is_built_and_not_before(tmp_path, monkeypatch):
    """Naming a class, building a container and asking for other services import nothing."""
    (tmp_path / "late_driver.py").write_text("class Late:\n    def __init__(self, *a, **k): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    class Late(Container):
        clock = ThreadSafeSingleton(
            choose(Clock, server=lazy("late_driver:Late")), ClockSettings(named="server")
        )

    container = Late(settings=Settings())
    assert container.mailer() is not None
    assert "late_driver" not in sys.modules
    assert type(container.clock()).__name__ == "Late"
    sys.modules.pop("late_driver")


def test_a_missing_library_names_the_extra_that_installs_it(tmp_path, monkeypatch):
    """MissingExtra has the line to run, and the vendor's error as its cause."""
    (tmp_path / "needs_more.py").write_text("import no_such_library.part\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match=r"pip install 'quorum\[crypto\]'") as caught:
        lazy("needs_more:Driver", extra="crypto")()
    assert "no_such_library" in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_missing_library_without_an_extra_is_named_itself(tmp_path, monkeypatch):
    """The line to run installs the library."""
    (tmp_path / "needs_other.py").write_text("import no_such_library.part\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match="pip install no_such_library"):
        lazy("needs_other:Driver")()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("no_such_package.module:Class", "there is no module 'no_such_package'"),
        ("quorum.no_such_module:Class", "there is no module 'quorum.no_such_module'"),
        ("quorum.errors:NoSuchClass", "quorum.errors has no 'NoSuchClass'"),
    ],
)
def test_a_wrong_name_is_no_missing_extra(path, sentence):
    """A module or class that is not there is a mistake in the container, told as such."""
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        lazy(path, extra="crypto")()
    assert not isinstance(caught.value, MissingExtra)


@pytest.mark.parametrize("path", ["quorum.errors", "quorum.errors:", ":Class", ""])
def test_a_path_that_names_no_class_is_refused_where_it_is_written(path):
    """Not at the first use."""
    with pytest.raises(ConfigurationError, match=r"package\.module:Class"):
        lazy(path)


def test_an_error_while_a_driver_is_imported_goes_through(tmp_path, monkeypatch):
    """What the module itself raises is its own business."""
    (tmp_path / "breaks.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RuntimeError, match="broken"):
        lazy("breaks:Driver")()


def test_a_choice_and_a_lazy_class_read_as_they_were_written():
    """In the repr of a provider one sees what it chooses from."""
    written = repr(choose(Clock, server=lazy("a.b:C")))
    assert written == "choose(Clock, {'server': lazy('a.b:C')})"


def test_never_refuses_what_a_view_injects(monkeypatch):
    """EMBEDDED=never: a view that asks for mail, and no address, is an error at start-up."""
    app = quorum.load(name="never", settings=Settings(embedded="never"))

    @app.get("/")
    @quorum.inject
    def view(mailer: quorum.Mailer = quorum.Provide[Container.mailer]):
        return "sent"

    app.testing = True
    with pytest.raises(ConfigurationError, match="set SMTP_URL or SMTP_HOST"):
        app.test_client().get("/")


def test_never_refuses_nothing_that_nobody_injects():
    """EMBEDDED=never: a service that no view asks for needs no address."""
    app = quorum.load(name="never", settings=Settings(embedded="never"))

    @app.get("/")
    def view():
        return "ok"

    app.testing = True
    assert app.test_client().get("/").text == "ok"


def test_never_refuses_what_an_injected_service_needs():
    """EMBEDDED=never: asked for by a service that a view asks for is asked for."""

    class Bell:
        def __init__(self, mailer):
            self.mailer = mailer

    class Bells(Container):
        bell = ThreadSafeSingleton(Bell, Container.mailer)

    app = quorum.load(name="never", settings=Settings(embedded="never"), container=Bells)

    @app.get("/")
    @quorum.inject
    def view(bell: Bell = quorum.Provide[Bells.bell]):
        return "rung"

    app.testing = True
    with pytest.raises(ConfigurationError, match=r"container\.mailer: no address"):
        app.test_client().get("/")
