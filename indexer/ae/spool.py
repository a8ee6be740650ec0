"""The durable spool of questions: what was acknowledged is on the disk until it is answered or refused.

A question is a folder: `question.json`, the instances as they came, and later the answers in their place.
It holds patient data by nature, so it is readable by its owner only and gone as soon as it is answered.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

from indexer.errors import Unavailable

logger = logging.getLogger(__name__)

State = Literal["waiting", "answered", "pushing"]

_RECORD: Final = "question.json"
_LONE_ANSWER: Final = "answer.dcm"
"""Where version 0.1.0 kept the only one."""
_INSTANCES: Final = "instances"
_PART: Final = ".part"


class SpoolFull(Unavailable):
    """The quota of the spool is used up, or its disk is nearly full."""

    reason = "spool_full"


@dataclass(frozen=True, slots=True)
class SpooledQuestion:
    """What is known of a question between two starts; without patient data.

    `received_at` and `answered_at` are seconds since 1970. `begun` counts the attempts that began and
    never ended: a question that ends the process must not end it for ever. `answers` is how many documents
    answer it. In the state "pushing" they were delivered, and the best cases follow; those of the studies
    `pushed` did. `called` is the AE title of ours that it came to; empty for the first.
    """

    question_id: str
    caller: str
    destination: str
    study_instance_uid: str
    received_at: float
    state: State = "waiting"
    begun: int = 0
    answered_at: float = 0.0
    answers: int = 0
    pushed: tuple[str, ...] = ()
    called: str = ""


class Spool:
    """A folder of questions; safe to use from several threads, by one process."""

    def __init__(self, folder: Path, *, max_bytes: int = 20 * 2**30, min_free_bytes: int = 2**28) -> None:
        """Use `folder`, which is made when it is missing.

        Args:
            folder: a folder of its own.
            max_bytes: the quota: more is refused with SpoolFull.
            min_free_bytes: what is left free on the disk.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._lock = threading.Lock()
        self._bytes = 0

    def load(self) -> tuple[SpooledQuestion, ...]:
        """Make the folder, sweep away what a killed process left half done, and read every question."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        _sync_folder(self._folder.parent)
        found = tuple(self._recovered())
        with self._lock:
            self._bytes = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return found

    def create(
        self, caller: str, destination: str, study_instance_uid: str, now: float, called: str = ""
    ) -> SpooledQuestion:
        """Begin a question; durable on return."""
        question = SpooledQuestion(
            uuid.uuid4().hex, caller, destination, study_instance_uid, received_at=now, called=called
        )
        with _disk_errors():
            (self._of(question) / _INSTANCES).mkdir(mode=0o700, parents=True)
            self._of(question).chmod(0o700)
            self.save(question)
            _sync_folder(self._folder)
        return question

    def save(self, question: SpooledQuestion) -> None:
        """Replace the record; durable on return."""
        with _disk_errors():
            _write(self._of(question) / _RECORD, json.dumps(asdict(question)).encode())

    def add_instance(self, question: SpooledQuestion, sop_instance_uid: str, content: bytes) -> None:
        """Keep one DICOM file as it came; durable on return. The same instance twice is kept once.

        Raises:
            SpoolFull: there is no room.
        """
        path = self._of(question) / _INSTANCES / f"{sop_instance_uid}.dcm"
        self._take_room(len(content))
        replaced = path.stat().st_size if path.exists() else 0
        try:
            with _disk_errors():
                _write(path, content)
        except BaseException:
            self._give_back(len(content))
            raise
        self._give_back(replaced)

    def instances(self, question: SpooledQuestion) -> tuple[Path, ...]:
        """The files of a question that is waiting."""
        return tuple(sorted((self._of(question) / _INSTANCES).glob("*.dcm")))

    def put_answers(self, question: SpooledQuestion, contents: Sequence[bytes]) -> SpooledQuestion:
        """Keep the answers and the record that says so, then drop the instances.

        Until the record is replaced the question waits as before, whatever was written beside it.
        """
        answered = replace(question, answers=len(contents))
        replaced = sum(path.stat().st_size for path in self._answers(answered) if path.exists())
        with _disk_errors():
            for path, content in zip(self._answers(answered), contents, strict=True):
                _write(path, content)
            self.save(answered)
        written = sum(len(content) for content in contents)
        self._give_back(_size(self._of(question) / _INSTANCES) + replaced - written)
        shutil.rmtree(self._of(question) / _INSTANCES, ignore_errors=True)
        return answered

    def answers(self, question: SpooledQuestion) -> tuple[Path, ...]:
        """The files of a question that is answered, in their order."""
        return self._answers(question) or (self._of(question) / _LONE_ANSWER,)

    def _answers(self, question: SpooledQuestion) -> tuple[Path, ...]:
        return tuple(self._of(question) / f"answer-{number}.dcm" for number in range(1, question.answers + 1))

    def remove(self, question: SpooledQuestion) -> None:
        """Forget a question: once the record is gone it is never asked or answered again.

        Raises:
            SpoolFull: the disk refuses; what is left is removed by another call, or by the next start.
        """
        folder = self._of(question)
        with _disk_errors():
            if not folder.exists():
                return
            size = _size(folder)
            try:
                (folder / _RECORD).unlink(missing_ok=True)
                _sync_folder(folder)
                shutil.rmtree(folder)
            finally:
                self._give_back(size - _size(folder))

    def _of(self, question: SpooledQuestion) -> Path:
        return self._folder / question.question_id

    def _take_room(self, size_bytes: int) -> None:
        with self._lock:
            if self._bytes + size_bytes > self._max_bytes:
                raise SpoolFull("The spool of questions has reached its quota: try again later.")
            if shutil.disk_usage(self._folder).free < self._min_free_bytes + size_bytes:
                raise SpoolFull("The disk of the spool of questions is nearly full: try again later.")
            self._bytes += size_bytes

    def _give_back(self, size_bytes: int) -> None:
        with self._lock:
            self._bytes = max(0, self._bytes - size_bytes)

    def _recovered(self) -> Iterator[SpooledQuestion]:
        for folder in sorted(path for path in self._folder.iterdir() if path.is_dir()):
            for part in folder.rglob(f"*{_PART}"):
                part.unlink(missing_ok=True)
            question = _read(folder)
            if question is not None:
                yield question


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn a failing disk into SpoolFull: the sender is told that it may try again."""
    try:
        yield
    except OSError as error:
        raise SpoolFull(f"The spool of questions cannot be written ({error.strerror}).") from error


def _read(folder: Path) -> SpooledQuestion | None:
    """The question of a folder; a folder without a record holds nothing that was acknowledged."""
    try:
        record = json.loads((folder / _RECORD).read_text())
        question = SpooledQuestion(**{**record, "pushed": tuple(record.get("pushed", ()))})
    except FileNotFoundError:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    except (ValueError, TypeError, AttributeError):
        logger.error("question_unreadable question=%s", folder.name)  # noqa: TRY400 - the text is not ours
        return None
    return question


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write(path: Path, content: bytes) -> None:
    """Write beside, sync, rename, sync the folder: the file is whole or not there."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PART}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
