"""Writing a mail as RFC 5322 and RFC 2046 have it."""
