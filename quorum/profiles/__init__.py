"""Where settings come from: the sources, their order, and which won for each."""

from quorum.profiles.reading import ConfigurationWarning, Origin, Profile, explain, read

__all__ = ["ConfigurationWarning", "Origin", "Profile", "explain", "read"]
