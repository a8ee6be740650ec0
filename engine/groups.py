"""Grouping by a payload field, which Edge's Python bindings do not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.protocol import GroupQuestion, Prefetch, Question

DEFAULT_GROUPS = 10
DEFAULT_GROUP_SIZE = 3
OVERFETCH = 4

GroupKey = str | int
Hit = dict[str, Any]


@dataclass(slots=True)
class Group:
    """The best points of one value, best first."""

    key: GroupKey
    hits: list[Hit] = field(default_factory=list)


class Grouping:
    """Asks for more and more points until there are enough groups, or no more points."""

    def __init__(self, asked: GroupQuestion, ask: Callable[[Question], list[Hit]]) -> None:
        self._asked = asked
        self._ask = ask
        self._groups = asked.limit or DEFAULT_GROUPS
        self._size = asked.group_size or DEFAULT_GROUP_SIZE
        self._prefetch = [_widened(stage, self._size) for stage in asked.prefetch or ()]

    def groups(self) -> list[Group]:
        """The best groups, best first; fewer than asked only when there are no more."""
        wanted = self._groups * self._size * OVERFETCH
        while True:
            hits = self._hits(wanted)
            found = self._grouped(hits)
            if self._complete(found) or len(hits) < wanted:
                return found[: self._groups]
            wanted *= OVERFETCH

    def _complete(self, found: list[Group]) -> bool:
        shown = found[: self._groups]
        return len(shown) == self._groups and all(len(group.hits) == self._size for group in shown)

    def _hits(self, wanted: int) -> list[Hit]:
        asked = self._asked
        return self._ask(
            Question(
                prefetch=self._prefetch or None,
                query=asked.query,
                using=asked.using,
                filter=asked.filter,
                params=asked.params,
                score_threshold=asked.score_threshold,
                limit=wanted,
                offset=None,
                with_payload=[asked.group_by],
            )
        )

    def _grouped(self, hits: list[Hit]) -> list[Group]:
        groups: dict[GroupKey, Group] = {}
        for hit in hits:
            for key in _keys(hit["payload"], self._asked.group_by):
                group = groups.setdefault(key, Group(key))
                if len(group.hits) < self._size:
                    group.hits.append(hit)
        return list(groups.values())


def _widened(stage: Prefetch, factor: int) -> Prefetch:
    """A stage that finds as much more as a group holds, as a server does."""
    inner = [_widened(one, factor) for one in stage.prefetch or ()]
    return stage.model_copy(update={"limit": (stage.limit or 10) * factor, "prefetch": inner or None})


def _keys(payload: object, path: str) -> list[GroupKey]:
    """The values of the field, each once; a list has several, and what cannot be a key is left out."""
    value = payload
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    values = value if isinstance(value, list) else [value]
    keys = [key for key in values if isinstance(key, str | int) and not isinstance(key, bool)]
    return list(dict.fromkeys(keys))
