"""TCP ports that are free now, taken from below the range the kernel hands out by itself."""

from __future__ import annotations

import os
import random
import socket

_chosen: set[int] = set()
_random = random.Random(os.urandom(8))


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on and that this process did not give out before."""
    while True:
        port = _random.randrange(10_000, 32_000)
        if port in _chosen:
            continue
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        _chosen.add(port)
        return port
