"""What an installation begins with, and what a changed CBIR_ENCODER asks for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from indexer.errors import Rejected
from indexer.ledger import Ledger, RememberedLineUps
from indexer.line_up import LineUp, LineUps
from inference.card import EncoderError
from inference.registry import Registry

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


def begin_line_ups(line_ups: RememberedLineUps, registry: Registry, names: Sequence[str]) -> None:
    """Take in what CBIR_ENCODER says, and refuse to begin without what is searched.

    Args:
        line_ups: what is searched and filled.
        registry: the encoders at hand.
        names: those of CBIR_ENCODER.

    Raises:
        EncoderError: an encoder that is searched is not here, or one that is named cannot be used.
    """
    configured = registry.line_up(names)
    adopt_configured(line_ups, configured)
    now = line_ups.read()
    for version in now.serving.versions:
        registry.folder_of(version)
    for version in now.only_beside:
        try:
            registry.folder_of(version)
        except EncoderError as error:
            logger.warning("beside_not_filled encoder=%s detail=%s", version, error)


def adopt_configured(line_ups: RememberedLineUps, configured: LineUp) -> None:
    """Where CBIR_ENCODER names another line-up than when it was last read, fill that one beside."""
    before = line_ups.read()
    if before.configured == configured:
        return
    try:
        now = line_ups.change(lambda remembered: _adopted(remembered, configured))
    except Rejected as refused:
        logger.warning("encoder_not_activated encoder=%s detail=%s", configured, refused)
        return
    if now.beside != before.beside:
        logger.info("encoder_activated_beside serving=%s beside=%s", now.serving, now.beside)


def _adopted(line_ups: LineUps, configured: LineUp) -> LineUps:
    if configured in (line_ups.serving, line_ups.configured):
        return replace(line_ups, configured=configured)
    return replace(line_ups.activated(configured, switch_when_filled=True), configured=configured)
