"""What an installation begins with, and what a changed CBIR_ENCODER asks for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.errors import Rejected
from indexer.ledger import Ledger
from indexer.line_up import LineUp, LineUps
from inference.card import EncoderError
from inference.registry import Registry

if TYPE_CHECKING:
    from cbir.deployment import Deployment

logger = logging.getLogger(__name__)


def first_line_ups(registry: Registry, names: Sequence[str], ledger: Ledger) -> LineUps:
    """What is searched and filled where the ledger remembers no line-up yet.

    An installation from before there were any goes on with the encoder that holds its series; if that is
    not the configured one, this one is filled beside it. Where that encoder is not here, nothing
    can be embedded by it: the configured one is searched from the start.

    Raises:
        EncoderError: the configured line-up cannot be used.
    """
    configured = registry.line_up(names)
    held = ledger.labels()
    if not held or any(str(version) in held for version in configured.versions):
        return LineUps(configured, configured=configured)
    for label in sorted(held, key=lambda label: (-held[label], label)):
        before = registry.labelled(label)
        if before is not None:
            return LineUps(before, beside=configured, switch_when_filled=True, configured=configured)
    logger.warning("earlier_encoder_missing held=%s serving=%s", ",".join(held), configured)
    return LineUps(configured, configured=configured)


def begin_line_ups(deployment: Deployment) -> None:
    """Take in what CBIR_ENCODER says, and refuse to begin without what is searched.

    Raises:
        EncoderError: an encoder that is searched is not here, or one that is named cannot be used.
    """
    adopt_configured(deployment)
    line_ups = deployment.line_ups.read()
    for version in line_ups.serving.versions:
        deployment.registry.folder_of(version)
    for version in line_ups.only_beside:
        try:
            deployment.registry.folder_of(version)
        except EncoderError as error:
            logger.warning("beside_not_filled encoder=%s detail=%s", version, error)


def adopt_configured(deployment: Deployment) -> None:
    """Where CBIR_ENCODER names another line-up than when it was last read, fill that one beside."""
    configured = deployment.registry.line_up(deployment.settings.encoder_names)
    before = deployment.line_ups.read()
    if before.configured == configured:
        return
    try:
        now = deployment.line_ups.change(lambda line_ups: _adopted(line_ups, configured))
    except Rejected as refused:
        logger.warning("encoder_not_activated encoder=%s detail=%s", configured, refused)
        return
    if now.beside != before.beside:
        logger.info("encoder_activated_beside serving=%s beside=%s", now.serving, now.beside)


def _adopted(line_ups: LineUps, configured: LineUp) -> LineUps:
    if configured in (line_ups.serving, line_ups.configured):
        return replace(line_ups, configured=configured)
    return replace(line_ups.activated(configured, switch_when_filled=True), configured=configured)
