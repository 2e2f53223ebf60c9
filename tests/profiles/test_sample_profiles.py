"""The profiles in `config/`, which people copy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quorum.settings import Settings

CONFIG = Path(__file__).parents[2] / "config"
INSTANCES = ["development", "testing", "production"]


def test_the_samples_are_a_base_and_three_instances():
    """`config/` holds base.yml, development.yml, testing.yml and production.yml."""
    assert sorted(path.name for path in CONFIG.iterdir()) == [
        "base.yml",
        "development.yml",
        "production.yml",
        "testing.yml",
    ]


@pytest.mark.parametrize("instance", INSTANCES)
def test_a_sample_loads(instance: str):
    """Every key of a sample profile and of base.yml is a real setting with a good value."""
    settings = Settings(instance=instance, _config_path=CONFIG)

    sources = {origin.source for origins in settings.origins.values() for origin in origins}
    assert sources == {"arguments", "config/base.yml", f"config/{instance}.yml"}


@pytest.mark.parametrize("instance", INSTANCES)
def test_what_a_sample_comments_out_is_real_too(instance: str, tmp_path: Path):
    """With the # of its commented settings removed, a sample profile still loads."""
    for name in ("base.yml", f"{instance}.yml"):
        text = re.sub(r"(?m)^( *)#(?=\w|  +\w+:)", r"\1", (CONFIG / name).read_text())
        (tmp_path / name).write_text(text)

    settings = Settings(instance=instance, _config_path=tmp_path)

    assert settings.name == f"shop-{instance}"
    assert settings.mongo.driver == ("server" if instance == "development" else "memory")


def test_production_forbids_twins():
    """`INSTANCE=production` with the sample profile sets `embedded` to never."""
    assert Settings(instance="production", _config_path=CONFIG).embedded == "never"


def test_development_is_development():
    """The sample for development has a level below INFO, and that for production has not."""
    assert Settings(instance="development", _config_path=CONFIG).development
    assert not Settings(instance="production", _config_path=CONFIG).development


@pytest.mark.parametrize("instance", [None, *INSTANCES])
def test_samples_reach_no_server(instance: str | None):
    """No sample profile sets the address of a service: a checkout sends no mail."""
    settings = Settings(instance=instance, _config_path=CONFIG)

    groups = ["mailer", "mongo", "redis", "amqp", "storage", "pusher"]
    assert {getattr(settings, noun).driver for noun in groups} == {"memory"}
