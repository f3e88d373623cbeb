"""The command line, one file a command group. Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 not reachable."""
