"""The settings of the pusher: complete ones, half-set ones, and where they lead to."""

from __future__ import annotations

import pytest

from quorum.errors import ConfigurationError, Rejected
from quorum.services.pusher.remote import RemotePusher
from quorum.settings import PusherSettings, Settings

WHOLE = {"PUSHER_APP_ID": "7", "PUSHER_KEY": "marker-k", "PUSHER_SECRET": "marker-s"}


def load(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> PusherSettings:
    """Load the settings from the environment."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings().pusher


def test_an_application_is_a_number_a_key_and_a_secret(monkeypatch):
    """With the three of them the driver serves."""
    settings = load(monkeypatch, WHOLE)

    assert (settings.driver, settings.public_address) == ("remote", "pusher/apps/7")


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "pusher/apps/7"),
        ({"PUSHER_CLUSTER": "eu"}, "eu/apps/7"),
        ({"PUSHER_HOST": "soketi", "PUSHER_CLUSTER": "eu"}, "soketi/apps/7"),
    ],
)
def test_an_address_is_shown_without_keys(monkeypatch, variables, address):
    """Reports say where it is, and which application."""
    assert load(monkeypatch, WHOLE | variables).public_address == address


@pytest.mark.parametrize("missing", ["PUSHER_KEY", "PUSHER_SECRET"])
@pytest.mark.parametrize("empty", [True, False])
def test_half_an_application_is_an_error(monkeypatch, missing, empty):
    """The error names the variable that is missing, and no value of the others."""
    half = WHOLE | {missing: ""}
    if not empty:
        del half[missing]

    with pytest.raises(ConfigurationError) as caught:
        load(monkeypatch, half)

    assert [problem.names for problem in caught.value.problems] == [(missing,)]
    assert "marker" not in f"{caught.value}{caught.value.problems!r}"


def test_both_missing_are_told_at_once(monkeypatch):
    """A number alone lacks two things."""
    with pytest.raises(ConfigurationError) as caught:
        load(monkeypatch, {"PUSHER_APP_ID": "7"})

    assert str(caught.value).count("is needed too where PUSHER_APP_ID is set") == 2


@pytest.mark.parametrize("app_id", ["app1", "1.5", "-1", "7/x", "\u0667", "7\n", " 7"])
def test_the_application_is_digits_alone(monkeypatch, app_id):
    """Anything else would become a part of the path."""
    with pytest.raises(ConfigurationError, match=r"pusher\.app_id.*digits"):
        load(monkeypatch, WHOLE | {"PUSHER_APP_ID": app_id})


@pytest.mark.parametrize("cluster", ["e u", "eu.evil.example/", "eu/", "-eu", "eu-", "é", "e" * 60])
def test_a_cluster_is_a_part_of_a_host_name(monkeypatch, cluster):
    """Anything else would lead elsewhere."""
    with pytest.raises(ConfigurationError, match=r"pusher\.cluster"):
        load(monkeypatch, {"PUSHER_CLUSTER": cluster})


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "https://api.pusherapp.com:443"),
        ({"PUSHER_CLUSTER": "eu"}, "https://api-eu.pusher.com:443"),
        ({"PUSHER_CLUSTER": "eu", "PUSHER_SSL": "no"}, "http://api-eu.pusher.com:80"),
        ({"PUSHER_HOST": "soketi", "PUSHER_CLUSTER": "eu"}, "https://soketi:443"),
        ({"PUSHER_HOST": "::1", "PUSHER_PORT": "6001"}, "https://[::1]:6001"),
    ],
)
def test_the_settings_lead_to_a_server(monkeypatch, variables, url):
    """A host of one's own wins over the cluster; port and scheme are honoured."""
    remote = RemotePusher(load(monkeypatch, WHOLE | variables))

    client = remote.client
    remote.close()

    sender = client._pusher_client
    assert f"{sender.scheme}://{sender.host}:{sender.port}" == url


@pytest.mark.parametrize("name", ["PUSHER_KEY", "PUSHER_SECRET"])
@pytest.mark.parametrize("value", ["marker a", "marker&a=b", "markér", "marker\udc80", "marker/x"])
def test_keys_are_of_plain_characters(monkeypatch, name, value):
    """Anything else was not copied well; it is not repeated."""
    with pytest.raises(ConfigurationError, match="must be of letters") as caught:
        load(monkeypatch, WHOLE | {name: value})

    assert "marker" not in f"{caught.value}{caught.value.problems!r}"


@pytest.mark.parametrize(
    "proxy", ["socks5://ana:marker@h", "ftp://ana:marker@h", "http://[:marker"]
)
def test_a_proxy_that_cannot_be_used_is_told(monkeypatch, proxy):
    """The error says where it comes from, and nothing of what may be a password."""
    monkeypatch.setenv("https_proxy", proxy)
    remote = RemotePusher(load(monkeypatch, WHOLE))

    with pytest.raises(Rejected, match="HTTPS_PROXY") as caught:
        remote.prepare()

    assert "marker" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


def test_a_driver_without_an_application_is_an_error():
    """Who builds it by hand is told what it needs."""
    with pytest.raises(ConfigurationError, match="PUSHER_APP_ID"):
        RemotePusher(PusherSettings())
