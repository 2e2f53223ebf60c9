"""One application for each way to a service, each with views that use 1, 3 and 6 of them."""
