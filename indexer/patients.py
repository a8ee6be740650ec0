"""Keyed pseudonyms of patients: enough to say "the same one", not enough to say who."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
import unicodedata
import uuid
from pathlib import Path
from typing import Final

from indexer.errors import Rejected

KEY_BYTES: Final = 32
MIN_KEY_BYTES: Final = 16
KEY_FILE: Final = "patient.key"
NAME_DIGITS: Final = 12
"""A pseudonym begins with the name of its key, so that two are only compared when one key made both."""

PLACEHOLDERS: Final = frozenset(
    {
        "ANON",
        "ANONYMISED",
        "ANONYMIZED",
        "ANONYMOUS",
        "DEFAULT",
        "DEIDENTIFIED",
        "DUMMY",
        "EMPTY",
        "NA",
        "NIL",
        "NOID",
        "NOIDENTIFIER",
        "NONE",
        "NOPATIENTID",
        "NOTAPPLICABLE",
        "NOTAVAILABLE",
        "NOTKNOWN",
        "NOTPROVIDED",
        "NULL",
        "PATIENT",
        "PATIENTID",
        "PHANTOM",
        "PID",
        "REMOVED",
        "TBD",
        "TEST",
        "UNDEFINED",
        "UNKNOWN",
        "UNSPECIFIED",
    }
)
"""Patient IDs that stand for nobody, compared without case, spaces and punctuation.

So do ids without a letter or digit, ids of zeros or of X only, and six or more nines. An id that merely
begins like one of them ("ANON0001") is an id: collections number their patients so.
"""

_FILLER: Final = re.compile(r"0+|X+|9{6,}")


class Pseudonyms:
    """Names a patient by a keyed hash of issuer and Patient ID."""

    def __init__(self, key: bytes) -> None:
        """Take the key; another key gives other pseudonyms.

        Raises:
            Rejected: the key is shorter than 16 bytes.
        """
        if len(key) < MIN_KEY_BYTES:
            raise Rejected(f"The patient key has {len(key)} bytes; it needs at least {MIN_KEY_BYTES}.")
        self._key = key
        self.key_name = hmac.new(key, b"cbir patient key name", hashlib.sha256).hexdigest()[:NAME_DIGITS]

    def of(self, issuer: str, patient_id: str) -> str | None:
        """The pseudonym of one patient.

        Args:
            issuer: Issuer of Patient ID (0010,0021); empty when there is none.
            patient_id: Patient ID (0010,0020).

        Returns:
            The key's name, a colon and 64 hexadecimal digits, HMAC-SHA256; None for an id that is blank
            or a placeholder, because two patients without an id are not the same patient.
        """
        given = _significant(patient_id)
        if _is_placeholder(given):
            return None
        # Lengths keep ("A", "BC") and ("AB", "C") apart.
        named = _significant(issuer)
        message = f"{len(named)}:{named}{len(given)}:{given}".encode()
        return f"{self.key_name}:{hmac.new(self._key, message, hashlib.sha256).hexdigest()}"

    def case_name(self, whom: str) -> str:
        """What a patient is called where a case is shown or sent without who it is.

        Args:
            whom: a pseudonym that `of` gave; where it gave None, the UID of the study.

        Returns:
            "CASE-" and 12 hexadecimal digits; the same for the same patient as long as the key is kept.
            The pseudonym cannot be read back from it.
        """
        return f"CASE-{self._digest('case', whom)[:12].upper()}"

    def uid(self, uid: str) -> str:
        """The UID that stands for another one in a de-identified copy, always the same for the same one.

        Source:
            DICOM PS3.5 B.2: UUID-derived UID, here of a UUID of version 8 (RFC 9562 5.8).
        """
        digits = self._digest("uid", uid)
        return f"2.25.{uuid.UUID(f'{digits[:12]}8{digits[13:16]}8{digits[17:32]}').int}"

    def _digest(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"cbir {purpose} {text}".encode(), hashlib.sha256).hexdigest()


def key_name_of(pseudonym: str) -> str:
    """The name of the key that made a pseudonym; empty when it does not say."""
    name, colon, _ = pseudonym.partition(":")
    return name if colon else ""


def load_key(data_dir: Path, configured: str = "") -> bytes:
    """The key of this installation's pseudonyms.

    Args:
        data_dir: where the key is kept, as `patient.key`, when none is configured; made when it is not
            there. Processes that start at once agree on one key.
        configured: the operator's own secret; the key is derived from it and nothing is kept.

    Raises:
        Rejected: the secret, or what the file holds, is too short.
    """
    if configured:
        return _derived(configured)
    file = data_dir / KEY_FILE
    if not file.exists():
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _create(file, secrets.token_bytes(KEY_BYTES))
    key = file.read_bytes()
    if len(key) < MIN_KEY_BYTES:
        raise Rejected(
            f"{KEY_FILE} in the data directory holds {len(key)} bytes, not a key: restore it from a backup. "
            "A new one makes every patient a stranger until everything is indexed again."
        )
    return key


def replace_key(data_dir: Path) -> None:
    """Put a new random key in the place of the old one, which is gone for good; whole at every moment."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = _written(data_dir / KEY_FILE, secrets.token_bytes(KEY_BYTES))
    written.replace(data_dir / KEY_FILE)
    _sync(data_dir)


def _derived(secret: str) -> bytes:
    given = secret.encode()
    if len(given) < MIN_KEY_BYTES:
        raise Rejected(f"CBIR_PATIENT_KEY has {len(given)} bytes; it needs at least {MIN_KEY_BYTES}.")
    return hmac.new(b"cbir patient pseudonyms", given, hashlib.sha256).digest()


def _create(file: Path, key: bytes) -> None:
    """Let the file appear whole, readable by its owner only, unless another process was first."""
    written = _written(file, key)
    try:
        os.link(written, file)
    except FileExistsError:
        return
    finally:
        written.unlink()


def _written(file: Path, key: bytes) -> Path:
    """The key in a file of another name beside `file`, readable by its owner only, safe on the disk."""
    descriptor, written = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    return Path(written)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _significant(text: str) -> str:
    """Without the padding that DICOM calls insignificant; equal letters written alike.

    Source:
        DICOM PS3.5 6.2: leading and trailing spaces of an LO carry no meaning; case does.
    """
    return unicodedata.normalize("NFC", text).strip(" \0\t\r\n")


def _is_placeholder(patient_id: str) -> bool:
    bare = "".join(character for character in patient_id.upper() if character.isalnum())
    return not bare or bare in PLACEHOLDERS or _FILLER.fullmatch(bare) is not None
