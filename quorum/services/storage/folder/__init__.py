"""The embedded twin of the storage: a file for each object, in a folder."""

from quorum.services.storage.folder.twin import FolderStorage

__all__ = ["FolderStorage"]
