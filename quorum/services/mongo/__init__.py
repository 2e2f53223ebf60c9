"""MongoDB: the contract, its embedded twin, and the driver over pymongo."""
