"""Who may come in: this machine only, no web page, and only with the key when there is one."""

from __future__ import annotations

import hmac
import json
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset({"/", "/healthz", "/livez", "/readyz"})


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Door:
    """Turns away what a browser was tricked into sending, and whoever has not the API key."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        self._app = app
        self._api_key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not is_loopback(_without_port(headers.get("host", ""))) or "origin" in headers:
            await _refuse(send, 403, "Forbidden: the engine answers programs of this machine, not web pages")
        elif scope["path"] not in OPEN_PATHS and not self._has_key(headers):
            await _refuse(send, 401, "Must provide an API key or an Authorization bearer token")
        else:
            await self._app(scope, receive, send)

    def _has_key(self, headers: Headers) -> bool:
        if self._api_key is None:
            return True
        given = headers.get("api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._api_key.encode())


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


async def _refuse(send: Send, status: int, text: str) -> None:
    body = json.dumps({"status": {"error": text}, "time": 0.0}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
