"""Storage of objects: the contract, its embedded twin in a folder, and the driver over S3."""
