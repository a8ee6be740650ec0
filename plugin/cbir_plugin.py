# SPDX-License-Identifier: AGPL-3.0-or-later
"""What Orthanc loads: change callbacks, the routes below /cbir, and the button of Orthanc Explorer."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import orthanc
from cbir_delivery import Delivery
from cbir_indexer import Indexer
from cbir_outbox import DELETED, NEW, STABLE, UPDATED, Outbox
from cbir_proxy import Proxy, Reply, Request
from cbir_sdk import OrthancSdk, RestOutput
from cbir_settings import Settings, Users, WrongSetting, read_settings

logger = logging.getLogger("cbir")


class OrthancLog(logging.Handler):
    """Our log lines in Orthanc's log."""

    def __init__(self, sdk: OrthancSdk) -> None:
        super().__init__()
        self._sdk = sdk

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        line = f"CBIR: {self.format(record)}"
        if record.levelno >= logging.ERROR:
            self._sdk.LogError(line)
        elif record.levelno >= logging.WARNING:
            self._sdk.LogWarning(line)
        else:
            self._sdk.LogInfo(line)


class ChangeListener:
    """Turns Orthanc's changes into hints, and returns at once."""

    def __init__(self, sdk: OrthancSdk, outbox: Outbox, delivery: Delivery) -> None:
        kinds = sdk.ChangeType
        self._series = sdk.ResourceType.SERIES
        self._stopped = kinds.ORTHANC_STOPPED
        # A new child instance is announced for its series: the series has grown or was overwritten.
        # The deletion of one instance names only that instance, no longer its series: the indexer's
        # comparison, whose revision counts instances, finds the series.
        self._hints = {
            kinds.NEW_SERIES: NEW,
            kinds.NEW_CHILD_INSTANCE: UPDATED,
            kinds.STABLE_SERIES: STABLE,
            kinds.DELETED: DELETED,
        }
        self._outbox = outbox
        self._delivery = delivery

    def notice(self, change: int, level: int, orthanc_id: str) -> None:
        """Orthanc's callback."""
        if change == self._stopped:
            self._stop()
        elif level == self._series and change in self._hints:
            try:
                self._outbox.record(self._hints[change], orthanc_id)
            except (sqlite3.Error, OSError) as error:
                logger.error("hint_lost error=%s advice=see_the_disk_of_the_outbox", error)  # noqa: TRY400
            self._delivery.wake()

    def _stop(self) -> None:
        if self._delivery.stop():
            self._outbox.close()


class Routes:
    """Orthanc's requests to the proxy, and its replies to Orthanc."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

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
        send(output, reply)


def send(output: RestOutput, reply: Reply) -> None:
    """Answer through Orthanc."""
    if reply.status == 405:
        output.SendMethodNotAllowed(reply.headers.get("Allow", "GET"))
        return
    for name, value in reply.headers.items():
        output.SetHttpHeader(name, value)
    if reply.status == 200:
        output.AnswerBuffer(reply.body, reply.content_type)
        return
    output.SetHttpHeader("Content-Type", reply.content_type)
    output.SendHttpStatus(reply.status, reply.body.decode("utf-8"), len(reply.body))


def start(sdk: OrthancSdk) -> None:
    """Read the settings and register everything; a wrong setting leaves Orthanc running without us."""
    _log_through(sdk)
    try:
        configuration = json.loads(sdk.GetConfiguration())
        settings = read_settings(configuration, sdk.GetConfigurationPath())
        outbox = Outbox(settings.outbox_path, settings.outbox_limit)
    except WrongSetting as error:
        logger.error("disabled error=%s", error)  # noqa: TRY400
        return _say_disabled(sdk)
    except (sqlite3.Error, OSError) as error:
        logger.error("disabled error=%s advice=CBIR.OutboxPath_must_be_a_file_that_Orthanc_may_write", error)  # noqa: TRY400
        return _say_disabled(sdk)
    return _register(sdk, settings, Users.of(configuration), outbox)


def _register(sdk: OrthancSdk, settings: Settings, users: Users, outbox: Outbox) -> None:
    if settings.leaves_the_machine_unencrypted:
        logger.warning("indexer_not_encrypted advice=use_https_in_CBIR.IndexerUrl_or_keep_it_on_this_machine")
    if not users.required:
        logger.warning("callers_have_no_names advice=set_AuthenticationEnabled_and_RegisteredUsers")
    indexer = Indexer(settings.indexer_url, settings.secret, settings.max_answer_bytes)
    delivery = Delivery(outbox, indexer)
    sdk.RegisterOnChangeCallback(ChangeListener(sdk, outbox, delivery).notice)
    sdk.RegisterRestCallback("/cbir(/.*)?", Routes(Proxy(settings, users, indexer)).serve)
    if settings.button:
        sdk.ExtendOrthancExplorer(Path(__file__).with_name("explorer.js").read_text(encoding="utf-8"))
    delivery.start()
    logger.info(
        "started indexer=%s waiting=%d buried=%d", settings.indexer_url, outbox.waiting(), outbox.buried()
    )


def _say_disabled(sdk: OrthancSdk) -> None:
    def serve(output: RestOutput, _uri: str, **_request: object) -> None:
        send(
            output,
            Reply.problem(
                503, "Plugin disabled", 'The "CBIR" settings are wrong: Orthanc\'s log says which.'
            ),
        )

    sdk.RegisterRestCallback("/cbir(/.*)?", serve)


def _log_through(sdk: OrthancSdk) -> None:
    for name in ("cbir", "cbir_delivery", "cbir_outbox", "cbir_proxy"):
        ours = logging.getLogger(name)
        ours.setLevel(logging.INFO)
        ours.propagate = False
        ours.handlers = [OrthancLog(sdk)]


start(orthanc)
