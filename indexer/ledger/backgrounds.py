"""Backgrounds: how alike series are that have nothing to do with each other, as it was measured last."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from indexer.domain import Vector
from indexer.ledger.schema import BACKGROUNDS, SERIES
from indexer.ledger.values import State
from indexer.line_up import Holdings

DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Background:
    """How alike two series are that have nothing to do with each other.

    Attributes:
        modality: of the series that were compared; "" is all of them.
        body_part_examined: the same.
        pairs: how many pairs of different patients were compared.
        quantiles: float32 (n,), ascending: the scores of those pairs at n equal steps from the least to
            the largest.
        nearest: the same of each sampled series and the nearest one of another patient; empty when unknown.
        series: how many of them were indexed when this was measured.
    """

    modality: str
    body_part_examined: str
    pairs: int
    quantiles: Vector
    nearest: Vector
    series: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Indexed series that are compared with each other: of one modality and one body part."""

    modality: str
    body_part_examined: str
    series: int


def read_backgrounds(connection: Connection, label: str) -> list[Background]:
    """Those of one encoder, `name@12 hex digits`; the widest first."""
    wanted = select(BACKGROUNDS).where(BACKGROUNDS.c.encoder == label)
    ordered = wanted.order_by(BACKGROUNDS.c.modality, BACKGROUNDS.c.body_part_examined)
    return [
        Background(
            modality=row.modality,
            body_part_examined=row.body_part_examined,
            pairs=row.pairs,
            quantiles=_read(row.quantiles),
            nearest=_read(row.nearest),
            series=row.series,
        )
        for row in connection.execute(ordered)
    ]


def write_backgrounds(
    connection: Connection, label: str, backgrounds: Sequence[Background], now: datetime
) -> None:
    """Keep these of one encoder in place of those before; of two who do so at once, the last one counts."""
    drop_backgrounds(connection, label)
    rows = [
        {
            "encoder": label,
            "modality": one.modality,
            "body_part_examined": one.body_part_examined,
            "pairs": one.pairs,
            "series": one.series,
            "quantiles": _written(one.quantiles),
            "nearest": _written(one.nearest),
            "made_at": now,
        }
        for one in backgrounds
    ]
    if rows:
        kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        insert = kind(BACKGROUNDS)
        measured = ("pairs", "series", "quantiles", "nearest", "made_at")
        given = {name: insert.excluded[name] for name in measured}
        key = [BACKGROUNDS.c.encoder, BACKGROUNDS.c.modality, BACKGROUNDS.c.body_part_examined]
        connection.execute(insert.on_conflict_do_update(index_elements=key, set_=given), rows)


def drop_backgrounds(connection: Connection, label: str) -> None:
    """Forget those of one encoder; none is no error."""
    connection.execute(delete(BACKGROUNDS).where(BACKGROUNDS.c.encoder == label))


def count_groups(connection: Connection, label: str) -> list[Group]:
    """How many series of each modality and body part have vectors of this encoder, the largest first."""
    shared = (SERIES.c.modality, SERIES.c.body_part_examined, SERIES.c.encoder)
    held = select(*shared, func.count().label("number")).where(
        SERIES.c.state == State.INDEXED, SERIES.c.encoder.is_not(None)
    )
    counted: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(held.group_by(*shared)):
        if label in Holdings.of(row.encoder).made:
            counted[row.modality, row.body_part_examined] += row.number
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Group(modality, body_part, number) for (modality, body_part), number in ordered]


def _written(values: Vector) -> str:
    return json.dumps([round(float(value), DECIMALS) for value in values])


def _read(text: str) -> Vector:
    return np.asarray(json.loads(text), dtype=np.float32)
