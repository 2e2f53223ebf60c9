"""S3: the driver, and what bounds the calls of boto3 underneath."""

from quorum.services.storage.s3.driver import S3Storage

__all__ = ["S3Storage"]
