"""Who may come in: hosts, origins, the bearer token, the plugin's secret and those it forwards."""

from __future__ import annotations

import hmac
import re
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexer.api.house import ApiSettings
from indexer.ports import Caller
from indexer.problems import ProblemResponse, problem, unexpected

FORWARDED_HEADERS: Final = ("authorization", "cookie", "token", "auth-token", "api-token")
MAX_BODY_BYTES: Final = 2**20
UPLOAD_PATH: Final = "/api/search/upload"
EVENTS_PATH: Final = "/internal/events"

_UID: Final = r"[0-9.]{1,64}"
# What a person may ask through Orthanc; everything else is for the administrator.
_ASKING: Final = (
    ("GET", re.compile(r"/(?:web/[\w.-]+)?")),
    ("GET", re.compile(rf"/api/(?:status|maps|destinations|studies(?:/{_UID})?)")),
    ("GET", re.compile(rf"/api/instances/{_UID}/frames/\d{{1,9}}/rendered")),
    ("POST", re.compile(r"/api/(?:search(?:/upload)?|send)")),
    ("GET", re.compile(r"/api/sendings/[0-9a-f]{32}")),
)
# Nothing about the archive is in these.
_OPEN: Final = re.compile(r"/(?:web/[\w.-]+|docs|healthz|favicon\.ico)?")
_SAFE: Final = frozenset({"GET", "HEAD"})

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Door:
    """ASGI middleware: refuses who may not come in, and tells the routes who did."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        """Guard `app`."""
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer it with a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        admitted = self._refusal_of_place(scope, headers) or self._admission(scope, headers)
        if isinstance(admitted, Caller):
            scope.setdefault("state", {})["caller"] = admitted
            await self._enter(scope, receive, send)
        else:
            await admitted(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in _SAFE or scope["path"] == UPLOAD_PATH:
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:
            refusal = problem(413, f"The body is larger than {MAX_BODY_BYTES} bytes.", "too_large")
            await refusal(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _refusal_of_place(self, scope: Scope, headers: Headers) -> ProblemResponse | None:
        """Cross-site requests, and names that were bound to our address by somebody else's DNS."""
        hosts = self._settings.allowed_hosts
        host = headers.get("host", "")
        if hosts and _name(host) not in hosts:
            return problem(403, f"Use one of the names {', '.join(hosts)} for this server.", "foreign_host")
        if headers.get("x-cbir-forwarded"):
            return None
        origin = headers.get("origin")
        if scope["method"] not in _SAFE and origin is not None and urlsplit(origin).netloc != host:
            return problem(403, "Pages of other sites may not ask here.", "foreign_origin")
        if scope["path"].startswith("/api/") and headers.get("sec-fetch-site") == "cross-site":
            return problem(403, "Pages of other sites may not read here.", "foreign_origin")
        return None

    def _admission(self, scope: Scope, headers: Headers) -> Caller | ProblemResponse:
        path: str = scope["path"]
        forwarded = "x-cbir-forwarded" in headers
        if forwarded or "x-cbir-secret" in headers or path == EVENTS_PATH:
            if not _same(headers.get("x-cbir-secret", ""), self._settings.plugin_secret):
                return problem(
                    401, "The plugin's secret is not CBIR_PLUGIN_SECRET: give both the same.", "bad_secret"
                )
            return _forwarded(scope, headers) if forwarded else _plugin(path)
        token = self._settings.api_token
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if not token or _OPEN.fullmatch(path) or (scheme.lower() == "bearer" and _same(given.strip(), token)):
            return Caller(name="direct")
        return problem(
            401,
            "Send CBIR_API_TOKEN as a bearer token.",
            "bad_token",
            headers={"WWW-Authenticate": 'Bearer realm="cbir"'},
        )


class Walls:
    """ASGI middleware: security headers on every answer, and no answer with the text of a fault."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand around `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _protect(MutableHeaders(scope=message), scope["path"])
            await send(message)

        try:
            await self._app(scope, receive, send_guarded)
        except Exception as error:  # noqa: BLE001 - the outer edge: whatever it is, the caller gets a sentence
            response = unexpected(error, scope["path"].split("/")[1][:20])
            if not started:
                await response(scope, receive, send_guarded)


def _protect(headers: MutableHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith(("/api/", "/internal/")):
        headers.setdefault("Cache-Control", "no-store")


def _forwarded(scope: Scope, headers: Headers) -> Caller | ProblemResponse:
    method, path = scope["method"], scope["path"]
    if not any(method == allowed and form.fullmatch(path) for allowed, form in _ASKING):
        return problem(403, "This is not offered through Orthanc.", "not_forwarded")
    if method not in _SAFE and headers.get("x-cbir-request") != "1":
        return problem(403, "Send the header X-CBIR-Request: 1 with what you ask.", "foreign_origin")
    credentials = {name: headers[name] for name in FORWARDED_HEADERS if name in headers}
    return Caller(name=headers.get("x-cbir-user", ""), credentials=credentials)


def _plugin(path: str) -> Caller | ProblemResponse:
    if path != EVENTS_PATH:
        return problem(403, "The plugin's secret opens /internal/events only.", "not_forwarded")
    return Caller(name="plugin")


def _same(given: str, wanted: str) -> bool:
    """In constant time; an empty secret is nobody's."""
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


def _name(host: str) -> str:
    """The name of a Host header without its port."""
    return (urlsplit(f"//{host}").hostname or "") if host.isprintable() else ""


async def _whole_body(receive: Receive) -> bytes | None:
    """The body of a request that has a small one; None for a larger one."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again
