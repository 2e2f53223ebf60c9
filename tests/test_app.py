"""Loading applications."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import TYPE_CHECKING

import pytest
from flask import Blueprint, Flask, url_for
from werkzeug.debug import DebuggedApplication
from werkzeug.test import Client

import quorum
from quorum import ConfigurationError, Container, NotLoaded, Settings, ThreadSafeSingleton

if TYPE_CHECKING:
    from pathlib import Path


class Till:
    """A service that tells whether it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Shop(Container):
    till = ThreadSafeSingleton(Till)


def test_load_makes_an_application():
    """`load(name=…)` makes a Flask application of that import name."""
    app = quorum.load(name="shop")
    assert isinstance(app, Flask)
    assert app.import_name == "shop"


def test_load_without_a_name_takes_the_callers_module():
    """`load()` without a name takes the module that calls it."""
    assert quorum.load().import_name == __name__


def test_load_again_gives_the_loaded_application():
    """`load()` a second time gives the application that is loaded."""
    app = quorum.load(name="shop")
    assert quorum.load() is app
    assert quorum.load(name="shop") is app


def test_load_again_with_other_arguments_is_an_error():
    """`load()` a second time with other arguments raises, and names them."""
    quorum.load(name="shop")
    with pytest.raises(ConfigurationError, match="another name, safe"):
        quorum.load(name="other", safe=True)


def test_load_returns_the_given_application():
    """`load(app=…)` returns the application that it was given."""
    app = Flask("shop")
    assert quorum.load(app=app) is app


def test_a_given_application_is_the_loaded_one():
    """After `load(app=…)`, `load()` gives that application."""
    app = quorum.load(app=Flask("shop"))
    assert quorum.load() is app
    assert quorum.get_app() is app


def test_a_factory_gives_independent_applications():
    """A factory called ten times gives ten applications with ten containers."""
    apps = [quorum.init_app(Flask("shop")) for _ in range(10)]
    assert len({id(app.container) for app in apps}) == 10


def test_the_container_is_on_the_application():
    """The container is at `app.container` and at `app.extensions["quorum"]`."""
    app = quorum.load(app=Flask("shop"))
    assert app.container is app.extensions["quorum"]


def test_loading_an_application_twice_is_an_error():
    """An application that is loaded cannot be loaded again."""
    app = quorum.load(app=Flask("shop"))
    with pytest.raises(ConfigurationError, match="loaded already"):
        quorum.load(app=app)


def test_loaded_applications_are_not_kept_alive():
    """Fifty given applications that are dropped leave none behind."""
    alive = [weakref.ref(quorum.init_app(Flask("shop"))) for _ in range(50)]
    gc.collect()
    assert [app for app in alive if app() is not None] == []


def test_keywords_go_into_the_configuration():
    """Further keywords of `load` go into `app.config`."""
    app = quorum.load(app=Flask("shop"), TESTING=True, SHELF=3)
    assert app.config["TESTING"]
    assert app.config["SHELF"] == 3


def test_the_environment_stays_out_of_the_configuration(monkeypatch: pytest.MonkeyPatch):
    """No setting of the environment is copied into `app.config`."""
    monkeypatch.setenv("SMTP_PASSWORD", "marker-password")
    app = quorum.load(app=Flask("shop"))
    assert "marker-password" not in repr(app.config)


def test_arguments_of_later_rooms_are_accepted():
    """The documented arguments whose services come later are accepted and kept."""
    app = quorum.load(None, "shop", ("pt_pt",), None, False, True, "stock", "shop", None, True)
    assert app.container.settings().mongo.database == "stock"


def test_secret_key_argument_wins(monkeypatch: pytest.MonkeyPatch):
    """The argument `secret_key` wins over SECRET_KEY."""
    monkeypatch.setenv("SECRET_KEY", "from the environment")
    assert quorum.load(app=Flask("shop"), secret_key="given").secret_key == "given"


def test_secret_key_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    """SECRET_KEY is the application's secret key."""
    monkeypatch.setenv("SECRET_KEY", "from the environment")
    assert quorum.load(app=Flask("shop")).secret_key == "from the environment"


