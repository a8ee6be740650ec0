"""What is asked by DICOM, and who takes it, built from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from ssl import SSLContext

from prometheus_client import Histogram

from cbir.collecting import Collection
from cbir.settings import Settings
from indexer.adapters.folder import FolderArchive
from indexer.adapters.orthanc import OrthancArchive
from indexer.ae.answering import Answering
from indexer.ae.delivery import deliver
from indexer.ae.documents import Documents
from indexer.ae.entity import ApplicationEntity
from indexer.ae.patience import Patience
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool
from indexer.ae.tls import mutual_tls
from indexer.answers.illustrations import Illustrations
from indexer.answers.sheet_layout import SheetStyle
from indexer.errors import Rejected
from indexer.ports import Encoder
from indexer.search import Search


@dataclass(frozen=True, slots=True)
class Dimse:
    """The application entity and its questions; `steps` takes how long each step of an answer took."""

    settings: Settings
    archive: OrthancArchive | FolderArchive
    collection: Collection
    steps: Histogram

    def questions(self, search: Search, encoder: Encoder) -> Questions:
        """What is sent to the AE titles, from its acknowledgement to the delivery of its answer."""
        settings = self.settings
        return Questions(
            spool=Spool(settings.data_dir / "questions", max_bytes=settings.max_spool_bytes),
            answering=self._answering(search, encoder),
            deliver=partial(deliver, ae_title=settings.ae_title),
            callers=settings.callers,
            presets=settings.ae_presets,
            patience=Patience(quiet_s=settings.question_quiet_s, give_up_s=settings.answer_retry_s),
            keeping=self.collection.keeping,
            took=lambda step, took_s: self.steps.labels(step).observe(took_s),
        )

    def _answering(self, search: Search, encoder: Encoder) -> Answering:
        settings = self.settings
        return Answering(
            search,
            limit=settings.answer_limit,
            documents=Documents(
                settings.answer_forms,
                settings.references,
                settings.orthanc_ae_title,
                SheetStyle(settings.language, settings.dates),
            ),
            illustrations=Illustrations(self.archive, encoder),
            choosing=self.collection.choosing,
        )

    def application_entity(self, questions: Questions) -> ApplicationEntity:
        """The CBIR application entity. Raises Rejected when its TLS files cannot be used."""
        settings = self.settings
        return ApplicationEntity(
            ae_title=settings.ae_title,
            host=settings.dimse_host,
            port=settings.dimse_port,
            callers=settings.callers,
            questions=questions,
            max_instance_bytes=settings.max_instance_bytes,
            tls=_tls(settings),
            collecting=self.collection.by_dicom,
            presets=tuple(preset.ae_title for preset in settings.ae_presets),
        )


def _tls(settings: Settings) -> SSLContext | None:
    certificate, key = settings.dimse_tls_certificate, settings.dimse_tls_key
    callers_ca = settings.dimse_tls_callers_ca
    if certificate is None or key is None or callers_ca is None:
        return None
    try:
        return mutual_tls(certificate, key, callers_ca)
    except OSError as error:
        raise Rejected(
            "CBIR_DIMSE_TLS_CERTIFICATE, CBIR_DIMSE_TLS_KEY and CBIR_DIMSE_TLS_CALLERS_CA cannot be used: "
            f"{error.strerror or error}."
        ) from error
