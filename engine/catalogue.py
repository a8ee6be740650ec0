"""The collections of a data directory: a folder each, made and deleted as a whole."""

from __future__ import annotations

import logging
import re
import shutil
import uuid
from pathlib import Path

from engine.aliases import Aliases
from engine.durable import sync_folder, write_atomically
from engine.errors import BadRequest, Conflict, NotFound
from engine.protocol import ChangeAliases, CreateCollection
from engine.shard import Shard

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class CannotOpen(RuntimeError):
    """A collection on the disk is damaged; the text says which, and what to do."""


class Catalogue:
    """Opens every collection at once; everything here runs on the engine's one thread.

    A collection is built in `unfinished/` and renamed into `collections/`, and deleted the other way
    round: whenever the process stops, what is in `collections/` is whole.
    """

    def __init__(self, data_dir: Path) -> None:
        self._collections = data_dir / "collections"
        self._unfinished = data_dir / "unfinished"
        shutil.rmtree(self._unfinished, ignore_errors=True)
        for folder in (self._collections, self._unfinished):
            folder.mkdir(parents=True, exist_ok=True)
        self.aliases = Aliases(data_dir / "aliases.json")
        self._shards = {folder.name: _load(folder) for folder in sorted(self._collections.iterdir())}

    def names(self) -> list[str]:
        """Every collection."""
        return sorted(self._shards)

    def shard(self, name: str) -> Shard:
        """A collection by its name or an alias. Raises NotFound."""
        found = self._shards.get(self.aliases.collection(name))
        if found is None:
            raise NotFound(f"Not found: Collection `{name}` doesn't exist!")
        return found

    def exists(self, name: str) -> bool:
        """Whether there is a collection or an alias of this name."""
        return self.aliases.collection(name) in self._shards

    def create(self, name: str, config: CreateCollection) -> None:
        """Make a collection. Raises Conflict when the name is taken."""
        if not NAME.fullmatch(name):
            raise BadRequest(f"Wrong input: a collection is named like {NAME.pattern}, not {name!r}")
        if self.exists(name) or name in self.aliases:
            raise Conflict(f"Wrong input: Collection `{name}` already exists!")
        building = self._unfinished / uuid.uuid4().hex
        building.mkdir()
        write_atomically(building / "config.json", config.model_dump_json(by_alias=True).encode())
        Shard.create(building / "shard", config).close()
        building.rename(self._collections / name)
        sync_folder(self._collections)
        self._shards[name] = _load(self._collections / name)
        logger.info("collection_created name=%s", name)

    def delete(self, name: str) -> bool:
        """Take a collection away with its aliases; False when there is none."""
        shard = self._shards.pop(name, None)
        if shard is None:
            return False
        self.aliases.forget(name)
        shard.close()
        leaving = self._unfinished / uuid.uuid4().hex
        (self._collections / name).rename(leaving)
        sync_folder(self._collections)
        shutil.rmtree(leaving)
        logger.info("collection_deleted name=%s", name)
        return True

    def change_aliases(self, asked: ChangeAliases) -> None:
        """All of the changes, or none."""
        self.aliases.change(asked.actions, self._shards)

    def flush(self) -> None:
        """Write out what only the write-ahead logs have."""
        for shard in self._shards.values():
            shard.flush()

    def close(self) -> None:
        """Write out everything and let go of the files."""
        for shard in self._shards.values():
            shard.close()
        self._shards.clear()


def _load(folder: Path) -> Shard:
    try:
        config = CreateCollection.model_validate_json((folder / "config.json").read_bytes())
        shard = Shard.load(folder / "shard", config)
    except Exception as error:
        raise CannotOpen(
            f"The collection in {folder} cannot be opened: {error}. Restore it from a backup, or move the "
            "folder away and index again; the images are in the archive."
        ) from error
    logger.info("collection_opened name=%s points=%d", folder.name, shard.info()["points_count"])
    return shard