def test_the_name_of_the_settings_is_that_of_the_application():
    """`settings.name` is Flask's `app.name` where NAME is not set."""
    assert quorum.load(app=Flask("shop")).container.settings().name == "shop"


def test_name_in_the_environment_wins(monkeypatch: pytest.MonkeyPatch):
    """NAME names the application inside; its import name stays what Flask needs."""
    monkeypatch.setenv("NAME", "bazaar")
    app = quorum.load(app=Flask("shop"))
    assert (app.container.settings().name, app.import_name) == ("bazaar", "shop")


def test_settings_may_be_a_subclass(monkeypatch: pytest.MonkeyPatch):
    """`load(settings=…)` takes a subclass of Settings with the application's own."""

    class ShopSettings(Settings):
        currency: str = "EUR"

    monkeypatch.setenv("CURRENCY", "DKK")
    app = quorum.load(app=Flask("shop"), settings=ShopSettings)
    assert app.container.settings().currency == "DKK"


def test_settings_may_be_an_instance():
    """`load(settings=…)` takes an instance as it is."""
    settings = Settings(name="bazaar")
    assert quorum.load(app=Flask("shop"), settings=settings).container.settings() is settings


@pytest.mark.parametrize("wrong", [{"level": "DEBUG"}, dict, 5])
def test_settings_of_another_kind_are_refused(wrong: object):
    """`load(settings=…)` refuses what is not Settings."""
    with pytest.raises(ConfigurationError, match="instance or a subclass"):
        quorum.load(app=Flask("shop"), settings=wrong)


@pytest.mark.parametrize("wrong", [{}, dict, Container(settings=Settings())])
def test_containers_of_another_kind_are_refused(wrong: object):
    """`load(container=…)` refuses what is not a subclass of Container."""
    with pytest.raises(ConfigurationError, match=r"subclass of quorum\.Container"):
        quorum.load(app=Flask("shop"), container=wrong)


