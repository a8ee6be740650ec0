"""Two patients share a Study Instance UID by mistake, and both of their studies go along with an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from indexer.collecting import Cases, Deidentify, Policy, Sending, Shipping
from indexer.destinations import Destination
from indexer.ledger import KeptAnswer, Ledger
from tests.fakes.answers import instance
from tests.fakes.archive import FakeArchive
from tests.fakes.collected import PSEUDONYMS, case_of
from tests.fakes.library import FakeCarrier, FakeLibrary

WS1 = Destination.parse("WS1=localhost:104")


def pushed(ledger: Ledger, deidentify: Deidentify) -> list[str]:
    """The patients whose instances arrive, one an instance."""
    archive, cases = FakeArchive(), []
    for rank, patient in enumerate(("ONE", "TWO"), start=1):
        dataset = instance("shared", patient, 1, PatientID=patient, PatientName=patient)
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        archive_id = archive.store(buffer.getvalue())
        cases.append(replace(case_of(dataset, None), rank=rank, archive_id=archive_id))
    answer = KeptAnswer("q", "WS1", datetime.now(UTC), "1.2.9", tuple(cases))
    library, carrier, policy = FakeLibrary(archive), FakeCarrier(), Policy(PSEUDONYMS, deidentify=deidentify)
    shipping = Shipping(library)
    sending = Sending(
        archive=archive,
        library=library,
        access=archive,
        policy=policy,
        shipping=shipping,
        carrier=carrier,
        destinations=(WS1,),
    )
    sending.push(Cases(ledger, library, policy), answer, 2, WS1)
    return [str(dataset.PatientID) for dataset in carrier.sent["WS1"]]


def test_both_of_two_patients_with_one_study_uid_go_along(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        assert pushed(ledger, "never") == ["ONE", "TWO"]
        names = [PSEUDONYMS.case_name(PSEUDONYMS.of("", patient) or "") for patient in ("ONE", "TWO")]
        assert pushed(ledger, "always") == names
