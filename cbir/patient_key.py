"""`cbir rotate-patient-key`: another key for the pseudonyms; what the old one made is made again."""

from __future__ import annotations

from cbir.serve import only_one
from cbir.settings import Settings
from indexer.errors import Rejected
from indexer.patients import replace_key


def rotate_patient_key(settings: Settings) -> None:
    """Put a new key in the place of the old one while nothing runs that knows the old one.

    The next comparison finds every series whose pseudonym the old key made and has it embedded again
    from the archive. Until then such a series is no answer to a question that leaves out the patient.

    Raises:
        Rejected: `cbir serve` runs, or the key is not kept in the data directory.
    """
    if settings.patient_key.get_secret_value():
        raise Rejected(
            "The key is CBIR_PATIENT_KEY: stop `cbir serve` and every worker, write another secret there, "
            "and start them again. What the old one made is made again by itself."
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with only_one(settings):
        replace_key(settings.data_dir)