def test_config_path_names_the_folder_of_profiles(tmp_path: Path):
    """`load(config_path=…)` reads the profiles of that folder."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "eu.yml").write_text("mailer: {host: mail.example}\n")
    app = quorum.load(app=Flask("shop"), config_path=tmp_path / "profiles", instance="eu")
    settings = app.container.settings()
    assert (settings.mailer.host, settings.name) == ("mail.example", "shop-eu")


def test_profiles_beside_the_application_are_found(tmp_path: Path):
    """Where the working directory has no `config`, the folder of the application is looked at."""
    (tmp_path / "shop" / "config").mkdir(parents=True)
    (tmp_path / "shop" / "config" / "base.yml").write_text("port: 8000\n")
    app = quorum.load(app=Flask("shop", root_path=str(tmp_path / "shop")))
    assert app.container.settings().port == 8000


def test_a_bad_configuration_loads_nothing(monkeypatch: pytest.MonkeyPatch):
    """A bad configuration stops `load`, and leaves the application as it was."""
    monkeypatch.setenv("SMTP_PORT", "many")
    app = Flask("shop")
    with pytest.raises(ConfigurationError, match=r"mailer\.port"):
        quorum.load(app=app, SHELF=3)
    assert "quorum" not in app.extensions
    assert "SHELF" not in app.config
    assert not quorum.APP


def test_unload_closes_every_service():
    """`unload()` closes the services that were built."""
    app = quorum.load(app=Flask("shop"), container=Shop)
    till = app.container.till()
    quorum.unload()
    assert till.closed == 1


def test_unload_lets_go():
    """After `unload()` nothing is loaded, and the application has no container."""
    app = quorum.load(name="shop")
    quorum.unload()
    assert not quorum.APP
    assert not hasattr(app, "container")
    with pytest.raises(NotLoaded):
        quorum.get_app()


def test_unload_of_one_application_leaves_the_other():
    """`unload(app)` closes the services of that application only."""
    first, second = (quorum.init_app(Flask("shop"), container=Shop) for _ in range(2))
    tills = [app.container.till() for app in (first, second)]
    quorum.unload(first)
    assert [till.closed for till in tills] == [1, 0]
    quorum.unload(second)


def test_unload_twice_is_a_no_op():
    """A second `unload()` does nothing."""
    quorum.load(name="shop")
    quorum.unload()
    quorum.unload()
    assert not quorum.APP


def test_load_after_unload_starts_anew():
    """After `unload()`, `load()` makes another application."""
    first = quorum.load(name="shop")
    quorum.unload()
    assert quorum.load(name="bazaar") is not first


def test_app_is_a_proxy_of_the_loaded_application():
    """`quorum.APP` stands for the loaded application, wherever it was imported before."""
    proxy = quorum.APP
    app = quorum.load(name="shop")
    assert proxy.name == "shop"
    assert proxy == app


def test_app_says_how_to_load_one():
    """`quorum.APP` without a loaded application says what to do."""
    with pytest.raises(NotLoaded, match=r"quorum\.load\(\)"):
        _ = quorum.APP.name


def test_ensure_context_enters_the_loaded_application():
    """`ensure_context` gives a function the context of the loaded application."""
    quorum.load(name="shop")

    @quorum.ensure_context
    def active() -> bool:
        return quorum.has_context()

    assert not quorum.has_context()
    assert active()


def test_ensure_context_keeps_an_active_one():
    """`ensure_context` inside of a context does not enter another."""
    quorum.load(name="shop")
    other = Flask("other")
    with other.app_context():
        assert quorum.ensure_context(quorum.get_app)() is other


def test_onrun_functions_run_once_before_the_first_view():
    """A function under `onrun` runs once, in the context, before the first view."""
    app = quorum.load(name="shop")
    calls = []

    @quorum.onrun
    def start() -> None:
        calls.append(quorum.get_app().name)

    app.add_url_rule("/", view_func=lambda: str(len(calls)))
    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["1", "1"]
    assert calls == ["shop"]


def test_the_test_client_works_on_a_loaded_application():
    """`test_client()` works without any setting of names or URLs."""
    app = quorum.load(name="shop")
    app.add_url_rule("/", "index", lambda: url_for("index", _external=True))
    assert app.test_client().get("/").text == "http://localhost/"


def test_blueprints_and_an_application_root_stay_flasks():
    """Blueprints and APPLICATION_ROOT work as they do in Flask."""
    app = quorum.load(name="shop", APPLICATION_ROOT="/shop")
    blueprint = Blueprint("shelf", __name__, url_prefix="/shelf")
    blueprint.add_url_rule("/", "index", lambda: "books")
    app.register_blueprint(blueprint)
    assert app.test_client().get("/shelf/").text == "books"
    with app.app_context(), app.test_request_context():
        assert url_for("shelf.index") == "/shop/shelf/"


def test_markup_in_tpl_templates_is_escaped(tmp_path: Path):
    """`index.html.tpl` is escaped as `index.html` is, `.txt.tpl` is not."""
    (tmp_path / "templates").mkdir()
    for name in ("index.html.tpl", "index.txt.tpl"):
        (tmp_path / "templates" / name).write_text("{{ word }}")
    app = quorum.load(app=Flask("shop", root_path=str(tmp_path)))
    render = app.container.render()
    assert render("index.html.tpl", {"word": "<b>"}) == "&lt;b&gt;"
    assert render("index.txt.tpl", {"word": "<b>"}) == "<b>"


def test_mail_templates_have_the_context_processors(tmp_path: Path):
    """Mail templates see what the application's context processors give."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.txt").write_text("{{ greeting }}, {{ name }}")
    app = quorum.load(app=Flask("shop", root_path=str(tmp_path)))
    app.context_processor(lambda: {"greeting": "Hello"})
    sent = app.container.mailer().send(
        to="ana@example.org", plain="hello.txt", context={"name": "Ana"}
    )
    assert sent.accepted == ("ana@example.org",)
    assert app.container.mailer().outbox[0].get_content().split() == ["Hello,", "Ana"]


