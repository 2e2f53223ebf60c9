"""What can be set beside all that Quorum knows, as GUESTBOOK_TITLE and so on."""

from pydantic import Field

import quorum


class GuestbookGroup(quorum.Group):
    """The guestbook itself."""

    title: str = Field(default="Guestbook", description="Heading of the page")
    owner: str | None = Field(default=None, description="Address that answers to the mail reach")
    keep: int = Field(default=200, ge=1, description="Entries that are kept; the oldest go first")
    picture_size: int = Field(
        default=2_000_000, ge=1, description="Bytes that a picture may have at most"
    )
    streams: int = Field(
        default=2,
        ge=0,
        description="Browsers that follow new entries at a time in one process, a thread each",
    )
    pusher_js: str = Field(
        default="https://js.pusher.com/8.4.0/pusher.min.js",
        description="Where browsers have Pusher's script from, if PUSHER_APP_ID is set",
    )


class GuestbookSettings(quorum.Settings):
    """The settings of Quorum, and ours."""

    guestbook: GuestbookGroup = GuestbookGroup()
