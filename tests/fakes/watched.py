"""An application that tells when it has done with a request, however that ended."""

from __future__ import annotations

import threading

from starlette.types import ASGIApp, Receive, Scope, Send


class Watched:
    """Passes everything on; `left` is set once the application has left a request to `path`."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path
        self.left = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            if scope.get("path") == self.path:
                self.left.set()
