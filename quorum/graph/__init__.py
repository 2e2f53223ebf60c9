"""The providers of a container as a graph: built as one, and looked at before it serves."""

from quorum.graph.checks import problems, provided_class, unknown_settings

__all__ = ["problems", "provided_class", "unknown_settings"]
