"""Redis: the contract, its embedded twin, and the driver over redis-py."""
