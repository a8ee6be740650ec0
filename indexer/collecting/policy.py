"""What is shown of a case's patient, and whether the case is de-identified before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from indexer.patients import Pseudonyms
from indexer.ports import ArchivedStudy, Disguise

Identities = Literal["none", "pseudonym", "archive"]
Deidentify = Literal["never", "always", "others"]

OF_PATIENT: Final = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
OF_STUDY: Final = ("StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName")


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one installation.

    `identities` says what a listing shows: "none" only "CASE 1" and an id of the study's own, "pseudonym" a
    word that stays the same for the same patient, "archive" what the archive has. `deidentify` says which
    cases are sent without who they are: "others" are those of other patients than the one asked about.
    """

    pseudonyms: Pseudonyms
    identities: Identities = "pseudonym"
    deidentify: Deidentify = "never"

    @property
    def shows_the_archives(self) -> bool:
        """Whether a listing shows who the patients are."""
        return self.identities == "archive"

    def patient(self, study: ArchivedStudy) -> str | None:
        """The pseudonym of a study's patient, as it is indexed if it is; None where it has no id."""
        given = study.attributes
        return study.patient or self.pseudonyms.of(
            given.get("IssuerOfPatientID", ""), given.get("PatientID", "")
        )

    def listed_patient(self, study: ArchivedStudy) -> str:
        """A word for what a listing takes for one patient: a patient, a study of nobody known, or any study.

        Where not even a pseudonym is shown, the studies of one patient are not told to be that.
        """
        if self.identities == "none":
            return self.pseudonyms.case_name(f"{study.study_instance_uid} {self.patient(study) or ''}")
        return self.case_name(study)

    def disguise(self, study: ArchivedStudy, *, of_the_asker: bool = False) -> Disguise | None:
        """What a copy of this study is called; None where it goes out as it is.

        Args:
            study: whose it is.
            of_the_asker: whether its patient is the one who was asked about.
        """
        if self.deidentify == "never" or (self.deidentify == "others" and of_the_asker):
            return None
        return Disguise(name=self.case_name(study), uid=self.pseudonyms.uid)

    def case_name(self, study: ArchivedStudy) -> str:
        """A word for the study's patient."""
        return self.pseudonyms.case_name(self.patient(study) or study.study_instance_uid)

    def shown(self, study: ArchivedStudy, rank: int, disguise: Disguise | None) -> Mapping[str, str]:
        """The attributes of the patient and the study that a listing may show, by DICOM keyword.

        A case that is sent without who it is, is not listed with it either.
        """
        if self.identities == "none":
            return {"PatientName": f"CASE {rank}", "PatientID": self.listed_patient(study)}
        if self.identities == "pseudonym" or disguise is not None:
            name = self.case_name(study)
            return {"PatientName": name, "PatientID": name}
        return {k: v for k in (*OF_PATIENT, *OF_STUDY) if (v := study.attributes.get(k, ""))}
