"""A small real HTTP indexer that records what it is sent, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from cbir.ports import free_port


@dataclass(frozen=True)
class Received:
    """One request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Canned:
    """One answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


Answering = Callable[[Received], Canned]


def accept_events(request: Received) -> Canned:
    """Take every event."""
    events = json.loads(request.body)["events"]
    return Canned(body=json.dumps({"accepted": len(events)}).encode())


@dataclass
class RecordingIndexer:
    """Listens on a loopback port; `stop` and `start` keep the port, `hold` makes every answer wait."""

    secret: str = "the shared secret"
    port: int = field(default_factory=free_port)
    on_events: Answering = accept_events
    on_asking: Answering = lambda _: Canned()
    received: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> RecordingIndexer:
        self.released.set()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        indexer = self

        class Exchange(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                indexer._answer(self)

            def do_POST(self) -> None:
                indexer._answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Exchange)
        server.daemon_threads = True
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def hold(self) -> None:
        """Take requests and answer none, until `released` is set."""
        self.released.clear()

    def events(self) -> list[dict[str, Any]]:
        """Every event of every delivery, in order."""
        return [event for posted in self.posts() for event in json.loads(posted.body)["events"]]

    def posts(self) -> list[Received]:
        return [r for r in list(self.received) if r.target == "/internal/events"]

    def asked(self) -> list[Received]:
        return [r for r in list(self.received) if r.target != "/internal/events"]

    def changes(self, orthanc_id: str) -> list[str]:
        return [event["change"] for event in self.events() if event["orthanc_id"] == orthanc_id]

    def _answer(self, exchange: BaseHTTPRequestHandler) -> None:
        size = int(exchange.headers.get("Content-Length", "0"))
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        request = Received(exchange.command, exchange.path, headers, exchange.rfile.read(size))
        self.received.append(request)
        self.released.wait(60)
        if headers.get("x-cbir-secret") != self.secret:
            answer = Canned(status=401)
        else:
            answer = (self.on_events if request.target == "/internal/events" else self.on_asking)(request)
        exchange.send_response(answer.status)
        for name, value in answer.headers.items():
            exchange.send_header(name, value)
        exchange.send_header("Content-Length", str(len(answer.body)))
        exchange.end_headers()
        exchange.wfile.write(answer.body)


def eventually(holds: Callable[[], object], timeout_s: float = 120.0) -> None:
    """Wait until it holds; an AssertionError where it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.02)
