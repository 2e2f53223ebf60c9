"""What `quorum run` serves with."""
