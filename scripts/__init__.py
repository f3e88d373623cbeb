"""Programs for people who try the gateway out: `make run`."""