def test_load_sets_the_level(monkeypatch: pytest.MonkeyPatch):
    """`load` sets LEVEL on the loggers of the application and of Quorum; `unload` undoes it."""
    monkeypatch.setenv("LEVEL", "TRACE")
    before = logging.getLogger("quorum").level
    quorum.load(name="shop")
    assert logging.getLogger("shop").level == logging.getLogger("quorum").level == 5
    quorum.unload()
    assert (logging.getLogger("shop").level, logging.getLogger("quorum").level) == (0, before)


def test_a_traceback_page_shows_no_secret(monkeypatch: pytest.MonkeyPatch):
    """The debugger's page for an error of a service shows no password of the settings."""
    marker = "marker-password"
    monkeypatch.setenv("SECRET_KEY", marker)
    monkeypatch.setenv("SMTP_URL", f"smtp://{marker}:{marker}@127.0.0.1:1")
    app = quorum.load(app=Flask("shop"))

    @app.get("/")
    @quorum.inject
    def index(mailer: quorum.Mailer = quorum.Provide[Container.mailer]) -> str:
        return mailer.send(sender="shop@example.org", to="ana@example.org", text="Hi").message_id

    app.debug = True
    page = Client(DebuggedApplication(app)).get("/").text
    assert "127.0.0.1:1 cannot be used" in page
    assert marker not in page


def test_onrun_functions_that_succeeded_are_not_called_again():
    """Of two `onrun` functions, the first is called once though the second fails at first."""
    app = quorum.load(name="shop", PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/", view_func=lambda: "open")
    calls = []
    quorum.onrun(lambda: calls.append("first"))

    @quorum.onrun
    def second() -> None:
        calls.append("second")
        if calls.count("second") == 1:
            raise OSError("not yet")

    client = app.test_client()
    assert [client.get("/").status_code for _ in range(3)] == [500, 200, 200]
    assert calls == ["first", "second", "second"]


@pytest.mark.parametrize("touched", [False, True])
def test_an_applications_own_autoescaping_is_kept(tmp_path: Path, touched: bool):
    """What an application chose to escape is escaped after `load`, its environment made or not."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "word.txt").write_text("{{ word }}")
    app = Flask("shop", root_path=str(tmp_path))
    app.jinja_options = {"autoescape": True}
    if touched:
        assert app.jinja_env.autoescape is True
    quorum.load(app=app)
    assert app.container.render()("word.txt", {"word": "<b>"}) == "&lt;b&gt;"


def test_arguments_complete_settings_that_are_read_already(tmp_path: Path):
    """Beside `settings=Settings(…)`, `load` still gives the key, the name and the database."""
    app = quorum.load(
        app=Flask("shop"), settings=Settings(), secret_key="given", mongo_database="stock"
    )
    settings = app.container.settings()
    assert app.secret_key == "given"
    assert settings.secret_key.get_secret_value() == "given"
    assert (settings.name, settings.mongo.database) == ("shop", "stock")


@pytest.mark.parametrize("argument", [{"instance": "eu"}, {"config_path": "config"}])
def test_settings_that_are_read_already_take_no_profile(argument: dict[str, str]):
    """`instance` and `config_path` come too late for settings that were read before."""
    with pytest.raises(ConfigurationError, match="read already"):
        quorum.load(app=Flask("shop"), settings=Settings(), **argument)


def test_the_secret_key_may_be_bytes():
    """Any bytes are a secret key, as in Flask."""
    assert quorum.load(app=Flask("shop"), secret_key=b"\xff\x00").secret_key == b"\xff\x00"


@pytest.mark.parametrize(
    "wrong",
    [{"app": "shop"}, {"name": 5}, {"logger": 5}, {"config_path": 5}, {"secret_key": 5}],
)
def test_arguments_of_another_type_are_refused(wrong: dict[str, object]):
    """An argument of another type is an error that names it, and nothing is loaded."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        quorum.load(**wrong)
    assert not quorum.APP


def test_ensure_context_holds_while_a_coroutine_waits():
    """`ensure_context` on a coroutine function gives it the context until it ends."""
    quorum.load(name="shop")

    @quorum.ensure_context
    async def active() -> bool:
        await asyncio.sleep(0)
        return quorum.has_context()

    assert asyncio.run(active())
