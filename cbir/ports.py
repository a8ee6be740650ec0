"""Ports of this machine for the programs we start."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import deque

HELD = 128

# File descriptors of the sockets that keep the ports given last. They are the process's, as its ports are,
# and end with it; closing the oldest of many spares file descriptors.
_held: deque[int] = deque()
_lock = threading.Lock()


def free_port() -> int:
    """A loopback port that nobody listens on, and that the system gives to nobody else meanwhile.

    A port that was only looked up may be taken before its program listens: by another program that wants
    any port, or by an outgoing connection. So a bound socket that never listens keeps it. On Linux a server
    that sets SO_REUSEADDR, as every program here does, can bind and listen beside such a socket; until then
    connections are refused. Other systems do not allow that: there the port is only looked up.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    port = int(keeper.getsockname()[1])
    if sys.platform != "linux":
        keeper.close()
        return port
    with _lock:
        _held.append(keeper.detach())
        if len(_held) > HELD:
            os.close(_held.popleft())
    return port
