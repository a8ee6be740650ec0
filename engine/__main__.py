"""`python -m engine --data-dir DIR --port N`: run the embedded engine until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from engine.catalogue import CannotOpen
from engine.door import is_loopback
from engine.lock import AlreadyOpen, DataDirectory
from engine.parent import stop_with_parent
from engine.server import VERSION, create_app
from engine.thread import EngineThread

logger = logging.getLogger("engine")

REFUSED_TO_START = 2
KEEP_ALIVE_S = 60
"""Longer than clients keep an idle connection (5 s): none is closed under a question that is on its way."""


class AnnouncedServer(uvicorn.Server):
    """Writes `engine.json` when the first request can be answered."""

    def __init__(self, config: uvicorn.Config, directory: DataDirectory) -> None:
        super().__init__(config)
        self._directory = directory

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if sockets and not self.should_exit:
            host, port = sockets[0].getsockname()[:2]
            self._directory.announce(host, port, VERSION)
            logger.info("engine_ready host=%s port=%d pid=%d", host, port, os.getpid())

    def stop(self) -> None:
        """Stop as after SIGTERM."""
        self.should_exit = True


def main() -> int:
    """Run the engine; 2 when it cannot start."""
    asked = _arguments()
    logging.basicConfig(level=asked.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.umask(0o077)
    if not is_loopback(asked.host):
        return _give_up(f"--host {asked.host} is not this machine: the engine listens on loopback only.")
    directory = DataDirectory(asked.data_dir)
    try:
        api_key = _api_key(asked.api_key_file)
        directory.acquire()
        listening = _listen(asked.host, asked.port)
    except (AlreadyOpen, OSError, ValueError) as error:
        return _give_up(str(error))
    try:
        _serve(directory, listening, api_key, asked.parent_pid)
    except CannotOpen as error:
        return _give_up(str(error))
    finally:
        directory.release()
    return 0


def _serve(
    directory: DataDirectory, listening: socket.socket, api_key: str | None, parent_pid: int | None
) -> None:
    engine = EngineThread(directory.path)
    engine.start()
    try:
        config = uvicorn.Config(
            create_app(engine, api_key),
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=10,
        )
        server = AnnouncedServer(config, directory)
        if parent_pid is not None:
            stop_with_parent(parent_pid, server.stop)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())  # uvicorn raises it again when it has stopped
        server.run(sockets=[listening])
    finally:
        engine.stop()
        logger.info("engine_stopped")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one; see engine.json")
    parser.add_argument("--api-key-file", type=Path, help="file with the key that clients must give")
    parser.add_argument("--parent-pid", type=int, help="stop when this process is gone")
    parser.add_argument(
        "--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO", help="what is logged"
    )
    return parser.parse_args()


def _api_key(path: Path | None) -> str | None:
    if path is None:
        return None
    key = path.read_text().strip()
    if not key:
        raise ValueError(f"{path} is empty: put the API key into it.")
    return key


def _listen(host: str, port: int) -> socket.socket:
    """Bound, so that nobody else has the port; uvicorn starts to listen when it can answer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(f"Port {port} of {host} cannot be had: {error.strerror}.") from error
    return listening


def _give_up(why: str) -> int:
    logger.error("engine_refused_to_start reason=%s", why)
    return REFUSED_TO_START


if __name__ == "__main__":
    sys.exit(main())
