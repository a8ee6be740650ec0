"""The composition root: each port of one installation, built from the settings when first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType

from fastapi import FastAPI
from prometheus_client import Histogram

from cbir.collecting import Collection
from cbir.dimse import Dimse
from cbir.engine_process import Endpoint, vector_endpoint
from cbir.following import Following
from cbir.line_ups import first_line_ups
from cbir.local_encoder import LocalEncoder
from cbir.settings import LOOPBACK, Settings
from indexer.adapters.folder import FolderArchive
from indexer.adapters.orthanc import OrthancArchive
from indexer.adapters.qdrant import QdrantIndex
from indexer.answers.links import PRESETS, Links
from indexer.api import ApiSettings, House, create_app
from indexer.api.metrics import answer_steps
from indexer.domain import EncoderVersion, IndexedSeries
from indexer.ledger import Ledger, RememberedLineUps
from indexer.patients import Pseudonyms, load_key
from indexer.ports import Encoder
from indexer.search import Judge, RememberedBackgrounds, Search
from inference.decoders import Decoders
from inference.embedders import Inference, LoadedEmbedders
from inference.known import KnownImages
from inference.limits import Limits
from inference.registry import Registry
from inference.worker import Worker, WorkLimits


class Deployment:
    """One installation. What was built is closed in reverse order when the block ends."""

    def __init__(self, settings: Settings, endpoint: Endpoint | None = None) -> None:
        """Build nothing yet.

        Args:
            settings: every option.
            endpoint: where the vectors are; None finds or starts what the settings say.
        """
        self.settings = settings
        self._given_endpoint = endpoint
        self._closing = ExitStack()

    def __enter__(self) -> Deployment:
        """Make the data directory."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was built."""
        self._closing.close()

    @cached_property
    def ledger(self) -> Ledger:
        """The state of every series."""
        ledger = Ledger.open(self.settings.resolved_database_url)
        self._closing.callback(ledger.close)
        return ledger

    @cached_property
    def archive(self) -> OrthancArchive | FolderArchive:
        """Orthanc, or the folder that is followed in its place."""
        settings = self.settings
        if settings.folder is not None:
            return FolderArchive(settings.folder)
        return self._closing.enter_context(
            OrthancArchive(
                str(settings.orthanc_url),
                user=settings.orthanc_user,
                password=settings.orthanc_password.get_secret_value(),
                timeout_s=settings.orthanc_timeout_s,
                max_instance_bytes=settings.max_instance_bytes,
            )
        )

    @cached_property
    def index(self) -> QdrantIndex:
        """The vectors, with a place made for those of each encoder in use."""
        endpoint = self._given_endpoint or self._closing.enter_context(vector_endpoint(self.settings))
        index = QdrantIndex(endpoint.url, api_key=endpoint.api_key)
        self._closing.callback(index.close)
        for version in self.line_ups().versions:
            index.prepare(version)
        return index

    @property
    def registry(self) -> Registry:
        """The encoders at hand."""
        return Registry(self.settings.encoders_dir, self.settings.non_commercial_encoders)

    @cached_property
    def line_ups(self) -> RememberedLineUps:
        """Which encoders are searched and which are filled, as the ledger remembers it."""
        return RememberedLineUps(
            self.ledger, lambda: first_line_ups(self.registry, self.settings.encoder_names, self.ledger)
        )

    @property
    def encoder_version(self) -> EncoderVersion:
        """The first encoder of the line-up that is searched."""
        return self.line_ups().serving.versions[0]

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """The keyed hash of patients."""
        configured = self.settings.patient_key.get_secret_value()
        return Pseudonyms(load_key(self.settings.data_dir, configured))

    @cached_property
    def decoders(self) -> Decoders:
        """The decoder processes of this process."""
        settings = self.settings
        limits = Limits(
            max_instance_bytes=settings.max_instance_bytes,
            max_frame_pixels=settings.max_frame_pixels,
            timeout_s=settings.decode_timeout_s,
        )
        return self._closing.enter_context(Decoders(limits, settings.decoders))

    @cached_property
    def embedder(self) -> LoadedEmbedders:
        """The encoders of this process, each loaded when it is first needed, and their decoders."""
        settings = self.settings
        shared = Inference(
            decoders=self.decoders,
            pseudonym=self.pseudonyms.of,
            providers=settings.providers,
            threads=settings.threads,
            max_frames=settings.max_frames,
            batch_size=settings.batch_size,
        )
        return LoadedEmbedders(shared, self.line_ups, self.line_ups.read, self.registry.folder_of)

    def worker(self) -> Worker:
        """A worker in this process."""
        settings = self.settings
        return Worker(
            ledger=self.ledger,
            archive=self.archive,
            index=self.index,
            embedders=self.embedder,
            spool=settings.data_dir / "spool",
            patient_key_name=self.pseudonyms.key_name,
            limits=WorkLimits(
                lanes=settings.lanes,
                lease_s=settings.lease_s,
                max_attempts=settings.max_attempts,
                max_frames=settings.max_frames,
                max_instance_bytes=settings.max_instance_bytes,
            ),
        )

    @property
    def local_encoder(self) -> LocalEncoder:
        """The encoders of this process, for a command that asks once."""
        return LocalEncoder(lambda: self.embedder)

    @property
    def links(self) -> Links:
        """Where matches are opened; a folder has no such place."""
        settings = self.settings
        if settings.folder is not None:
            return Links()
        public_url = settings.orthanc_public_url or str(settings.orthanc_url)
        return Links(public_url, settings.orthanc_ae_title, settings.links or (PRESETS["explorer"],))

    @cached_property
    def collection(self) -> Collection:
        """How cases are collected and sent."""
        return Collection.of(self.settings, self.archive, self.ledger, self.pseudonyms, self.indexed)

    def indexed(self, archive_ids: Sequence[str]) -> Mapping[str, IndexedSeries]:
        """What the encoders that are searched hold of these series but the vectors, by archive id."""
        versions = self.line_ups().serving.versions
        return {i: series for v in versions for i, series in self.index.indexed(v, archive_ids).items()}

    def search(self, encoder: Encoder) -> Search:
        """Query by example, new examples embedded by `encoder`."""
        return Search(
            line_ups=self.line_ups,
            ledger=self.ledger,
            archive=self.archive,
            encoder=encoder,
            index=self.index,
            access=self.archive,
            judge=self.judge,
        )

    @cached_property
    def judge(self) -> Judge:
        """How far a score may be believed, and what is outside of what an encoder knows."""
        return Judge(
            background=RememberedBackgrounds(self.ledger), known=KnownImages(self.registry.folder_of)
        )

    @cached_property
    def following(self) -> Following:
        """How the ledger learns what the archive holds."""
        return Following(
            settings=self.settings,
            archive=self.archive,
            ledger=self.ledger,
            index=self.index,
            line_ups=self.line_ups,
            registry=self.registry,
            patient_key_name=self.pseudonyms.key_name,
        )

    def web_application(self, search: Search, encoder: Encoder) -> FastAPI:
        """The page and the API."""
        settings = self.settings
        house = House(
            search=search,
            ledger=self.ledger,
            archive=self.archive,
            access=self.archive,
            index=self.index,
            encoder=encoder,
            line_ups=self.line_ups,
            events=self.following.events().accept if settings.folder is None else None,
            sending=self.collection.sending,
        )
        return create_app(
            house,
            ApiSettings(
                api_token=settings.api_token.get_secret_value(),
                plugin_secret=settings.plugin_secret.get_secret_value(),
                allowed_hosts=(*LOOPBACK, *settings.allowed_hosts) if settings.http_host in LOOPBACK else (),
                max_upload_bytes=settings.max_upload_bytes,
                max_questions=settings.max_questions,
                links=self.links,
            ),
            measured=[self.answer_steps],
        )

    @cached_property
    def answer_steps(self) -> Histogram:
        """How long each step of an answer takes: the AE tells, /metrics shows."""
        return answer_steps()

    @cached_property
    def dimse(self) -> Dimse:
        """What is asked by DICOM, and who takes it."""
        return Dimse(self.settings, self.archive, self.collection, self.answer_steps)
