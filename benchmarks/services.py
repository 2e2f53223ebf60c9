"""Six services without any work of their own, so that only finding them is measured."""


class First:
    """A service."""


class Second:
    """A service."""


class Third:
    """A service."""


class Fourth:
    """A service."""


class Fifth:
    """A service."""


class Sixth:
    """A service."""
