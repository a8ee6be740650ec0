# SPDX-License-Identifier: AGPL-3.0-or-later
"""Forwards the asking routes below /cbir to the indexer, for callers whom Orthanc let in."""

from __future__ import annotations

import json
import logging
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

from cbir_indexer import Indexer, IndexerAnswer, IndexerUnavailable
from cbir_settings import Settings, Users

logger = logging.getLogger(__name__)

PREFIX = "/cbir"
PROBLEM = "application/problem+json"
MAX_QUERY = 8192
MAX_TEXT = 10_668

_UID = r"[0-9][0-9.]{0,63}"
_ROUTES = (
    ("GET", re.compile(r"/")),
    ("GET", re.compile(r"/web/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")),
    ("GET", re.compile(r"/api/status")),
    ("GET", re.compile(r"/api/studies")),
    ("GET", re.compile(rf"/api/studies/{_UID}")),
    ("GET", re.compile(rf"/api/instances/{_UID}/frames/[0-9]{{1,9}}/rendered")),
    ("GET", re.compile(r"/api/maps")),
    ("GET", re.compile(r"/api/destinations")),
    ("POST", re.compile(r"/api/send")),
    ("GET", re.compile(r"/api/sendings/[0-9a-f]{32}")),
    ("POST", re.compile(r"/api/search")),
    ("POST", re.compile(r"/api/search/upload")),
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_SAFE_PATH = re.compile(r"/[A-Za-z0-9_.~/-]*")
_CREDENTIALS = ("authorization", "cookie", "token", "auth-token", "api-token")
_ASKED = ("content-type", "accept", "accept-language")
_ANSWERED = {
    "content-security-policy": "Content-Security-Policy",
    "cache-control": "Cache-Control",
    "x-content-type-options": "X-Content-Type-Options",
    "content-disposition": "Content-Disposition",
    "referrer-policy": "Referrer-Policy",
    "retry-after": "Retry-After",
    "x-cbir-notice": "X-CBIR-Notice",
    "x-cbir-outcome": "X-CBIR-Outcome",
}
# What Orthanc 1.10.1 can say besides 200 and 405; asked for any other, it closes the connection.
_SAYABLE = frozenset({400, 403, 404, 406, 409, 410, 413, 415, 422, 500, 502, 503, 504})


@dataclass(frozen=True)
class Request:
    """A request as Orthanc hands it over.

    Orthanc has decoded and normalised the path and dropped its trailing slash. Of a query it keeps one
    value a key, encoded (1.10.1) or decoded before it was split (1.13); of a POST, nothing. So a header,
    X-CBIR-Query, may carry the query string as it is meant; it is then the only one. X-CBIR-Text carries
    the words that are asked with beside an upload, in base64: what may name a patient is in no query.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What Orthanc is to answer."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def problem(cls, status: int, title: str, detail: str, **headers: str) -> Reply:
        """A problem document (RFC 9457) that says what to do."""
        document = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            "reason": title.lower().replace(" ", "_"),
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, PROBLEM, json.dumps(document).encode(), {"Cache-Control": "no-store", **named})


@dataclass(frozen=True)
class Proxy:
    """The allow-list, the checks, and the exchange."""

    settings: Settings
    users: Users
    indexer: Indexer

    def answer(self, request: Request) -> Reply:
        """Forward, or say why not."""
        path = normalised(request.path)
        refusal = self._refusal(request, path)
        if refusal is not None or path is None:
            return refusal or _not_here()
        target = path + _query(request)
        body = request.body if request.method == "POST" else None
        try:
            found = self.indexer.ask(
                request.method, target, self._headers(request), body, self.settings.timeout_s
            )
        except IndexerUnavailable as error:
            logger.warning("indexer_unavailable path=%s error=%s", path, error)
            return Reply.problem(
                503,
                "Indexer unavailable",
                "The search service does not answer. Ask again in a minute; if it lasts, see that "
                "`cbir serve` runs and that CBIR.IndexerUrl in orthanc.json leads to it.",
                Retry_After="10",
            )
        return _reply(found)

    def _refusal(self, request: Request, path: str | None) -> Reply | None:
        if path is None:
            return Reply.problem(400, "Bad path", "The path holds characters that no route here has.")
        methods = {method for method, route in _ROUTES if route.fullmatch(path)}
        if not methods:
            return _not_here()
        if request.method not in methods:
            return Reply(405, PROBLEM, b"", {"Allow": ", ".join(sorted(methods))})
        return (
            self._foreign(request, path)
            or self._unknown_caller(request)
            or self._wrong_post(request)
            or self._wrong_query(request)
            or self._wrong_text(request)
        )

    def _foreign(self, request: Request, path: str) -> Reply | None:
        origin = request.headers.get("origin", "").lower().rstrip("/")
        site = request.headers.get("sec-fetch-site", "")
        followed_link = path == "/" and request.headers.get("sec-fetch-mode") == "navigate"
        known = not origin or origin in self.settings.origins or _is_own(origin, request.headers)
        if known and (site in ("", "same-origin", "none") or origin or followed_link):
            return None
        return Reply.problem(
            403,
            "Foreign origin",
            "Another site's page asked. Open /cbir/ in Orthanc itself, or list the site under CBIR.Origins.",
        )

    def _unknown_caller(self, request: Request) -> Reply | None:
        if not self.users.required or self._user(request) is not None:
            return None
        return Reply.problem(
            403, "Unknown caller", "The request carries no name and password known to Orthanc."
        )

    def _wrong_post(self, request: Request) -> Reply | None:
        if request.method != "POST":
            return None
        if _is_form(request.headers):
            logger.warning("form_refused advice=send_the_DICOM_as_the_raw_body_of_the_request")
            return Reply.problem(
                415,
                "Form not supported",
                "Orthanc takes multipart/form-data apart. Send the DICOM as the raw body: Content-Type "
                "application/dicom, application/zip or multipart/related.",
            )
        if request.headers.get("x-cbir-request", "").strip() != "1":
            return Reply.problem(403, "Header missing", "Send the header X-CBIR-Request: 1 with a POST.")
        if len(request.body) > self.settings.max_upload_bytes:
            megabytes = self.settings.max_upload_bytes // 2**20
            return Reply.problem(
                413,
                "Too large",
                f"More than {megabytes} MB: send fewer instances, or raise CBIR.MaximumUploadMegabytes.",
            )
        return None

    def _wrong_query(self, request: Request) -> Reply | None:
        if len(_query(request)) <= MAX_QUERY:
            return None
        return Reply.problem(400, "Query too long", f"The query has more than {MAX_QUERY} characters.")

    def _wrong_text(self, request: Request) -> Reply | None:
        text = request.headers.get("x-cbir-text", "")
        if len(text) <= MAX_TEXT and _BASE64.fullmatch(text):
            return None
        return Reply.problem(400, "Bad text", "X-CBIR-Text is base64 of UTF-8: 2,000 characters at most.")

    def _user(self, request: Request) -> str | None:
        return self.users.name(request.headers.get("authorization", ""))

    def _headers(self, request: Request) -> dict[str, str]:
        kept = {name: request.headers[name] for name in (*_ASKED, *_CREDENTIALS) if request.headers.get(name)}
        user = urllib.parse.quote(self._user(request) or "", safe=" !#$&'()*+,/:;=?@[]^`{|}")
        kept |= {"X-CBIR-Forwarded": "orthanc", "X-CBIR-User": user}
        if request.method == "POST":
            kept["X-CBIR-Request"] = "1"
            if request.headers.get("x-cbir-text"):
                kept["X-CBIR-Text"] = request.headers["x-cbir-text"]
        return kept


def normalised(path: str) -> str | None:
    """The path below /cbir, or None for one that could mean two things.

    Nothing encoded, no backslash, no NUL, no `.` or `..`, no empty segment; one trailing slash is dropped.
    """
    if path != PREFIX and not path.startswith(PREFIX + "/"):
        return None
    below = path[len(PREFIX) :].removesuffix("/") or "/"
    if not _SAFE_PATH.fullmatch(below):
        return None
    if below != "/" and any(segment in ("", ".", "..") for segment in below[1:].split("/")):
        return None
    return below


def _query(request: Request) -> str:
    meant = request.headers.get("x-cbir-query")
    if meant is None:
        decoded = urllib.parse.unquote_plus
        pairs = [(decoded(key), decoded(value)) for key, value in request.query.items()]
    else:
        pairs = urllib.parse.parse_qsl(meant.removeprefix("?"), keep_blank_values=True)
    return "?" + urllib.parse.urlencode(pairs) if pairs else ""


def _is_own(origin: str, headers: Mapping[str, str]) -> bool:
    try:
        url = urllib.parse.urlsplit(origin)
    except ValueError:
        return False
    host = headers.get("host", "").lower()
    return url.scheme in ("http", "https") and bool(host) and url.netloc == host


def _is_form(headers: Mapping[str, str]) -> bool:
    """Orthanc hands over the parts of a form one by one, each with its own headers."""
    main = headers.get("content-type", "").split(";")[0].strip().lower()
    return main == "multipart/form-data" or "content-disposition" in headers


def _not_here() -> Reply:
    return Reply.problem(404, "Not found", "Orthanc forwards only the routes that ask: see /cbir/.")


def _reply(found: IndexerAnswer) -> Reply:
    kept = {name: found.headers[key] for key, name in _ANSWERED.items() if key in found.headers}
    kind = found.headers.get("content-type", "application/octet-stream")
    if found.status in (200, 202):
        return Reply(200, kind, found.body, kept)
    if found.status == 401:
        logger.error(
            "indexer_refused_us advice=CBIR.Secret_in_orthanc.json_must_equal_"
            "CBIR_PLUGIN_SECRET_of_the_indexer"
        )
        return Reply.problem(
            502,
            "Indexer refused the plugin",
            "The secret of the plugin is not the indexer's: an administrator must make CBIR.Secret in "
            "orthanc.json and CBIR_PLUGIN_SECRET the same.",
        )
    if found.status in _SAYABLE and _is_text(found.body):
        return Reply(found.status, kind, found.body, kept)
    return _nearest_sayable(found, kept)


def _nearest_sayable(found: IndexerAnswer, kept: Mapping[str, str]) -> Reply:
    """Too many questions (429) is said as 503, which asks for the same: wait, and ask again."""
    status = 503 if found.status == 429 else 502
    try:
        document = json.loads(found.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {"type": "about:blank", "title": "Unexpected answer", "detail": "Ask an administrator."}
    document |= {"status": status, "indexer_status": found.status}
    return Reply(status, PROBLEM, json.dumps(document).encode(), kept)


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
