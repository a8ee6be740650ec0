"""`cbir serve`: HTTP and AE in this process; the engine and the workers as supervised children."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import uvicorn

from cbir.deployment import Deployment
from cbir.engine_process import Endpoint, start_engine
from cbir.line_ups import begin_line_ups
from cbir.ports import free_port
from cbir.settings import Settings
from cbir.supervise import Supervisor
from indexer.adapters.inference_http import InferenceClient
from indexer.collecting.sweeping import Sweeping
from indexer.errors import Rejected

logger = logging.getLogger(__name__)

GRACE_S = 5


@dataclass(frozen=True, slots=True)
class InferencePlace:
    """Where new examples are embedded."""

    url: str
    token: str


def serve(settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C.

    Raises:
        Rejected: another `cbir serve` holds the data directory.
    """
    # uvicorn raises the signal again when it has shut down: without this the process would end there,
    # and what was built would not be closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        stack.enter_context(only_one(settings))
        keep_uploads_beside_the_data(settings)
        supervisor = stack.enter_context(Supervisor())
        endpoint = _vectors(settings, supervisor)
        deployment = stack.enter_context(Deployment(settings, endpoint))
        begin_line_ups(deployment.line_ups, deployment.registry, settings.encoder_names)
        place = _start_workers(settings, supervisor, endpoint)
        encoder = stack.enter_context(InferenceClient(place.url, token=place.token))
        search = deployment.search(encoder)
        stack.enter_context(deployment.following.follower())
        stack.enter_context(deployment.following.calibration())
        questions = deployment.dimse.questions(search, encoder)
        entity = deployment.dimse.application_entity(questions)
        for part in (Sweeping(deployment.collection.cases), questions, entity):
            stack.callback(part.stop)
            part.start()
        logger.info(
            "serving http=http://%s:%d/ ae=%s@%s:%d encoder=%s",
            settings.http_host, settings.http_port, settings.ae_title,
            settings.dimse_host, settings.dimse_port, deployment.line_ups().serving,
        )  # fmt: skip
        uvicorn.run(
            deployment.web_application(search, encoder),
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the data directory as the only `cbir serve`. Raises Rejected while another one does."""
    with (settings.data_dir / "serve.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise Rejected(
                f"Another `cbir serve` runs on {settings.data_dir}: stop it, or set CBIR_DATA_DIR."
            ) from held
        yield


def keep_uploads_beside_the_data(settings: Settings) -> None:
    """Every temporary file lies below the data directory; what a killed service left there goes.

    Examples, that were sent or are recalled, may be larger than a small /tmp, and are patient data.
    """
    folder = settings.data_dir / "uploads"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    tempfile.tempdir = str(folder.absolute())


def _vectors(settings: Settings, supervisor: Supervisor) -> Endpoint:
    if settings.qdrant_url:
        return Endpoint(settings.qdrant_url, settings.qdrant_api_key.get_secret_value())
    return start_engine(settings.data_dir, supervisor)


def _start_workers(settings: Settings, supervisor: Supervisor, endpoint: Endpoint) -> InferencePlace:
    """Start the workers; the first one also embeds new examples, unless another place is configured."""
    place = InferencePlace(settings.inference_url, settings.inference_token.get_secret_value())
    own_port = 0
    if not place.url:
        own_port = settings.inference_port or free_port()
        token = place.token or secrets.token_urlsafe(32)
        place = InferencePlace(f"http://127.0.0.1:{own_port}", token)
    for number in range(settings.workers):
        environment = {
            "CBIR_QDRANT_URL": endpoint.url,
            "CBIR_QDRANT_API_KEY": endpoint.api_key,
            "CBIR_INFERENCE_TOKEN": place.token,
            "CBIR_INFERENCE_HOST": "127.0.0.1",
            "CBIR_INFERENCE_PORT": str(own_port if number == 0 else 0),
        }
        command = [sys.executable, "-m", "cbir", "worker", "--parent-pid", str(os.getpid())]
        supervisor.start(f"worker-{number + 1}", command, environment)
    return place
