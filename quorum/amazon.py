"""The documented names of flask-quorum for S3, over the storage."""
