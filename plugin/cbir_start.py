# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reads the settings and registers everything with Orthanc."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

from cbir_changes import ChangeListener
from cbir_delivery import Delivery
from cbir_indexer import Indexer
from cbir_outbox import Outbox
from cbir_proxy import Proxy, Reply
from cbir_routes import Routes, send
from cbir_sdk import OnChange, OnRequest, OrthancSdk, RestOutput
from cbir_settings import Settings, Users, WrongSetting, read_settings

logger = logging.getLogger(__name__)

ROUTES = "/cbir(/.*)?"
MODULES = ("cbir_changes", "cbir_delivery", "cbir_outbox", "cbir_proxy", "cbir_routes", "cbir_start")


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


def start(sdk: OrthancSdk) -> tuple[OnRequest | OnChange, ...]:
    """Read the settings and register everything; a wrong setting leaves Orthanc running without us.

    Returns:
        The registered callbacks, to be held as long as Python runs.
    """
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


def _register(
    sdk: OrthancSdk, settings: Settings, users: Users, outbox: Outbox
) -> tuple[OnRequest | OnChange, ...]:
    if settings.leaves_the_machine_unencrypted:
        logger.warning("indexer_not_encrypted advice=use_https_in_CBIR.IndexerUrl_or_keep_it_on_this_machine")
    if not users.required:
        logger.warning("callers_have_no_names advice=set_AuthenticationEnabled_and_RegisteredUsers")
    for name in users.without_password:
        logger.error("user_without_password user=%s advice=is_its_environment_variable_set", name)
    indexer = Indexer(settings.indexer_url, settings.secret, settings.max_answer_bytes)
    delivery = Delivery(outbox, indexer)
    notice = ChangeListener(sdk, outbox, delivery).notice
    serve = Routes(Proxy(settings, users, indexer), types_its_errors=_types_its_errors(sdk)).serve
    sdk.RegisterOnChangeCallback(notice)
    sdk.RegisterRestCallback(ROUTES, serve)
    if settings.button:
        sdk.ExtendOrthancExplorer(Path(__file__).with_name("explorer.js").read_text(encoding="utf-8"))
    delivery.start()
    logger.info(
        "started indexer=%s waiting=%d buried=%d", settings.indexer_url, outbox.waiting(), outbox.buried()
    )
    return notice, serve


def _say_disabled(sdk: OrthancSdk) -> tuple[OnRequest]:
    reply = Reply.problem(503, "Plugin disabled", "The settings of CBIR are wrong: Orthanc's log says which.")

    def serve(output: RestOutput, _uri: str, **_request: object) -> None:
        send(output, reply, types_its_errors=_types_its_errors(sdk))

    sdk.RegisterRestCallback(ROUTES, serve)
    return (serve,)


def _types_its_errors(sdk: OrthancSdk) -> bool:
    return bool(sdk.CheckVersionAdvanced(1, 12, 2))


def _log_through(sdk: OrthancSdk) -> None:
    for name in MODULES:
        ours = logging.getLogger(name)
        ours.setLevel(logging.INFO)
        ours.propagate = False
        ours.handlers = [OrthancLog(sdk)]
