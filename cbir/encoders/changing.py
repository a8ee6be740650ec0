"""`cbir encoders activate | switch | roll-back | retire`: the line-ups of a running installation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from cbir.deployment import Deployment
from cbir.doctor.finding import Finding, Level
from cbir.encoders.checking import check_encoder
from cbir.encoders.pictures import Pictures
from indexer.errors import Rejected
from indexer.following import Filling, filling
from indexer.ledger.line_ups import KNOWN_FOR_S
from indexer.line_up import LineUp, LineUps
from inference.card import EncoderError
from inference.registry import Registry

WATCH: Final = "`cbir status` shows how far it is."
SEEN_BY_ALL_S: Final = KNOWN_FOR_S + 0.5


@dataclass(frozen=True, slots=True)
class Activation:
    """What is to be searched, and when.

    Attributes:
        names: folders of CBIR_ENCODERS_DIR, in order.
        pictures: what they are checked with.
        switch_when_filled: whether it takes over by itself.
        at_once: whether it is searched while it is filled.
    """

    names: tuple[str, ...]
    pictures: Pictures
    switch_when_filled: bool = True
    at_once: bool = False


def folder_named(registry: Registry, name: str) -> Path:
    """The folder of an encoder at hand, or the folder that the name is a path of."""
    at_hand = registry.encoders_dir / name
    return at_hand if at_hand.is_dir() or not Path(name).is_dir() else Path(name)


def activate(deployment: Deployment, wanted: Activation) -> Iterator[str]:
    """Check the encoders, fill them beside what is searched, and say what happens next.

    Raises:
        EncoderError: one of them is not right, or its licence is not accepted.
        Rejected: it is searched already, or another line-up is beside.
    """
    registry = deployment.registry
    line_up = registry.line_up(wanted.names)
    for name in dict.fromkeys(wanted.names):
        found = list(
            check_encoder(registry, registry.encoders_dir / name, wanted.pictures, deployment.settings)
        )
        _refuse_problems(name, found)
        yield from (f"{name}: {finding.found}" for finding in found if finding.check == "collapse")
    before = deployment.line_ups.read()
    before.activated(line_up, switch_when_filled=True)
    for version in line_up.versions:
        deployment.index.prepare(version)

    def changed(now: LineUps) -> LineUps:
        beside = now.activated(line_up, switch_when_filled=wanted.switch_when_filled)
        return beside.switched() if wanted.at_once else beside

    now = deployment.line_ups.change(changed)
    yield from _unserved(deployment, before.serving, line_up)
    if wanted.at_once:
        deployment.index.activate(line_up.versions[0])
        yield f"{now.serving} is searched from now on; answers lack what is not filled yet. {WATCH}"
        return
    then = (
        "takes over by itself when it is filled"
        if wanted.switch_when_filled
        else "waits for `cbir encoders switch`"
    )
    yield f"{line_up} is filled beside {now.serving}, which goes on answering; it {then}. {WATCH}"


def switch(deployment: Deployment) -> str:
    """Search the line-up beside.

    The ledger is asked first; then a comparison looks for the vectors themselves.

    Raises:
        Rejected: there is none, or it lacks something.
    """
    line_ups = deployment.line_ups.read()
    filled = filled_of(deployment, line_ups)
    if filled is not None:
        _refuse_what_is_lacking(deployment, line_ups, filled)
        compared = deployment.following.reconciler().compare(datetime.now(UTC))
        if lacking := compared.lacking:
            raise Rejected(
                f"{line_ups.beside} lacks {lacking} series, which are embedded now: wait for them. {WATCH}"
            )
    return _exchanged(deployment, line_ups)


def roll_back(deployment: Deployment) -> str:
    """Search the line-up again that was searched before; at once, whatever it may lack.

    Raises:
        Rejected: there is none.
    """
    line_ups = deployment.line_ups.read()
    if line_ups.beside is None or not line_ups.beside_served:
        raise Rejected(
            "No line-up is kept that was searched before: there is nothing to roll back to."
            + (" `cbir encoders retire` gives up the one that is being filled." if line_ups.beside else "")
        )
    return _exchanged(deployment, line_ups)


def retire(deployment: Deployment) -> str:
    """Fill the line-up beside no longer, and delete the vectors of its encoders that are not searched.

    What is to be deleted is noted first. Where that was interrupted, this ends it, and leaves the line-up
    that is beside by now alone.

    Raises:
        Rejected: there is none.
    """
    before = deployment.line_ups.read()
    if before.retiring:
        return f"An earlier `retire` is ended; deleted: the vectors of {_delete_retiring(deployment)}."
    deployment.line_ups.change(lambda now: _same(now, before).retired())
    named = _delete_retiring(deployment) or "no encoder, all are searched"
    return f"{before.beside} is retired; deleted: the vectors of {named}."


def _delete_retiring(deployment: Deployment) -> str:
    """Delete what is noted as retiring, unless somebody else has done so meanwhile; gives their names."""
    time.sleep(SEEN_BY_ALL_S)  # a worker that still fills it stops first
    gone = deployment.line_ups.read().retiring
    for version in gone:
        if version in deployment.line_ups.read().retiring:
            deployment.index.drop(version)
            deployment.ledger.disown(str(version))
            deployment.line_ups.change(partial(LineUps.without_retiring, version=version))
    return ", ".join(map(str, gone))


def filled_of(deployment: Deployment, line_ups: LineUps) -> Filling | None:
    """How far the line-up beside is filled, in all archives; None when there is none."""
    return filling(deployment.ledger.holders(), line_ups)


def _refuse_what_is_lacking(deployment: Deployment, line_ups: LineUps, filled: Filling) -> None:
    if filled.is_complete:
        return
    others = [name for name in filled.lacking if name != deployment.archive.name]
    named = (
        f" Some are of {', '.join(others)}: index those archives too, or give them up with "
        "`cbir encoders activate NAME --at-once`."
        if others
        else ""
    )
    raise Rejected(
        f"{line_ups.beside} holds {filled.filled} of {filled.total} series: wait for the rest.{named} {WATCH}"
    )


def _exchanged(deployment: Deployment, verified: LineUps) -> str:
    now = deployment.line_ups.change(lambda before: _same(before, verified).switched())
    deployment.index.activate(now.serving.versions[0])
    return f"{now.serving} is searched from now on; {now.beside} goes on being filled beside it."


def _same(now: LineUps, before: LineUps) -> LineUps:
    if now != before:
        raise Rejected("The line-ups were changed by somebody else meanwhile: look again and repeat.")
    return now


def _refuse_problems(name: str, found: list[Finding]) -> None:
    problems = [finding for finding in found if finding.level is Level.PROBLEM]
    if problems:
        raise EncoderError(f"{name} cannot be used. {problems[0].found} {problems[0].advice}")


def _unserved(deployment: Deployment, serving: LineUp, line_up: LineUp) -> Iterator[str]:
    """What `serving` answers for and the new line-up would not."""
    modalities = {group.modality for group in deployment.ledger.holders()} - {""}
    lost = sorted(m for m in modalities if serving.route(m) and not line_up.route(m))
    if lost:
        yield f"Note: {line_up} serves no {', '.join(lost)}; series of it will not be found any more."
