"""An engine that outlives the process that wanted it stops by itself."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 0.5


def stop_with_parent(parent_pid: int, stop: Callable[[], None]) -> None:
    """Call `stop` once when the process is gone."""
    is_parent = os.getppid() == parent_pid

    def watch() -> None:
        waiting = threading.Event()
        while _lives(parent_pid, is_parent=is_parent):
            waiting.wait(CHECK_EVERY_S)
        logger.warning("parent_gone pid=%d", parent_pid)
        stop()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _lives(pid: int, *, is_parent: bool) -> bool:
    """A dead parent may stay as a zombie that still has its number, but its children are handed on."""
    if is_parent:
        return os.getppid() == pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
