"""A folder of prior studies, and callers whose questions were answered with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import dcmread
from pydicom.dataset import Dataset

from indexer.adapters.folder import FolderArchive
from indexer.adapters.folder.library import FolderLibrary
from indexer.collecting import Cases, Choosing, Deidentify, Identities, Policy, Recalling, Shipping
from indexer.domain import SeriesAttributes, SeriesReference
from indexer.ledger import Indexed, KeptAnswer, KeptCase, Ledger, Notice, Priority, Skipped
from indexer.patients import Pseudonyms
from indexer.ports import FetchedInstance, WantedCopy
from tests.fakes.answers import instance, uid, write

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PSEUDONYMS = Pseudonyms(b"a key of the tests")
EXAMPLE = "the example"


class DisguisingLibrary(FolderLibrary):
    """A folder that de-identifies: it gives new names and UIDs, and keeps little else."""

    can_disguise = True

    def copies(self, wanted: Sequence[WantedCopy], into: Path) -> Iterator[FetchedInstance]:
        for copy in wanted:
            [fetched] = self._archive.fetch([copy.instance], into)
            if copy.disguise is None:
                yield fetched
                continue
            dataset = dcmread(fetched.path)
            dataset.PatientName = dataset.PatientID = copy.disguise.name
            del dataset.AccessionNumber
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                setattr(dataset, keyword, copy.disguise.uid(str(dataset[keyword].value)))
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            path = into / f"{dataset.SOPInstanceUID}.dcm"
            dataset.save_as(path)
            yield FetchedInstance(copy.instance, path)


@dataclass
class Collected:
    """Priors in a folder, answers in a ledger; `now` may be moved on."""

    folder: Path
    ledger: Ledger
    now: datetime = NOW
    priors: dict[str, KeptCase] = field(default_factory=dict)

    def prior(
        self,
        name: str,
        *,
        series: int = 1,
        instances: int = 2,
        modality: str = "CT",
        **attributes: object,
    ) -> KeptCase:
        """A prior study of a patient of its own; keyword arguments are attributes of its instances."""
        made: list[Dataset] = []
        for which in range(1, series + 1):
            for number in range(1, instances + 1):
                given = {
                    "Modality": modality,
                    "PatientName": f"Prior^{name.title()}",
                    "PatientID": f"PRIOR-{name}",
                    "SeriesNumber": which,
                    "SeriesDescription": f"of {name}",
                    "BodyPartExamined": "HEAD",
                    "StudyDate": "20200102",
                    **attributes,
                }
                made.append(instance(name, str(which), number, **given))
        write(self.folder / "priors" / name, *made)
        day = datetime.strptime(str(made[0].StudyDate), "%Y%m%d").replace(tzinfo=UTC).date()
        self.priors[name] = case_of(made[0], day)
        return self.priors[name]

    def index(self, study: str, series: str = "1", *, skipped: bool = False) -> None:
        """Let the ledger say that a series of a prior was indexed, or was not."""
        reference = SeriesReference(uid(study), uid(study, series), f"{uid(study)}/{uid(study, series)}")
        self.ledger.notice([Notice(reference.archive_id, "folder", Priority.CHANGED)], self.now)
        [lease] = self.ledger.lease("tests", 1, 60, self.now)
        made = Indexed(reference, SeriesAttributes("CT"), "r", "f", "grey32@0123456789ab")
        left = Skipped(reference, SeriesAttributes("CT"), "r", "f", "blank", "It is blank.")
        if not self.ledger.finish(lease, "tests", left if skipped else made, self.now):
            raise AssertionError(f"The lease of {reference.archive_id} was lost.")

    def choosing(self, deidentify: Deidentify = "never", *, library: FolderLibrary | None = None) -> Choosing:
        """What heeds flags on these priors."""
        archive, library = FolderArchive(self.folder / "priors"), library or self.library()
        policy = Policy(PSEUDONYMS, deidentify=deidentify)
        cases = Cases(self.ledger, library, policy, kept_for_s=3600, now=lambda: self.now)
        recalling = Recalling(archive, library, archive, policy)
        return Choosing(self.ledger, cases, recalling, kept_for_s=3600, now=lambda: self.now)

    def answered(
        self,
        caller: str,
        *names: str,
        question_id: str = "",
        instances: tuple[str, ...] = (),
        **said: str,
    ) -> KeptAnswer:
        """A question of a caller that was answered with these priors, a second after the one before.

        `said` is what is kept of it beside: of a refusal, or of the example, as its `instances` are.
        """
        self.now += timedelta(seconds=1)
        kept = KeptAnswer(
            question_id or f"question-{self.now:%H%M%S}",
            caller,
            self.now,
            said.pop("study_instance_uid", uid(EXAMPLE)),
            tuple(
                ranked(self.priors[name], rank, percent=(99.4, 97.2, 91.1)[rank - 1])
                for rank, name in enumerate(names, start=1)
            ),
            instances=instances,
            **said,
        )
        self.ledger.keep_answer(kept)
        return kept

    def library(self, *, disguising: bool = False) -> FolderLibrary:
        archive = FolderArchive(self.folder / "priors")
        return (DisguisingLibrary if disguising else FolderLibrary)(self.folder / "priors", archive)

    def cases(
        self,
        identities: Identities = "pseudonym",
        deidentify: Deidentify = "never",
        *,
        disguising: bool = False,
    ) -> Cases:
        policy = Policy(PSEUDONYMS, identities, deidentify)
        library = self.library(disguising=disguising)
        return Cases(self.ledger, library, policy, kept_for_s=3600, now=lambda: self.now)

    def shipping(self, *, disguising: bool = False) -> Shipping:
        return Shipping(self.library(disguising=disguising))


@contextmanager
def collected(folder: Path) -> Iterator[Collected]:
    """An empty folder and an empty ledger."""
    (folder / "priors").mkdir(parents=True)
    with TemporaryDirectory() as beside, Ledger.open(f"sqlite:///{beside}/ledger.sqlite") as ledger:
        yield Collected(folder, ledger)


def case_of(dataset: Dataset, day: date | None) -> KeptCase:
    study, series = str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID)
    return KeptCase(
        rank=1,
        score=0.9,
        percent=99.4,
        study_instance_uid=study,
        series_instance_uid=series,
        archive_id=f"{study}/{series}",
        sop_instance_uid=str(dataset.SOPInstanceUID),
        frame_number=1,
        modality=str(dataset.Modality),
        body_part_examined="HEAD",
        sequence="T2",
        plane="AXIAL",
        study_date=day,
    )


def ranked(case: KeptCase, rank: int, percent: float) -> KeptCase:
    return replace(case, rank=rank, score=1 - rank / 10, percent=percent)
