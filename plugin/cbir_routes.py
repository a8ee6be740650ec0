# SPDX-License-Identifier: AGPL-3.0-or-later
"""Orthanc's HTTP requests to the proxy, and its replies to Orthanc."""

from __future__ import annotations

import logging
from typing import Any

from cbir_proxy import Proxy, Reply, Request
from cbir_sdk import RestOutput

logger = logging.getLogger(__name__)

VERSION = "0.1.0"
"""Of the plugin; every answer carries it in VERSION_HEADER, so that a mixed deployment can be told."""
VERSION_HEADER = "X-CBIR-Plugin"


class Routes:
    """Orthanc's requests to the proxy, and its replies to Orthanc."""

    def __init__(self, proxy: Proxy, *, types_its_errors: bool) -> None:
        self._proxy = proxy
        self._types_its_errors = types_its_errors

    def serve(self, output: RestOutput, uri: str, **request: Any) -> None:  # noqa: ANN401 - Orthanc's own dictionary
        """Orthanc's callback."""
        try:
            reply = self._proxy.answer(
                Request(
                    method=request["method"],
                    path=uri,
                    query=request.get("get", {}),
                    headers=request.get("headers", {}),
                    body=request.get("body", b""),
                )
            )
        except Exception:  # the edge of Orthanc: it would answer with a trace of ours
            logger.exception("route_failed")
            reply = Reply.problem(500, "Internal error", "See Orthanc's log.")
        send(output, reply, types_its_errors=self._types_its_errors)


def send(output: RestOutput, reply: Reply, *, types_its_errors: bool) -> None:
    """Answer through Orthanc; a new one writes a Content-Type of its own on errors."""
    if reply.status == 405:
        output.SendMethodNotAllowed(reply.headers.get("Allow", "GET"))
        return
    output.SetHttpHeader(VERSION_HEADER, VERSION)
    for name, value in reply.headers.items():
        output.SetHttpHeader(name, value)
    if reply.status == 200:
        output.AnswerBuffer(reply.body, reply.content_type)
        return
    if not types_its_errors:
        output.SetHttpHeader("Content-Type", reply.content_type)
    try:
        output.SendHttpStatus(reply.status, reply.body)
    except TypeError:  # plugin 4.0 wants text and its size in bytes
        output.SendHttpStatus(reply.status, reply.body.decode("utf-8"), len(reply.body))
