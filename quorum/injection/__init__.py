"""Injecting services into functions: `@inject` and `Provide[Container.mailer]`."""

from quorum.injection.decorator import Provide, inject
from quorum.injection.plans import Injection

__all__ = ["Injection", "Provide", "inject"]
