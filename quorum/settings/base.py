"""What the groups of settings share.

Annotations are no strings here: pydantic would compile each of them, a third of the import.
"""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from quorum.errors import ConfigurationError
from quorum.profiles.urls import SecretUrl

# At most a day: more overflows the timers of some systems.
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]

# Built when first used and not at import, which would cost 10 ms.
CONFIG = ConfigDict(
    frozen=True,
    extra="forbid",
    hide_input_in_errors=True,
    coerce_numbers_to_str=True,
    validate_by_name=True,
    defer_build=True,
)


class Frozen:
    """Refuses to be changed, in an error that does not repeat the value as pydantic's would."""

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_"):
            raise ConfigurationError(
                f"{type(self).__name__}.{name} cannot be changed: settings are read once; "
                "give load() others"
            )
        super().__setattr__(name, value)


class Group(Frozen, BaseModel):
    """The settings of one service. A field's variable is `prefix` and its name, in capitals."""

    # Built when first used and not at import, which would cost 10 ms.
    model_config = CONFIG

    noun: ClassVar[str] = ""
    prefix: ClassVar[str] = ""
    address_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            title, found = error.title, error.errors(include_input=False, include_context=False)
        else:
            return
        # Raised out here and without the values, which pydantic's own error holds.
        hidden: list[InitErrorDetails] = [
            {
                "type": PydanticCustomError(each["type"], "{rule}", {"rule": each["msg"]}),
                "loc": each["loc"],
                "input": "…",
            }
            for each in found
        ]
        raise ValidationError.from_exception_data(title, hidden, hide_input=True)

    @property
    def driver(self) -> str:
        """The name of the driver that serves: `memory` where no address is set."""
        return "memory"

    @property
    def alone(self) -> bool:
        """Whether that driver needs no server."""
        return self.driver == "memory"

    @property
    def public_address(self) -> str | None:
        """Where the server is, without user name, password or query; None without one."""
        return None

    @property
    def has_secrets(self) -> bool:
        """Whether a password or a key is set."""
        return any(isinstance(value, SecretStr) for value in vars(self).values())


class UrlGroup(Group):
    """A service that is reached by one URL."""

    @property
    def driver(self) -> str:
        return "server" if getattr(self, "url", None) else "memory"

    @property
    def public_address(self) -> str | None:
        url: SecretUrl | None = getattr(self, "url", None)
        return url.public if url else None
