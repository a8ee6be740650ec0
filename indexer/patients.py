"""Keyed pseudonyms of patients: enough to say "the same one", not enough to say who."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
import unicodedata
from pathlib import Path
from typing import Final

from indexer.errors import Rejected

KEY_BYTES: Final = 32
MIN_KEY_BYTES: Final = 16
KEY_FILE: Final = "patient.key"

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

    def of(self, issuer: str, patient_id: str) -> str | None:
        """The pseudonym of one patient.

        Args:
            issuer: Issuer of Patient ID (0010,0021); empty when there is none.
            patient_id: Patient ID (0010,0020).

        Returns:
            64 hexadecimal digits, HMAC-SHA256; None for an id that is blank or a placeholder, because
            two patients without an id are not the same patient.
        """
        given = _significant(patient_id)
        if _is_placeholder(given):
            return None
        # Lengths keep ("A", "BC") and ("AB", "C") apart.
        named = _significant(issuer)
        message = f"{len(named)}:{named}{len(given)}:{given}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


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


def _derived(secret: str) -> bytes:
    given = secret.encode()
    if len(given) < MIN_KEY_BYTES:
        raise Rejected(f"CBIR_PATIENT_KEY has {len(given)} bytes; it needs at least {MIN_KEY_BYTES}.")
    return hmac.new(b"cbir patient pseudonyms", given, hashlib.sha256).digest()


def _create(file: Path, key: bytes) -> None:
    """Let the file appear whole, readable by its owner only, unless another process was first."""
    descriptor, written = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(written, file)
    except FileExistsError:
        return
    finally:
        Path(written).unlink()


def _significant(text: str) -> str:
    """Without the padding that DICOM calls insignificant; equal letters written alike.

    Source:
        DICOM PS3.5 6.2: leading and trailing spaces of an LO carry no meaning; case does.
    """
    return unicodedata.normalize("NFC", text).strip(" \0\t\r\n")


def _is_placeholder(patient_id: str) -> bool:
    bare = "".join(character for character in patient_id.upper() if character.isalnum())
    return not bare or bare in PLACEHOLDERS or _FILLER.fullmatch(bare) is not None
