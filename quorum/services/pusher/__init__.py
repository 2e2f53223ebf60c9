"""Pusher: the contract, the embedded twin, and the driver over HTTPS."""
