"""The Flask side of the services."""
