"""Mail: the contract, the embedded twin with its outbox, and SMTP."""
