"""AMQP: the contract, the embedded twin, and the driver over pika."""
