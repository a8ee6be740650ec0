"""How far the line-up beside is filled, as the ledger tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from indexer.ledger import Holders, State
from indexer.line_up import Holdings, LineUp, LineUps


@dataclass(frozen=True, slots=True)
class Filling:
    """Of `total` series that the line-up beside should hold, `filled` are done with.

    `lacking` names the archives of the others, in the order of their names.
    """

    filled: int
    total: int
    lacking: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether it could take over."""
        return self.filled == self.total


def filling(holders: Iterable[Holders], line_ups: LineUps) -> Filling | None:
    """Count the series that the line-up beside has looked at; None when there is none beside.

    Those of every archive count: what is searched after the switch answers for all of them.
    A series that failed is done with: it must not hold up the others for ever. One that nobody has
    looked at yet is not counted: the line-up that is searched does not answer with it either.
    """
    if line_ups.beside is None:
        return None
    filled = total = 0
    lacking = set()
    for group in holders:
        if not _counts(group, line_ups.beside):
            continue
        total += group.number
        if group.state is State.FAILED or _is_done(group, line_ups.beside):
            filled += group.number
        else:
            lacking.add(group.archive)
    return Filling(filled, total, tuple(sorted(lacking)))


def _counts(group: Holders, beside: LineUp) -> bool:
    settled = group.state in (State.INDEXED, State.SKIPPED, State.FAILED)
    return beside.route(group.modality) is not None and (settled or bool(Holdings.of(group.encoder).looked))


def _is_done(group: Holders, beside: LineUp) -> bool:
    """Whether the one encoder of the line-up that takes them has looked; another one does not count.

    What no other encoder could judge otherwise was skipped by nobody in particular.
    """
    if group.state is State.SKIPPED and group.encoder is None:
        return True
    return str(beside.route(group.modality)) in Holdings.of(group.encoder).looked
