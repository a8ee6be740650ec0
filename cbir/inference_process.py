"""`cbir worker`: lease and index, and embed for those who ask without an encoder of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from cbir.deployment import Deployment
from cbir.supervise import end_with_parent
from inference.app import create_app

logger = logging.getLogger(__name__)

GRACE_S = 2
KEEP_ALIVE_S = 60
"""Longer than clients keep an idle connection (5 s): none is closed under a question that is on its way."""


def work(deployment: Deployment, stop: threading.Event, *, parent_pid: int = 0) -> None:
    """Index until `stop` is set, answering POST /embeddings beside when the settings give a port.

    Args:
        deployment: the ports of this installation.
        stop: ends the work; what is leased is finished first.
        parent_pid: end when this process is gone; 0 stays.
    """
    if parent_pid:
        end_with_parent(parent_pid, stop)
    deployment.embedder.load()
    logger.info("worker_started encoder=%s", deployment.line_ups().serving)
    with _answering(deployment, stop):
        deployment.worker().run(stop)


@contextmanager
def _answering(deployment: Deployment, stop: threading.Event) -> Iterator[None]:
    """Answer beside the work; a server that cannot start, or dies, ends the worker, to be started anew."""
    settings = deployment.settings
    if not settings.inference_port:
        yield
        return
    app = create_app(
        deployment.embedder,
        token=settings.inference_token.get_secret_value(),
        max_upload_bytes=settings.max_upload_bytes,
        max_at_once=settings.max_questions,
        spool=settings.data_dir / "spool",
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.inference_host,
            port=settings.inference_port,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )

    def serve() -> None:
        try:
            server.run()
        except SystemExit:  # uvicorn's word for an address that it cannot have
            logger.error("inference_not_serving port=%d", settings.inference_port)  # noqa: TRY400
        finally:
            stop.set()

    thread = threading.Thread(target=serve, name="inference-http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
