"""Second names of collections, kept in one file that is replaced as a whole."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import TypeAdapter

from engine.durable import write_atomically
from engine.errors import Conflict, NotFound
from engine.protocol import CreateAlias, DeleteAlias, RenameAlias

_FILE: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


class Aliases:
    """Alias to collection; several changes happen together or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aliases = _FILE.validate_json(path.read_bytes()) if path.exists() else {}

    def collection(self, name: str) -> str:
        """What the name stands for; itself when it is no alias."""
        return self._aliases.get(name, name)

    def listed(self, collection: str | None = None) -> list[dict[str, str]]:
        """Every alias, or those of one collection, in the words of the protocol."""
        return [
            {"alias_name": alias, "collection_name": target}
            for alias, target in sorted(self._aliases.items())
            if collection in (None, target)
        ]

    def __contains__(self, name: str) -> bool:
        return name in self._aliases

    def change(
        self, actions: list[CreateAlias | DeleteAlias | RenameAlias], collections: Collection[str]
    ) -> None:
        """Apply the actions in order and make them last, or raise and change nothing."""
        changed = dict(self._aliases)
        for action in actions:
            _apply(action, changed, collections)
        self._keep(changed)

    def forget(self, collection: str) -> None:
        """Take away the aliases of a collection that is deleted."""
        kept = {alias: target for alias, target in self._aliases.items() if target != collection}
        if kept != self._aliases:
            self._keep(kept)

    def _keep(self, aliases: dict[str, str]) -> None:
        write_atomically(self._path, _FILE.dump_json(aliases, indent=2))
        self._aliases = aliases


def _apply(
    action: CreateAlias | DeleteAlias | RenameAlias, aliases: dict[str, str], collections: Collection[str]
) -> None:
    match action:
        case CreateAlias(create_alias=made):
            if made.collection_name not in collections:
                raise NotFound(f"Not found: Collection `{made.collection_name}` doesn't exist!")
            _refuse_collection(made.alias_name, collections)
            aliases[made.alias_name] = made.collection_name
        case DeleteAlias(delete_alias=taken):
            aliases.pop(taken.alias_name, None)
        case RenameAlias(rename_alias=names):
            if names.old_alias_name not in aliases:
                raise NotFound(f"Not found: Alias {names.old_alias_name} does not exist!")
            _refuse_collection(names.new_alias_name, collections)
            aliases[names.new_alias_name] = aliases.pop(names.old_alias_name)


def _refuse_collection(alias: str, collections: Collection[str]) -> None:
    if alias in collections:
        raise Conflict(f"Wrong input: Collection `{alias}` already exists!")
