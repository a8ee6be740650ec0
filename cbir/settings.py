"""Every option of every process, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cbir.presets import parse_presets
from indexer.ae.preset import Preset
from indexer.answers.links import Viewer
from indexer.destinations import Destination

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
# What the tests are told by.
NOT_OPTIONS = ("CBIR_TEST_", "CBIR_REQUIRE_")
DIMSE_TLS = ("dimse_tls_certificate", "dimse_tls_key", "dimse_tls_callers_ca")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(BaseSettings):
    """Every knob; the environment variable CBIR_ORTHANC_URL sets `orthanc_url`, and so on."""

    model_config = SettingsConfigDict(env_prefix="CBIR_", frozen=True, extra="forbid")

    data_dir: Path = Field(Path("data"), description="Where everything this system keeps is kept.")
    encoders_dir: Path = Field(Path("models"), description="Folder of encoders, a folder each.")
    encoder: str = Field(
        "radiology-small",
        min_length=1,
        description="The encoder that is used: a folder of CBIR_ENCODERS_DIR; of several, comma separated, "
        "the first that serves a modality takes it.",
    )
    non_commercial_encoders: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Encoders that may be used though their licence forbids commercial use."
    )
    database_url: str = Field("", description="The ledger; empty is SQLite in the data directory.")
    folder: Path | None = Field(None, description="A folder of DICOM files to follow instead of Orthanc.")

    http_host: str = Field("127.0.0.1", description="Where the page and the API listen.")
    http_port: Port = Field(8090, description="Port of the page and the API.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Names by which a proxy in front is reached, beside this machine's own."
    )
    api_token: SecretStr = Field(SecretStr(""), description="When set, wanted as a bearer token.")
    plugin_secret: SecretStr = Field(
        SecretStr(""), description="Shared with the plugin's orthanc.json; empty refuses the plugin."
    )
    max_upload_bytes: int = Field(2**30, gt=0, description="Largest example that may be uploaded.")
    max_questions: int = Field(8, ge=1, le=256, description="Questions answered at once; more get 429.")

    dimse_host: str = Field("127.0.0.1", description="Where the CBIR application entity listens.")
    dimse_port: Port = Field(11112, description="Port of the CBIR application entity.")
    dimse_tls_certificate: Path | None = Field(
        None, description="Our certificate with its chain, PEM; with the two below that port speaks only TLS."
    )
    dimse_tls_key: Path | None = Field(None, description="Its private key, PEM, without a passphrase.")
    dimse_tls_callers_ca: Path | None = Field(
        None, description="Authorities whose certificates callers must show, PEM."
    )
    ae_title: str = Field("CBIR", min_length=1, max_length=16, description="Our AE title.")
    ae_presets: Annotated[tuple[Preset, ...], NoDecode] = Field(
        (),
        description="AE_TITLE?query with spaces between: further AE titles of ours, each with its own way to "
        "ask, as in docs/operations.md.",
    )
    callers: Annotated[tuple[Destination, ...], NoDecode] = Field(
        (), description="AET=host:port,… that may ask, and where their answers go."
    )
    destinations: Annotated[tuple[Destination, ...], NoDecode] = Field(
        (), description="AET=host:port,… that cases may be sent to, beside the callers."
    )
    collect_for_s: Seconds = Field(
        86_400, description="How long a caller can collect the cases of a question by C-FIND, C-MOVE, C-GET."
    )
    identities: Literal["none", "pseudonym", "archive"] = Field(
        "pseudonym",
        description="What a C-FIND shows of a case's patient: a case number, a word that stays the same for "
        "the same patient, or what the archive has.",
    )
    deidentify: Literal["never", "always", "others"] = Field(
        "never",
        description="Which cases Orthanc de-identifies before they are sent; `others` are those of other "
        "patients than the example's.",
    )
    push_top: int = Field(
        0, ge=0, le=100, description="How many of the best cases are sent to the caller with its answer."
    )
    references: Literal["dicom", "opaque"] = Field(
        "dicom", description="Whether an SR names the matches' UIDs or only a case number."
    )
    answer_limit: int = Field(10, ge=1, le=100, description="Matches in an answer of the AE.")
    answer_forms: Annotated[tuple[Literal["sheet", "report"], ...], NoDecode] = Field(
        ("sheet", "report"),
        min_length=1,
        description="What the AE answers with, in this order: a contact sheet, an SR, or both.",
    )
    language: Literal["en", "fr"] = Field("en", description="The language of the contact sheet.")
    dates: Literal["date", "relative", "none"] = Field(
        "relative",
        description="How a contact sheet tells when a case was acquired: its date, how long before, or not.",
    )
    question_quiet_s: Seconds = Field(1.0, description="Quiet time after which a sent study is asked about.")
    answer_retry_s: Seconds = Field(86_400, description="How long an answer is offered to its caller.")
    max_spool_bytes: int = Field(
        20 * 2**30, gt=0, description="Room for what was sent to the AE and is not answered; more is refused."
    )

    orthanc_url: HttpUrl = Field(HttpUrl("http://127.0.0.1:8042"), description="Orthanc's REST API.")
    orthanc_user: str = Field("", description="User of Orthanc's REST API.")
    orthanc_password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    orthanc_public_url: str = Field(
        "", description="Orthanc as a browser reaches it, for links; empty is CBIR_ORTHANC_URL."
    )
    links: Annotated[tuple[Viewer, ...], NoDecode] = Field(
        (),
        description="Programs that open a match: explorer, explorer2, stone, ohif, weasis or Name=template, "
        "comma separated, the usual one first; empty is explorer.",
    )
    orthanc_ae_title: str = Field("ORTHANC", max_length=16, description="retrieve_ae_title of a match.")
    orthanc_timeout_s: Seconds = Field(60.0, description="Longest wait for one answer of Orthanc.")
    poll_s: Seconds = Field(5.0, description="How often Orthanc's change log is read.")
    reconcile_s: Seconds = Field(600.0, description="How often all of the archive is compared.")
    quiet_s: Seconds = Field(30.0, description="Quiet time after which a growing series is looked at.")

    qdrant_url: str = Field("", description="A Qdrant server; empty starts the embedded engine.")
    qdrant_api_key: SecretStr = Field(SecretStr(""), description="Its API key.")

    inference_url: str = Field("", description="A worker's POST /embeddings; empty starts one.")
    inference_token: SecretStr = Field(SecretStr(""), description="Bearer token wanted there.")
    inference_host: str = Field("127.0.0.1", description="Where `cbir worker` answers POST /embeddings.")
    inference_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        0, description="Its port; 0 is a worker that only indexes."
    )
    workers: int = Field(
        1, ge=0, le=32, description="Worker processes that `cbir serve` starts; 0: they run elsewhere."
    )
    decoders: int = Field(
        0, ge=0, le=64, description="Decoder processes a worker; 0 is one a core, at most 4."
    )
    providers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="ONNX Runtime execution providers in order; empty takes the best there is."
    )
    threads: int = Field(0, ge=0, le=64, description="Threads of the encoder; 0 lets ONNX Runtime choose.")
    max_frames: int = Field(32, ge=1, le=512, description="Frames sampled from a series.")
    batch_size: int = Field(16, ge=1, le=512, description="Frames embedded at once.")
    decode_timeout_s: Seconds = Field(20.0, description="Longest time one instance may take to decode.")
    max_instance_bytes: int = Field(2**30, gt=0, description="Largest DICOM file that is read.")
    max_frame_pixels: int = Field(100_000_000, gt=0, description="Largest frame that is decoded.")
    lanes: int = Field(
        5, ge=1, le=32, description="Series a worker has in hand at once; one more than its decoders is best."
    )
    lease_s: Seconds = Field(
        120.0, description="How long a worker owns a series before it must say so again."
    )
    max_attempts: int = Field(6, ge=1, le=50, description="Attempts before a series has failed.")

    patient_key: SecretStr = Field(
        SecretStr(""), description="Key of the patient pseudonyms; empty keeps one in the data directory."
    )
    log_level: Literal["", "DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "", description="What is logged; empty is INFO for `serve` and `worker`, WARNING for the rest."
    )

    @field_validator("callers", "destinations", mode="before")
    @classmethod
    def _split_callers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(Destination.parse(entry) for entry in value.split(",") if entry.strip())

    @field_validator("ae_presets", mode="before")
    @classmethod
    def _split_presets(cls, value: object) -> object:
        return parse_presets(value) if isinstance(value, str) else value

    @field_validator("links", mode="before")
    @classmethod
    def _split_links(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(Viewer.parse(entry) for entry in value.split(",") if entry.strip())

    @field_validator("providers", "answer_forms", "allowed_hosts", "non_commercial_encoders", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())

    @model_validator(mode="after")
    def _refuse_an_open_door(self) -> Settings:
        if self.http_host not in LOOPBACK and not self.api_token.get_secret_value():
            raise ValueError(
                f"CBIR_HTTP_HOST={self.http_host} is reachable from the network: set CBIR_API_TOKEN."
            )
        if self.inference_host not in LOOPBACK and not self.inference_token.get_secret_value():
            raise ValueError(
                f"CBIR_INFERENCE_HOST={self.inference_host} is reachable from the network: "
                "set CBIR_INFERENCE_TOKEN."
            )
        return self

    @field_validator(*DIMSE_TLS, mode="before")
    @classmethod
    def _empty_is_no_file(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _refuse_one_title_for_two(self) -> Settings:
        if any(preset.ae_title == self.ae_title.strip() for preset in self.ae_presets):
            raise ValueError(
                f"{self.ae_title} is CBIR_AE_TITLE: give the preset in CBIR_AE_PRESETS another AE title."
            )
        return self

    @model_validator(mode="after")
    def _refuse_half_of_tls(self) -> Settings:
        missing = [f"CBIR_{name.upper()}" for name in DIMSE_TLS if getattr(self, name) is None]
        if 0 < len(missing) < len(DIMSE_TLS):
            raise ValueError(f"TLS of the application entity wants {' and '.join(missing)} too.")
        return self

    @model_validator(mode="after")
    def _refuse_to_have_no_encoder(self) -> Settings:
        if self.workers == 0 and not self.inference_url:
            raise ValueError(
                "CBIR_WORKERS=0 starts no worker: name one that runs elsewhere in CBIR_INFERENCE_URL."
            )
        return self

    @model_validator(mode="after")
    def _refuse_what_a_folder_cannot(self) -> Settings:
        if self.folder is not None and self.deidentify != "never":
            raise ValueError(
                f"CBIR_DEIDENTIFY={self.deidentify} needs an Orthanc: a folder cannot de-identify. "
                "Unset CBIR_FOLDER or CBIR_DEIDENTIFY."
            )
        return self

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """The folders that CBIR_ENCODER names, in order."""
        return tuple(name.strip() for name in self.encoder.split(",") if name.strip())

    @property
    def resolved_database_url(self) -> str:
        """The ledger's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'ledger.sqlite').absolute()}"


def unknown_options(environment: Mapping[str, str]) -> list[str]:
    """Names that look like options and are none: most likely misspelt."""
    known = {f"CBIR_{name.upper()}" for name in Settings.model_fields}
    return sorted(
        name
        for name in environment
        if name.startswith("CBIR_") and name not in known and not name.startswith(NOT_OPTIONS)
    )
